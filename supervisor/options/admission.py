"""admission flags."""

from supervisor.options.flag import STRINGS, Flag, FlagGroup

GROUP = FlagGroup(
    "Admission",
    (
        Flag("disable-admission-plugins", STRINGS, (), "Admission plugins taken out of the default set."),
        Flag("enable-admission-plugins", STRINGS, (), "Admission plugins added to the default set."),
    ),
)
