"""The watch cache: all resources of one worker, in memory (interface.py: WatchCache).

One watch on etcd feeds all resources of a server. A server that needs few resources names them: then only those are
loaded, each with a watch of its own; so has a resource that lies in another etcd, and one that is added later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TypeVar

from apiserver_workers.storage import etcdrpc_pb2 as rpc
from apiserver_workers.storage.entry_map import Render, as_item
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.interface import Dropped, Entry, Event, Unavailable
from apiserver_workers.storage.reflector import PrefixReflector, Reflector
from apiserver_workers.storage.resource_cache import EtcdResourceCache
from apiserver_workers.storage.routing import RoutedStorage

R = TypeVar("R", bound=Reflector)


class EtcdWatchCache:
    """The resources `keep` below `prefix`, fed by one watch on everything, or those in `only`, each by a watch of its own.

    Others are passed over. More can be added and dropped while it runs.
    """

    def __init__(
        self,
        storage: EtcdStorage | RoutedStorage,
        prefix: str = "/registry",
        *,
        keep: Iterable[str] = (),
        only: Iterable[str] | None = None,
        windows: Mapping[str, int] | None = None,
        quorum: bool = True,
    ) -> None:
        """`keep` and `only` are storage prefixes. Without `quorum` reads may be stale: nobody asks etcd how far it is."""
        self._storage = storage
        self._root = prefix.rstrip("/") + "/"
        self._windows = windows or {}  # how many events a watch may go back, by storage prefix
        self._quorum = quorum
        self._resources: dict[str, EtcdResourceCache] = {}  # by what follows the root: "pods/", "services/specs/"
        self._fed: dict[str, EtcdResourceCache] = {}  # those of them that the one reflector of everything feeds
        self._own: dict[str, Reflector] = {}  # the reflectors of the others
        self._everything: Reflector | None = None
        apart = {key.removeprefix(self._root) for key in getattr(storage, "others", ())}
        if only is None:
            self._everything = self._reflector(Reflector(storage.of(""), self._root))
            self._everything.sink = self
            only = apart
        for storage_prefix in only:
            self._follow(storage_prefix)
        for storage_prefix in keep:
            folder = _folder(storage_prefix)
            if self._everything is not None and folder not in self._own:
                self._fed[folder] = self._resources[folder] = self._cache(folder, self._everything, as_item)

    async def start(self) -> None:
        """Load and follow; returns when the first load is complete."""
        await asyncio.gather(*(reflector.start() for reflector in self._reflectors()))

    async def stop(self) -> None:
        """Stop following and end all subscriptions."""
        await asyncio.gather(*(reflector.stop() for reflector in self._reflectors()))
        for resource in self._resources.values():
            resource.end_watches(Unavailable("the watch cache has stopped"))

    @property
    def healthy(self) -> bool:
        """Whether every watch on etcd is established, or on its way to another member."""
        return all(reflector.healthy for reflector in self._reflectors())

    def counts(self) -> dict[str, int]:
        """How many objects each resource has, by its storage prefix."""
        return {folder.rstrip("/"): len(resource) for folder, resource in self._resources.items()}

    def resource(self, storage_prefix: str) -> EtcdResourceCache:
        """The cache of `/registry/<storage_prefix>/`. Raises KeyError for a resource that this cache does not follow."""
        return self._resources[_folder(storage_prefix)]

    async def add(self, storage_prefix: str, *, render: Render = as_item, anew: bool = False) -> EtcdResourceCache:
        """Follow one more resource; returns when it is loaded. Its lists show entries as `render` says (as_body: with
        their kind). `anew`: one that is followed already is loaded again, because what is read of it has another shape;
        until that is done readers have what there was."""
        folder = _folder(storage_prefix)
        if anew and folder in self._own:
            return await self._replace(storage_prefix, render)
        if folder not in self._resources:
            reflector = self._follow(storage_prefix, render)
            try:
                await reflector.start()
            except asyncio.CancelledError:
                await self.drop(storage_prefix)
                raise
        return self._resources[folder]

    async def _replace(self, storage_prefix: str, render: Render) -> EtcdResourceCache:
        folder = _folder(storage_prefix)
        reflector = self._reflector(PrefixReflector(self._storage.of(self._root + folder), self._root + folder))
        reflector.sink = resource = self._cache(folder, reflector, render)
        await reflector.start()
        before, old = self._resources[folder], self._own[folder]
        self._resources[folder], self._own[folder] = resource, reflector
        before.end_watches(Dropped())
        await old.stop()
        return resource

    async def drop(self, storage_prefix: str) -> None:
        """Follow a resource no more and forget its objects; its watches end."""
        folder = _folder(storage_prefix)
        resource = self._resources.pop(folder, None)
        self._fed.pop(folder, None)
        if resource is not None:
            resource.end_watches(Dropped())
        if (reflector := self._own.pop(folder, None)) is not None:
            await reflector.stop()

    def _reflectors(self) -> list[Reflector]:
        everything = [] if self._everything is None else [self._everything]
        return [*everything, *self._own.values()]

    def _reflector(self, reflector: R) -> R:
        reflector.quorum = self._quorum
        return reflector

    def _follow(self, storage_prefix: str, render: Render = as_item) -> Reflector:
        """A reflector for one resource."""
        folder = _folder(storage_prefix)
        reflector = self._reflector(PrefixReflector(self._storage.of(self._root + folder), self._root + folder))
        reflector.sink = self._resources[folder] = self._cache(folder, reflector, render)
        self._own[folder] = reflector
        return reflector

    def _cache(self, folder: str, reflector: Reflector, render: Render) -> EtcdResourceCache:
        prefix = self._root + folder
        window = self._windows.get(folder.rstrip("/"), 0)
        return EtcdResourceCache(self._storage.of(prefix), prefix, reflector, render=render, window=window)

    # what the one reflector of everything feeds

    def load(self, entries: Iterable[Entry], revision: int) -> None:
        """Start again from a new load."""
        found: dict[EtcdResourceCache, list[Entry]] = {resource: [] for resource in self._fed.values()}
        for entry in entries:
            resource = self._route(entry.key)
            if resource is not None:
                found[resource].append(entry)
        for resource, loaded in found.items():
            resource.load(loaded, revision)

    def apply(self, changes: Iterable[rpc.Event]) -> None:
        """Give each change to its resource; then each resource's events, as one batch, to its watchers."""
        batches: dict[EtcdResourceCache, list[Event]] = {}
        for change in changes:
            key = change.kv.key.decode()
            if not key.startswith(self._root):
                continue
            resource = self._route(key)
            if resource is not None and (event := resource.take(key, change)):
                batches.setdefault(resource, []).append(event)
        for resource, events in batches.items():
            resource.deliver(events)

    def _route(self, key: str) -> EtcdResourceCache | None:
        """The resource of a key: its first folder (pods), or its first two (services/specs)."""
        start = len(self._root)
        first = key.find("/", start) + 1
        if not first:
            return None
        resource = self._fed.get(key[start:first])
        if resource is None and (second := key.find("/", first) + 1):
            resource = self._fed.get(key[start:second])
        return resource


def _folder(storage_prefix: str) -> str:
    return storage_prefix.strip("/") + "/"
