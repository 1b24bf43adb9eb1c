"""One linearizable read for all callers who wait for one.

A consistent read needs a revision that etcd confirmed after the request arrived. Callers that come before a probe is
sent share it; callers that come later share the next, because the one under way may have been answered already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from apiserver_workers.storage.interface import StorageError, Unavailable


class ReadIndex:
    """Shares calls of `read`, which returns the newest revision or raises StorageError."""

    def __init__(self, read: Callable[[], Awaitable[int]]) -> None:
        self._read = read
        self._waiting: list[asyncio.Future[int]] = []
        self._task: asyncio.Task[None] | None = None

    async def current(self) -> int:
        """A revision read after this call began. Raises Unavailable."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        if self._task is None:
            self._task = asyncio.create_task(self._probe())
        return await future

    async def _probe(self) -> None:
        waiters: list[asyncio.Future[int]] = []
        try:
            while self._waiting:
                waiters, self._waiting = self._waiting, []
                try:
                    revision = await self._read()
                except StorageError as error:
                    for waiter in waiters:
                        if not waiter.done():
                            waiter.set_exception(Unavailable(str(error)))
                else:
                    for waiter in waiters:
                        if not waiter.done():
                            waiter.set_result(revision)
        finally:
            self._task = None
            for waiter in (*waiters, *self._waiting):  # only when cancelled
                waiter.cancel()
