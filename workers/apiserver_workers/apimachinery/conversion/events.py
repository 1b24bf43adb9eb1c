"""Events: the core group's are what is stored, events.k8s.io shows them under newer names."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.types import TypeModel

# Field of the core group -> field of events.k8s.io; the others have the same name in both.
_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
_CORE_NAMES = {new: old for old, new in _NAMES.items()}


def core_to_events(obj: dict[str, Any], types: TypeModel) -> dict[str, Any]:
    """An event of the core group as one of events.k8s.io."""
    return {_NAMES.get(name, name): value for name, value in obj.items()}


def events_to_core(obj: dict[str, Any], types: TypeModel) -> dict[str, Any]:
    """An event of events.k8s.io as one of the core group."""
    return {_CORE_NAMES.get(name, name): value for name, value in obj.items()}
