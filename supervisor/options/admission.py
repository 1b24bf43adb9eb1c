"""admission flags."""

from supervisor.options.flag import STRINGS, Flag, FlagGroup
from supervisor.options.validators import admission_plugins

GROUP = FlagGroup(
    "Admission",
    (
        Flag(
            "disable-admission-plugins",
            STRINGS,
            (),
            "Admission plugins taken out of the default set.",
            admission_plugins,
        ),
        Flag("enable-admission-plugins", STRINGS, (), "Admission plugins added to the default set.", admission_plugins),
    ),
)
