"""One watcher of a resource cache.

It is in one of two phases. *Replay*: the events asked for are older than the cache's memory, so they are read from
etcd's history, until they meet what memory holds. *Live*: the cache pushes each batch, the same list object to all
watchers of a prefix. The step from one to the other is synchronous, so no event falls between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from apiserver_workers.storage.interface import Event, SlowWatcher, StorageError

if TYPE_CHECKING:
    from apiserver_workers.storage.resource_cache import EtcdResourceCache

MAX_PENDING = 8192  # events that a watcher may lag behind

# Each step: the events found, and the revision up to which they are complete.
Replay = AsyncGenerator[tuple[list[Event], int], None]


class CacheSubscription:
    """Events of `prefix` after `since`, which may be a revision to come (interface.py: Subscription)."""

    __slots__ = (
        "__weakref__",
        "_batches",
        "_cache",
        "_error",
        "_pending",
        "_replay",
        "_revision",
        "_taken",
        "_waiter",
        "prefix",
    )

    def __init__(self, cache: EtcdResourceCache, prefix: str, since: int) -> None:
        self.prefix = prefix
        self._cache = cache
        self._revision = since  # handed over
        self._taken = since  # handed over or pending
        self._batches: list[Sequence[Event]] = []
        self._pending = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._replay: Replay | None = None

    @property
    def revision(self) -> int:
        """Every event up to this revision has been handed over."""
        if self._batches or self._replay is not None or self._error is not None:
            return self._revision
        return max(self._revision, self._cache.revision)

    async def start(self) -> None:
        """Take the events since the given revision from memory, or begin the replay. Raises Compacted, Unavailable."""
        if self._revision >= self._cache.history.floor:
            self._go_live(self._revision)
            return
        self._replay = self._cache.replay(self.prefix, self._revision + 1)
        events = await self._replay_step()
        if events:
            self._batches.insert(0, events)

    async def next(self, timeout: float | None = None) -> Sequence[Event]:
        """The next batch; empty when `timeout` seconds passed without one. Raises SlowWatcher, Compacted, Unavailable."""
        while self._replay is not None and not self._batches:
            events = await self._replay_step()
            if events:
                self._revision = events[-1].entry.mod_revision
                return events
        if not self._batches and self._error is None:
            await self._wait(timeout)
        if not self._batches:
            if self._error is not None:
                raise self._error
            return ()
        batches, self._batches = self._batches, []
        self._pending = 0
        batch = batches[0] if len(batches) == 1 else [event for batch in batches for event in batch]
        self._revision = batch[-1].entry.mod_revision
        return batch

    def __aiter__(self) -> CacheSubscription:
        return self

    async def __anext__(self) -> Sequence[Event]:
        return await self.next()

    async def aclose(self) -> None:
        """End it; a reader that waits gets StopAsyncIteration."""
        self.end(StopAsyncIteration())
        self._batches.clear()
        if self._replay is not None:
            replay, self._replay = self._replay, None
            await replay.aclose()

    # for the cache

    def push(self, events: Sequence[Event]) -> None:
        """Take a batch, or drop this watcher if it lags too far."""
        if events[0].entry.mod_revision <= self._taken:  # the replay was ahead of the cache
            events = [event for event in events if event.entry.mod_revision > self._taken]
            if not events:
                return
        self._taken = events[-1].entry.mod_revision
        self._pending += len(events)
        if self._pending > MAX_PENDING:
            self._batches.clear()
            self.end(SlowWatcher(f"more than {MAX_PENDING} events behind"))
            return
        self._batches.append(events)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, error: StorageError | StopAsyncIteration) -> None:
        """No more events; what is pending is still read, then `error` raised."""
        self._cache.unsubscribe(self)
        if self._error is None:
            self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, timeout: float | None) -> None:
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, _expire, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    async def _replay_step(self) -> list[Event]:
        assert self._replay is not None
        events, revision = await anext(self._replay)
        if revision >= self._cache.history.floor:
            replay, self._replay = self._replay, None
            self._go_live(revision)
            await replay.aclose()
        return events

    def _go_live(self, revision: int) -> None:
        events = self._cache.history.since(revision)
        if self.prefix != self._cache.prefix:
            events = [event for event in events if below(event.entry.key, self.prefix)]
        if events:
            self._batches.append(events)
        self._taken = max(revision, events[-1].entry.mod_revision if events else 0)
        self._cache.subscribe(self)


def below(key: str, prefix: str) -> bool:
    """Whether a key prefix, as ResourceCache takes them, stands for `key`."""
    return key.startswith(prefix) if prefix.endswith("/") else key == prefix


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
