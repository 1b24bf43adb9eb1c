"""API enablement flags."""

from supervisor.options.flag import STRING_MAP, Flag, FlagGroup

GROUP = FlagGroup(
    "API enablement",
    (Flag("runtime-config", STRING_MAP, {}, "APIs switched on or off: group/version=false, api/beta=true and so on."),),
)
