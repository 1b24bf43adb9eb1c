"""The controller of definitions: their names, how they conform, and their instances when they are deleted.

One worker of a server runs it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.extensions.controllers.conformance import conformance_status
from apiserver_workers.extensions.controllers.finalizing import Finalizing
from apiserver_workers.extensions.controllers.naming import naming_status
from apiserver_workers.extensions.status import change_status
from apiserver_workers.registry.registry import Registry
from apiserver_workers.registry.store import Store
from apiserver_workers.server.informer import Informer
from apiserver_workers.storage.interface import Entry, Event, StorageError

Object = dict[str, Any]

log = logging.getLogger(__name__)

RETRY = 0.5


class DefinitionController:
    """Handler of an informer of its own (server.informer.Handler)."""

    def __init__(self, registry: Registry, store: Store) -> None:
        """`store` is that of definitions."""
        self._store = store
        self._definitions: dict[str, Object] = {}
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._finalizing = Finalizing(registry, store)
        self._judged: dict[str, Object] = {}  # by name, the spec and annotations whose conformance was looked at

    def replace(self, entries: list[Entry]) -> None:
        self._definitions = {entry.obj["metadata"]["name"]: entry.obj for entry in entries}
        self._look_at(self._definitions)

    def apply(self, event: Event) -> None:
        obj = event.entry.obj
        name, group = obj["metadata"]["name"], obj["spec"]["group"]
        if event.type == "DELETED":
            self._definitions.pop(name, None)
            self._finalizing.forget(name)
            self._judged.pop(name, None)
        else:
            self._definitions[name] = obj
        # a name that was freed, or taken, matters to the others of the group
        self._look_at(other for other, one in self._definitions.items() if one["spec"]["group"] == group)

    def _look_at(self, names: Any) -> None:
        self._dirty.update(names)
        self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        informer = Informer(self._store.cache, self._store.root, self)
        await informer.start()
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                names, self._dirty = self._dirty, set()
                for name in sorted(names):
                    await self._sync(name)
        finally:
            await self._finalizing.stop()
            await informer.stop()

    async def _sync(self, name: str) -> None:
        definition = self._definitions.get(name)
        if definition is None:
            return
        try:
            if naming_status(definition, self._group(definition)) is not None:
                await change_status(self._store, name, lambda live: naming_status(live, self._group(live)))
            await self._judge(definition)
        except (ApiError, StorageError) as error:
            log.warning("conditions of definition %s: %s", name, error)
            asyncio.get_running_loop().call_later(RETRY, self._look_at, [name])
        if "deletionTimestamp" in definition["metadata"]:
            self._finalizing.begin(name)

    async def _judge(self, definition: Object) -> None:
        """Set the conditions about conformance, if what they depend on has changed."""
        metadata = definition["metadata"]
        name, judged = metadata["name"], {"spec": definition["spec"], "annotations": metadata.get("annotations")}
        if self._judged.get(name) == judged:
            return
        if await asyncio.to_thread(conformance_status, definition) is not None:
            await change_status(self._store, name, conformance_status)
        self._judged[name] = judged

    def _group(self, definition: Object) -> list[Object]:
        """All definitions of the same group, the newest state of each that this worker knows."""
        group, store = definition["spec"]["group"], self._store
        entries = (store.cache.get(store.key("", name)) for name in self._definitions)
        found = [entry.obj for entry in entries if entry is not None and entry.obj["spec"]["group"] == group]
        return [one if one["metadata"]["name"] != definition["metadata"]["name"] else definition for one in found]
