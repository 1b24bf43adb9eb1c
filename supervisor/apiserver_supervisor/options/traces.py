"""traces flags (upstream: staging/src/k8s.io/apiserver/pkg/server/options/tracing.go)."""

from apiserver_supervisor.options.files import tracing
from apiserver_supervisor.options.flag import STRING, Flag, FlagGroup

GROUP = FlagGroup(
    "Traces",
    (
        Flag(
            "tracing-config-file",
            STRING,
            "",
            "File that says where spans are sent (TracingConfiguration).",
            tracing,
            missing="tracing",
        ),
    ),
)
