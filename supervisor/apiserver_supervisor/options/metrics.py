"""metrics flags (upstream: staging/src/k8s.io/component-base/metrics/options.go)."""

from apiserver_supervisor.options.files import metric_labels
from apiserver_supervisor.options.flag import STRING, STRING_TO_STRING, STRINGS, Flag, FlagGroup
from apiserver_supervisor.options.validators import label_keys, metric_names, previous_minor

GROUP = FlagGroup(
    "Metrics",
    (
        Flag(
            "allow-metric-labels",
            STRING_TO_STRING,
            {},
            "Values that a metric's label may have, metric,label='value,value'; others are counted as unexpected.",
            label_keys,
        ),
        Flag(
            "allow-metric-labels-manifest",
            STRING,
            "",
            "The same from a YAML file.",
            metric_labels,
        ),
        Flag(
            "disabled-metrics",
            STRINGS,
            (),
            "Metrics that are left out, by their full names.",
            metric_names,
        ),
        Flag(
            "show-hidden-metrics-for-version",
            STRING,
            "",
            "Show metrics that this minor version, which must be the previous one, still had. None is hidden here.",
            previous_minor,
        ),
    ),
)
