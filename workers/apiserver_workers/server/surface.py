"""Changes of what a server serves, while it serves.

For clients a change is one step: the server gets its new ResourceSet when everything that comes is ready, and what goes
ends afterwards. Watches of a resource that went or changed end without an error, as upstream's do, and clients ask again;
requests that run keep the view with which they began.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Set

from apiserver_workers.apimachinery.resources import Key
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.registry import Registry
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies import strategy_for
from apiserver_workers.registry.strategies.base import Strategy
from apiserver_workers.server.generic import GenericAPIServer
from apiserver_workers.server.resource_set import Mounted, mounted_store
from apiserver_workers.storage.entry_map import as_body, as_item

StrategyFactory = Callable[[ServedKind, Registry], Strategy]


class Surface:
    """What `server` serves of the stored resources of `registry`."""

    def __init__(self, server: GenericAPIServer, registry: Registry) -> None:
        self._server = server
        self._registry = registry
        self._changing = asyncio.Lock()

    async def change(
        self, *, add: Iterable[ServedKind] = (), remove: Iterable[Key] = (), strategy: StrategyFactory = strategy_for
    ) -> None:
        """Serve the kinds `add` from now on, each in the place of what has its names, and those named by `remove` no more.

        All versions of a resource are given together: they share the store of the version that is stored. Raises
        StorageError; then nothing has changed.
        """
        async with self._changing:
            server = self._server
            before = server.resources.stores
            mounted = [await self._mount(kind, strategy) for kind in add]
            server.resources = server.resources.without(remove).having(mounted)
            after = server.resources.stores
            for store in before - after:
                await self._let_go(store, after)

    async def _mount(self, kind: ServedKind, strategy: StrategyFactory) -> Mounted:
        stored = kind.stored_kind
        await self._registry.cache.add(stored.info.storage_prefix, render=as_body if kind.full_items else as_item)
        return mounted_store(kind, self._registry.store_of(kind, strategy))

    async def _let_go(self, store: Store, others: Set[Store]) -> None:
        store.end()
        self._registry.forget(store.kind)
        prefix = store.info.storage_prefix
        if all(other.info.storage_prefix != prefix for other in others):
            await self._registry.cache.drop(prefix)
            self._registry.storage.forget(store.root)
