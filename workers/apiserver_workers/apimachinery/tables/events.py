"""The row of an event."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.tables.cells import UNKNOWN, Object, name
from apiserver_workers.apimachinery.tables.durations import age


def event(obj: Object, now: float) -> list[Any]:
    """The row of an event, in the core group's form or in that of events.k8s.io."""
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    repeats = obj.get("count") or obj.get("deprecatedCount") or 1
    series = obj.get("series")
    if series is not None:
        last, repeats = series.get("lastObservedTime"), series.get("count") or 0
    regarding = obj.get("involvedObject") or obj.get("regarding") or {}
    target = regarding.get("kind", "").lower()
    return [
        age(last, now) if last else UNKNOWN,
        obj.get("type") or "",
        obj.get("reason") or "",
        f"{target}/{regarding['name']}" if regarding.get("name") else target,
        regarding.get("fieldPath", ""),
        _event_source(obj),
        (obj.get("message") or obj.get("note") or "").strip(),
        age(first, now),
        repeats,
        name(obj, now),
    ]


def _event_source(obj: Object) -> str:
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    reporter = obj.get("reportingComponent") or obj.get("reportingController") or ""
    component_name = source.get("component") or reporter
    instance = source.get("host") or obj.get("reportingInstance")
    return f"{component_name}, {instance}" if instance else component_name
