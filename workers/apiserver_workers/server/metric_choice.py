"""Which metrics and label values are shown: --disabled-metrics and --allow-metric-labels.

Upstream: component-base/metrics/opts.go. A value that its label's list lacks is counted as "unexpected", so that clients
cannot make series without end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

UNEXPECTED = "unexpected"
Family = dict[str, Any]


class MetricChoice:
    """`disabled`: full names. `labels`: `metric,label=value,value` each."""

    def __init__(self, disabled: Sequence[str] = (), labels: Sequence[str] = ()) -> None:
        self._disabled = frozenset(disabled)
        self._allowed: dict[str, dict[str, frozenset[str]]] = {}
        for entry in labels:
            key, _, values = entry.partition("=")
            metric, _, label = key.partition(",")
            self._allowed.setdefault(metric, {})[label] = frozenset(values.split(","))

    def of(self, families: Iterable[Family]) -> Iterable[Family]:
        """The families of a snapshot as they are shown."""
        for family in families:
            if family["name"] in self._disabled:
                continue
            allowed = self._allowed.get(family["name"])
            yield {**family, "samples": _relabelled(family["samples"], allowed)} if allowed else family


def _relabelled(samples: Iterable[Any], allowed: dict[str, frozenset[str]]) -> list[Any]:
    """The samples with unexpected values together."""
    totals: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for suffix, labels, value in samples:
        shown = tuple(
            (name, text if name not in allowed or text in allowed[name] else UNEXPECTED) for name, text in labels
        )
        totals[suffix, shown] = totals.get((suffix, shown), 0.0) + value
    return [(suffix, list(labels), value) for (suffix, labels), value in totals.items()]
