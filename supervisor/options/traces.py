"""traces flags (upstream: staging/src/k8s.io/apiserver/pkg/server/options/tracing.go)."""

from supervisor.options.files import tracing
from supervisor.options.flag import STRING, Flag, FlagGroup

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
