"""storage flags, which kube-apiserver had until 1.13."""

from apiserver_supervisor.options.flag import STRING, Flag, FlagGroup
from apiserver_supervisor.options.validators import storage_versions

GROUP = FlagGroup(
    "Storage",
    (
        Flag(
            "storage-versions",
            STRING,
            "",
            "Versions that groups are stored in, if not the preferred ones: group/version or group=group/version, with commas between.",
            storage_versions,
            legacy="1.14",
        ),
    ),
)
