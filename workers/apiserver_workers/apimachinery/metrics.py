"""Metrics: counters, gauges and histograms that cost a dictionary access, and their text form.

A process registers its metrics in `REGISTRY` when modules are imported and counts in plain dictionaries by the values of
the labels. Each worker's numbers leave it as a snapshot (plain data); snapshots of many workers are merged and rendered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Labels = tuple[str, ...]
Sample = tuple[str, list[tuple[str, str]], float]  # suffix of the name, labels, value

SUM, MAX, MIN = "sum", "max", "min"
_MERGES: dict[str, Callable[[float, float], float]] = {SUM: lambda a, b: a + b, MAX: max, MIN: min}


class Metric:
    """One metric family. `merge` says how the values of several workers become one."""

    type = ""

    def __init__(self, name: str, help_: str, labels: Sequence[str] = (), *, merge: str = SUM) -> None:
        self.name = name
        self.help = help_
        self.labels = tuple(labels)
        self.merge = merge

    def samples(self) -> Iterable[Sample]:
        raise NotImplementedError

    def reset(self) -> None:
        """Begin to count again; what tells a present state stays."""

    def _named(self, values: Labels) -> list[tuple[str, str]]:
        return list(zip(self.labels, values, strict=True))


class Counter(Metric):
    type = "counter"

    def __init__(self, name: str, help_: str, labels: Sequence[str] = (), *, merge: str = SUM) -> None:
        super().__init__(name, help_, labels, merge=merge)
        self.values: dict[Labels, float] = {} if labels else {(): 0.0}

    def inc(self, labels: Labels = (), amount: float = 1.0) -> None:
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def reset(self) -> None:
        self.values = {} if self.labels else {(): 0.0}

    def samples(self) -> Iterable[Sample]:
        return [("", self._named(labels), value) for labels, value in self.values.items()]


class Gauge(Counter):
    """`inc` and `set`, or a function that is asked at every scrape."""

    type = "gauge"

    def set(self, value: float, labels: Labels = ()) -> None:
        self.values[labels] = value

    def follow(self, read: Callable[[], dict[Labels, float]]) -> None:
        """Take the values from `read` at every scrape."""
        self._read = read

    def reset(self) -> None:
        pass

    _read: Callable[[], dict[Labels, float]] | None = None

    def samples(self) -> Iterable[Sample]:
        if self._read is not None:
            self.values = self._read()
        return super().samples()


class Histogram(Metric):
    type = "histogram"

    def __init__(self, name: str, help_: str, labels: Sequence[str] = (), *, buckets: Sequence[float]) -> None:
        super().__init__(name, help_, labels)
        self.buckets = tuple(buckets)
        self.values: dict[Labels, list[float]] = {}  # a count for each bucket and beyond, then the sum

    def observe(self, value: float, labels: Labels = ()) -> None:
        series = self.values.get(labels)
        if series is None:
            series = self.values[labels] = [0.0] * (len(self.buckets) + 2)
        series[bisect_left(self.buckets, value)] += 1
        series[-1] += value

    def reset(self) -> None:
        self.values = {}

    def samples(self) -> Iterable[Sample]:
        for labels, series in self.values.items():
            named = self._named(labels)
            total = 0.0
            for bound, count in zip((*map(number, self.buckets), "+Inf"), series, strict=False):
                total += count
                yield "_bucket", [*named, ("le", bound)], total
            yield "_sum", named, series[-1]
            yield "_count", named, total


class Registry:
    """The metrics of this process."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}

    def counter(self, name: str, help_: str, labels: Sequence[str] = (), *, merge: str = SUM) -> Counter:
        return self._add(Counter(name, help_, labels, merge=merge))

    def gauge(self, name: str, help_: str, labels: Sequence[str] = (), *, merge: str = SUM) -> Gauge:
        return self._add(Gauge(name, help_, labels, merge=merge))

    def histogram(self, name: str, help_: str, labels: Sequence[str] = (), *, buckets: Sequence[float]) -> Histogram:
        return self._add(Histogram(name, help_, labels, buckets=buckets))

    def _add(self, metric: Any) -> Any:
        if metric.name in self.metrics:
            raise ValueError(f"metric {metric.name} is there already")
        self.metrics[metric.name] = metric
        return metric

    def reset(self) -> None:
        """Let everything that counts begin at nothing."""
        for metric in self.metrics.values():
            metric.reset()

    def snapshot(self) -> list[dict[str, Any]]:
        """All metrics as plain data, fit for JSON."""
        return [
            {"name": m.name, "type": m.type, "help": m.help, "merge": m.merge, "samples": list(m.samples())}
            for m in self.metrics.values()
        ]


REGISTRY = Registry()


def merged(snapshots: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One snapshot out of those of several workers, by name."""
    families: dict[str, dict[str, Any]] = {}
    for snapshot in snapshots:
        for family in snapshot:
            known = families.setdefault(family["name"], {**family, "samples": {}})
            combine = _MERGES[family["merge"]]
            samples = known["samples"]
            for suffix, labels, value in family["samples"]:
                key = (suffix, tuple(map(tuple, labels)))
                samples[key] = combine(samples[key], value) if key in samples else value
    return [
        {**family, "samples": [(suffix, labels, value) for (suffix, labels), value in family["samples"].items()]}
        for _, family in sorted(families.items())
    ]


def render(snapshot: Iterable[dict[str, Any]]) -> str:
    """The Prometheus text format, version 0.0.4."""
    lines = []
    for family in snapshot:
        name = family["name"]
        lines += [f"# HELP {name} {_escape(family['help'])}", f"# TYPE {name} {family['type']}"]
        for suffix, labels, value in family["samples"]:
            listed = ",".join(f'{label}="{_escape(text, quote=True)}"' for label, text in labels)
            lines.append(f"{name}{suffix}{'{' + listed + '}' if listed else ''} {number(value)}")
    return "\n".join([*lines, ""])


def number(value: float) -> str:
    """A number as Prometheus writes it."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _escape(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text
