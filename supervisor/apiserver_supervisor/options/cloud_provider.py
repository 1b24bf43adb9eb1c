"""cloud provider flags, which kube-apiserver had until 1.32."""

from apiserver_supervisor.options.flag import STRING, Flag, FlagGroup

GONE, MISSING = "1.33", "cloud providers"

GROUP = FlagGroup(
    "Cloud provider",
    (
        Flag("cloud-config", STRING, "", "Configuration file of the cloud.", legacy=GONE, missing=MISSING),
        Flag("cloud-provider", STRING, "", "The cloud that the cluster runs on.", legacy=GONE, missing=MISSING),
    ),
)
