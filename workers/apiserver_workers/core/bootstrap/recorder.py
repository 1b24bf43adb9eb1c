"""Events that the server itself records about objects, and counts when they recur (client-go's tools/record and events)."""

from __future__ import annotations

import datetime
import socket
import time
from typing import Any

from apiserver_workers.core.bootstrap.objects import Objects

Object = dict[str, Any]

MICRO, SECONDS = "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"
REMEMBERED = 4096


class Recorder:
    """Warnings of one component. With an `action` an event is of the events.k8s.io kind, else of the older one."""

    def __init__(self, objects: Objects, component: str, action: str = "") -> None:
        self._objects, self._component, self._action = objects, component, action
        self._known: dict[tuple[str, str, str], str] = {}

    async def warn(self, kind: str, about: Object, reason: str, message: str) -> None:
        """Record a warning about an object, whose kind and apiVersion it need not hold. Raises ApiError."""
        metadata = about["metadata"]
        namespace = metadata.get("namespace") or "default"
        same = metadata["uid"], reason, message
        name = self._known.get(same, "")
        if name and self._objects.get("", "events", name, namespace) is not None:
            await self._objects.update("", "events", name, self._again, namespace=namespace)
            return
        name = f"{metadata['name']}.{time.time_ns():x}"
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[same] = name
        event = {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": _reference(kind, about),
            "reason": reason,
            "message": message,
            "type": "Warning",
            "reportingComponent": self._component,
            **self._first(),
        }
        await self._objects.create("", "events", event)

    def _first(self) -> Object:
        if self._action:
            instance = f"{self._component}-{socket.gethostname()}"
            return {"action": self._action, "reportingInstance": instance, "eventTime": _now(MICRO)}
        times = {"firstTimestamp": _now(SECONDS), "lastTimestamp": _now(SECONDS)}
        return {"source": {"component": self._component}, "count": 1, "reportingInstance": "", **times}

    def _again(self, live: Object) -> Object:
        if self._action:
            count = live.get("series", {}).get("count", 1) + 1
            return {**live, "series": {"count": count, "lastObservedTime": _now(MICRO)}}
        return {**live, "count": live.get("count", 1) + 1, "lastTimestamp": _now(SECONDS)}


def _reference(kind: str, about: Object) -> Object:
    metadata = about["metadata"]
    of = {name: metadata[name] for name in ("namespace", "name", "uid", "resourceVersion") if metadata.get(name)}
    return {"kind": kind, "apiVersion": about.get("apiVersion", "v1"), **of}


def _now(form: str) -> str:
    return datetime.datetime.now(datetime.UTC).strftime(form)
