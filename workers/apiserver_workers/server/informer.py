"""An informer: hands a handler one resource's objects and then every change, for as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from apiserver_workers.storage.interface import Entry, Event, ResourceCache, StorageError, Subscription

log = logging.getLogger(__name__)


class Handler(Protocol):
    """What keeps an index of one resource. Called in the event loop; must not block."""

    def replace(self, entries: list[Entry]) -> None:
        """These are all objects now."""
        ...

    def apply(self, event: Event) -> None:
        """One object changed."""
        ...


class Informer:
    """Feeds `handler` from `cache`; lists again whenever its watch breaks off."""

    def __init__(self, cache: ResourceCache, key_prefix: str, handler: Handler) -> None:
        self._cache = cache
        self._key_prefix = key_prefix
        self._handler = handler
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when the handler has all objects of the cache's present revision."""
        subscription = await self._list_and_watch()
        self._task = asyncio.create_task(self._follow(subscription), name=f"informer {self._key_prefix}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _list_and_watch(self) -> Subscription:
        revision = self._cache.revision
        self._handler.replace(list(self._cache.list(self._key_prefix)))
        return await self._cache.watch(self._key_prefix, revision)

    async def _follow(self, subscription: Subscription) -> None:
        while True:
            try:
                async for events in subscription:
                    for event in events:
                        self._handler.apply(event)
            except StorageError as error:
                log.warning("watch of %s ended, listing again: %s", self._key_prefix, error)
            finally:
                await subscription.aclose()
            subscription = await self._resume()

    async def _resume(self) -> Subscription:
        delay = 0.05
        while True:
            try:
                return await self._list_and_watch()
            except StorageError as error:
                log.warning("cannot watch %s yet: %s", self._key_prefix, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 5.0)
