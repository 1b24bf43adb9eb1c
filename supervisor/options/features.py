"""features flags."""

from supervisor.options.flag import BOOL, Flag, FlagGroup

GROUP = FlagGroup(
    "Features",
    (Flag("profiling", BOOL, True, "Serve /debug/pprof/ and /debug/flags/v."),),
)
