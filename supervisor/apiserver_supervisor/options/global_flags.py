"""global flags: what the libraries of upstream's command bring along (upstream: component-base/cli/globalflag)."""

from apiserver_supervisor.options.flag import BOOL, STRING, STRINGS, VERSION, Flag, FlagGroup
from apiserver_supervisor.options.validators import creatable_folder, severity

GONE = "1.26"

GROUP = FlagGroup(
    "Global",
    (
        Flag(
            "alsologtostderr", BOOL, False, "Let the master log to standard error as well as to its file.", legacy=GONE
        ),
        Flag("azure-container-registry-config", STRING, "", "Has no effect.", legacy="1.30"),
        Flag("cloud-provider-gce-lb-src-cidrs", STRINGS, (), "Has no effect.", legacy="1.31"),
        Flag("help", BOOL, False, "Show this help. Also -h."),
        Flag(
            "log-backtrace-at",
            STRING,
            "",
            "Has no effect.",
            legacy=GONE,
        ),
        Flag("log-dir", STRING, "", "Folder of the log files.", creatable_folder, legacy=GONE),
        Flag("logtostderr", BOOL, True, "Log to standard error instead of files.", legacy=GONE),
        Flag("stderrthreshold", STRING, "2", "Has no effect.", severity, legacy=GONE),
        Flag(
            "version",
            VERSION,
            "",
            "Print the version and exit; raw prints all that is known of it; a version such as v1.36.2 is reported at /version instead of ours.",
        ),
    ),
)
