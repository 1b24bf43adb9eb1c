"""The CustomResourceDefinitions, followed by the one core worker that runs the post-start hooks.

Their schemas may be large, so of each only the group and the served versions are kept.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.informer import Informer
from apiserver_workers.storage.interface import Entry, Event, StorageError

Object = dict[str, Any]

STORAGE_PREFIX = "apiextensions.k8s.io/customresourcedefinitions"


class Definitions:
    """An informer's handler. `changed` is set whenever a definition has changed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._versions: dict[str, Object] = {}
        self._informer: Informer | None = None
        self.changed = asyncio.Event()

    async def start(self) -> None:
        """Returns when all definitions are known; following them again costs nothing. Raises StorageError."""
        if self._informer is not None:
            return
        cache = await self._registry.cache.add(STORAGE_PREFIX)
        await cache.fresh()
        informer = Informer(cache, f"{self._registry.etcd_prefix}/{STORAGE_PREFIX}/", self)
        await informer.start()
        self._informer = informer

    async def stop(self) -> None:
        """Follow them no more; `start` may be called again."""
        informer, self._informer = self._informer, None
        if informer is not None:
            await informer.stop()

    def current(self) -> list[Object]:
        """Of each definition what concerns its group versions."""
        return list(self._versions.values())

    def replace(self, entries: list[Entry]) -> None:
        self._versions = {entry.key: versions_of(entry) for entry in entries}
        self.changed.set()

    def apply(self, event: Event) -> None:
        if event.type == "DELETED":
            self._versions.pop(event.entry.key, None)
        else:
            self._versions[event.entry.key] = versions_of(event.entry)
        self.changed.set()


def versions_of(entry: Entry) -> Object:
    """A definition without its schemas; one that cannot be read has no versions."""
    try:
        spec = orjson.loads(entry.value)["spec"]
        versions = [{"name": one["name"], "served": one.get("served", False)} for one in spec.get("versions") or ()]
        return {"spec": {"group": spec["group"], "versions": versions}}
    except (StorageError, ValueError, KeyError, TypeError):
        return {"spec": {"group": "", "versions": []}}
