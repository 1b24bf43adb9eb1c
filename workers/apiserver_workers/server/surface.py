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

AT_ONCE = 8  # resources whose caches are loaded together

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
            coming = list(add)
            await self._follow_all(coming)
            mounted = [self._mount(kind, strategy) for kind in coming]
            server.resources = server.resources.without(remove).having(mounted)
            after = server.resources.stores
            for store in before - after:
                await self._let_go(store, after)

    async def _follow_all(self, kinds: Iterable[ServedKind]) -> None:
        """Have the caches of the kinds, some at a time: each begins with a list."""
        waiting = iter({kind.stored_kind: None for kind in kinds})

        async def follow() -> None:
            for stored in waiting:
                await self._follow(stored)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(AT_ONCE):
                    group.create_task(follow())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _mount(self, kind: ServedKind, strategy: StrategyFactory) -> Mounted:
        stored = kind.stored_kind
        if kind.own_store:
            self._registry.store_of(stored, strategy)  # the server itself works with what is stored
        return mounted_store(kind, self._registry.store_of(kind, strategy))

    async def _follow(self, stored: ServedKind) -> None:
        """Have the cache of a kind that is stored. What is read otherwise than before is loaded again."""
        registry, prefix = self._registry, stored.info.storage_prefix
        render = as_body if stored.full_items else as_item
        known = registry.known(stored)
        if stored.read_stored is not None and known is not stored:
            registry.storage.shape(f"{registry.etcd_prefix}/{prefix}/", stored.read_stored)
        await registry.cache.add(prefix, render=render, anew=stored.read_stored is not None and known is not stored)

    async def _let_go(self, store: Store, others: Set[Store]) -> None:
        store.end()
        self._registry.forget(store.kind)
        prefix = store.info.storage_prefix
        if all(other.info.storage_prefix != prefix for other in others):
            self._registry.forget(store.kind.stored_kind)
            await self._registry.cache.drop(prefix)
            self._registry.storage.forget(store.root)
