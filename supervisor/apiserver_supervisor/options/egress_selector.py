"""egress selector flags (upstream: staging/src/k8s.io/apiserver/pkg/server/options/egress_selector.go)."""

from apiserver_supervisor.options.files import egress_selector
from apiserver_supervisor.options.flag import STRING, Flag, FlagGroup

GROUP = FlagGroup(
    "Egress selector",
    (
        Flag(
            "egress-selector-config-file",
            STRING,
            "",
            "File that says through which proxies outgoing connections go (EgressSelectorConfiguration).",
            egress_selector,
            missing="egress selector",
        ),
    ),
)
