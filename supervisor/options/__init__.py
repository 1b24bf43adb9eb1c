"""The options of `start` as data: a flag is one entry in the module of its group.

Groups are in upstream's order, which is the order of --help; the supervisor's own group comes last.
"""

from supervisor.options import (
    admission,
    api_enablement,
    authentication,
    authorization,
    etcd,
    features,
    generic,
    logs,
    misc,
    secure_serving,
    supervisor,
)
from supervisor.options.flag import Flag, FlagGroup

GROUPS: tuple[FlagGroup, ...] = tuple(
    module.GROUP
    for module in (
        generic,
        etcd,
        secure_serving,
        features,
        authentication,
        authorization,
        api_enablement,
        admission,
        logs,
        misc,
        supervisor,
    )
)

FLAGS: dict[str, Flag] = {flag.name: flag for group in GROUPS for flag in group.flags}
