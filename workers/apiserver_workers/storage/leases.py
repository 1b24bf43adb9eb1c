"""Leases shared by objects that expire at about the same time, as upstream's lease manager shares them.

A lease outlives the ttl asked for by a window of 5 % in whole seconds (at most a minute); objects written within the window use it too,
so that a cluster's events need a few leases a minute instead of one each.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

WINDOW_SHARE = 0.05
MAX_WINDOW = 60.0
MAX_OBJECTS = 1000
ROUNDING = 0.001  # of times as floats


@dataclass(slots=True)
class _Lease:
    id: int
    expires: float
    objects: int = 0


class LeaseManager:
    """Hands out lease ids. `grant` makes a lease of so many seconds and returns its id; `reuse` bounds the window."""

    def __init__(self, grant: Callable[[int], Awaitable[int]], *, reuse: float = MAX_WINDOW) -> None:
        self._grant = grant
        self._reuse = reuse
        self._newest: _Lease | None = None
        self._lock = asyncio.Lock()

    async def lease_for(self, ttl: float) -> int:
        """A lease that lasts for `ttl` seconds and hardly longer."""
        window = min(int(ttl * WINDOW_SHARE), self._reuse)
        async with self._lock:
            now = asyncio.get_running_loop().time()
            lease = self._newest
            if lease is None or lease.objects >= MAX_OBJECTS or not 0 <= lease.expires - now - ttl <= window + ROUNDING:
                seconds = math.ceil(ttl + window)
                lease = self._newest = _Lease(await self._grant(seconds), now + ttl + window)
            lease.objects += 1
            return lease.id

    def forget(self, lease_id: int) -> None:
        """The lease is gone from etcd: do not hand it out again."""
        if self._newest is not None and self._newest.id == lease_id:
            self._newest = None
