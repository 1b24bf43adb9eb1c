"""A lock that one worker of a server's group holds: who has it does what is done once for the server.

It is a file lock, so it is free as soon as its holder ends, however it ends.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

log = logging.getLogger(__name__)

INTERVAL = 0.2  # seconds between attempts to take the lock
RETRY = 1.0


class ServerLock:
    """The lock of one role."""

    def __init__(self, run_dir: str, role: str) -> None:
        self._path = Path(run_dir) / f"{role}.lock"

    async def run(self, *work: Callable[[], Awaitable[None]]) -> None:
        """Do the work while this worker holds the lock, until cancelled. Work that fails begins again."""
        lock = await self._take()
        try:
            await asyncio.gather(*(_forever(one) for one in work))
        finally:
            os.close(lock)

    async def _take(self) -> int:
        lock = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return lock
                except OSError:
                    await asyncio.sleep(INTERVAL)
        except BaseException:
            os.close(lock)
            raise


async def _forever(work: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await work()
        except Exception:
            log.exception("what is done once for the server failed; it begins again")
        await asyncio.sleep(RETRY)
