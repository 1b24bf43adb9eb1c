"""authorization flags."""

from supervisor.options.flag import STRINGS, Flag, FlagGroup
from supervisor.options.validators import authorization_modes

GROUP = FlagGroup(
    "Authorization",
    (
        Flag(
            "authorization-mode",
            STRINGS,
            ("RBAC",),
            "Authorizers in their order; the first opinion counts: AlwaysAllow, AlwaysDeny, Node, RBAC.",
            authorization_modes,
        ),
    ),
)
