"""metrics flags (upstream: staging/src/k8s.io/component-base/metrics/options.go)."""

from supervisor.options.files import metric_labels
from supervisor.options.flag import STRING, STRING_MAP, STRINGS, Flag, FlagGroup
from supervisor.options.validators import label_keys, metric_names, previous_minor

MISSING = "choice of metrics"

GROUP = FlagGroup(
    "Metrics",
    (
        Flag(
            "allow-metric-labels",
            STRING_MAP,
            {},
            "Values that a metric's label may have, metric,label='value,value'; others are counted as unexpected.",
            label_keys,
            missing=MISSING,
        ),
        Flag(
            "allow-metric-labels-manifest",
            STRING,
            "",
            "The same from a YAML file.",
            metric_labels,
            missing=MISSING,
        ),
        Flag(
            "disabled-metrics",
            STRINGS,
            (),
            "Metrics that are left out, by their full names.",
            metric_names,
            missing=MISSING,
        ),
        Flag(
            "show-hidden-metrics-for-version",
            STRING,
            "",
            "Show metrics that were hidden after this minor version, which must be the previous one.",
            previous_minor,
            missing=MISSING,
        ),
    ),
)
