"""Something that is read of each aggregated server again and again: discovery, OpenAPI.

Each APIService that has a service has a task of its own, so none waits for another's server.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from apiserver_workers.aggregator.registrations import Registrations
from apiserver_workers.server.aggregation.api_service import APIService

# Reads what is wanted of an APIService, not older than the time given; false: it is to be tried again soon.
Read = Callable[[APIService, float], Awaitable[bool]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Seconds: until what was read is read again, and from the first to the last wait after failures."""

    after: float
    first_retry: float
    last_retry: float


class Followed:
    """Runs `read` for every APIService that has a service; `gone` is told the names of those that no longer have."""

    def __init__(self, registrations: Registrations, read: Read, gone: Callable[[str], None], repeat: Repeat) -> None:
        self._read = read
        self._gone = gone
        self._repeat = repeat
        self._services: dict[str, APIService] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        registrations.follow(self._change)

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def _change(self, before: APIService | None, after: APIService | None) -> None:
        if after is not None and after.service is not None:
            self._services[after.name] = after
            if after.name in self._tasks:
                self._changed[after.name].set()
            else:
                self._changed[after.name] = asyncio.Event()
                self._tasks[after.name] = asyncio.create_task(self._follow(after.name), name=f"reading {after.name}")
        elif before is not None and before.name in self._tasks:
            self._tasks.pop(before.name).cancel()
            del self._services[before.name], self._changed[before.name]
            self._gone(before.name)

    async def _follow(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        changed = self._changed[name]
        retry = self._repeat.first_retry
        while True:
            changed.clear()
            try:
                done = await self._read(self._services[name], loop.time())
            except Exception:
                log.exception("the documents of %s cannot be read", name)
                done = False
            wait = self._repeat.after if done else retry
            retry = self._repeat.first_retry if done else min(2 * retry, self._repeat.last_retry)
            try:
                async with asyncio.timeout(wait * random.uniform(0.9, 1.1)):
                    await changed.wait()
                retry = self._repeat.first_retry
            except TimeoutError:
                pass
