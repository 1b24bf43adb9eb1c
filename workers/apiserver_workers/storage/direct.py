"""A watch that is served straight from etcd: for resources that --watch-cache-sizes or --watch-cache keep uncached."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from apiserver_workers.storage.interface import MAX_REVISION, Event, Storage, StorageError
from apiserver_workers.storage.subscription import below


class DirectSubscription:
    """Events of `prefix` after revision `since` (interface.py: Subscription), by a watch on etcd of its own."""

    def __init__(self, storage: Storage, prefix: str, since: int) -> None:
        self.revision = since
        self._prefix = prefix
        self._batches = storage.watch(prefix, min(since, MAX_REVISION - 1) + 1)
        self._step: asyncio.Task[Sequence[Event]] | None = None
        self._error: StorageError | None = None

    async def next(self, timeout: float | None = None) -> Sequence[Event]:
        """The next batch; empty when `timeout` seconds passed without one. Raises Compacted, or what it was ended with."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            if self._error is not None:
                raise self._error
            if self._step is None:
                self._step = asyncio.ensure_future(anext(self._batches))
            left = None if deadline is None else max(deadline - loop.time(), 0)
            done, _ = await asyncio.wait({self._step}, timeout=left)
            if not done:
                return ()
            step, self._step = self._step, None
            if step.cancelled() and self._error is not None:
                continue
            batch = step.result()
            if batch:
                self.revision = batch[-1].entry.mod_revision
            # etcd's range of one key's prefix holds its longer neighbours too
            if found := [event for event in batch if below(event.entry.key, self._prefix)]:
                return found

    def __aiter__(self) -> DirectSubscription:
        return self

    async def __anext__(self) -> Sequence[Event]:
        return await self.next()

    def end(self, error: StorageError) -> None:
        """No more events; whoever waits for one gets `error`."""
        self._error = error
        if self._step is not None:
            self._step.cancel()

    async def aclose(self) -> None:
        """End it."""
        if self._step is not None:
            self._step.cancel()
            await asyncio.gather(self._step, return_exceptions=True)
            self._step = None
        await self._batches.aclose()  # type: ignore[attr-defined]
