"""logs flags."""

from supervisor.options.flag import INT, Flag, FlagGroup
from supervisor.options.validators import not_negative

GROUP = FlagGroup(
    "Logs",
    (Flag("v", INT, 0, "How much is logged: 0 is little, 4 is debugging.", not_negative),),
)
