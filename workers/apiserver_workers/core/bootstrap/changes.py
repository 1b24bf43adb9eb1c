"""Waits until objects of some resources change, for hooks that keep something in step with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from apiserver_workers.registry.registry import Registry
from apiserver_workers.storage.interface import StorageError, Subscription


class Changes:
    """Changes of all objects of `resources`, which are pairs of group and plural name."""

    def __init__(self, registry: Registry, resources: Iterable[tuple[str, str]]) -> None:
        self._registry = registry
        self._resources = tuple(resources)
        self._seen: dict[str, int] = {}  # by key prefix: the revision up to which a wait has told of changes

    async def wait(self, timeout: float) -> None:
        """Return after the next change since the last wait returned, or after `timeout` seconds.

        A watch that cannot go on counts as a change: something may have been missed.
        """
        stores = [self._registry.store(group, resource) for group, resource in self._resources]
        subscriptions: list[Subscription] = []
        try:
            for store in stores:
                seen = self._seen.get(store.root, store.cache.revision)
                subscriptions.append(await store.cache.watch(store.prefix(""), seen))
            await _first(subscriptions, timeout)
        except StorageError:
            await asyncio.sleep(min(1.0, timeout))
        finally:
            self._seen = {store.root: store.cache.revision for store in stores}
            for subscription in subscriptions:
                await subscription.aclose()


async def _first(subscriptions: list[Subscription], timeout: float) -> None:
    """Wait until one of them has events."""
    waiting = [asyncio.ensure_future(subscription.next(timeout)) for subscription in subscriptions]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    for task in done:
        task.result()
