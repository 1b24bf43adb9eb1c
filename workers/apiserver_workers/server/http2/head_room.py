"""Header blocks that have not all come: each is waited for only so long, and large ones share the room that there is."""

from __future__ import annotations

import asyncio

from apiserver_workers.server.http.connections import MAX_LARGE_HEADS, Connections
from apiserver_workers.server.http.patience import HEAD_TIMEOUT
from apiserver_workers.server.http2.errors import ENHANCE_YOUR_CALM, ConnectionFault

LARGE_HEAD = 1 << 14  # bytes above which a block is counted


class HeadRoom:
    """The one block of a connection that may be under way."""

    __slots__ = ("_counted", "_loop", "_state", "due")

    def __init__(self, state: Connections, loop: asyncio.AbstractEventLoop) -> None:
        self._state = state
        self._loop = loop
        self._counted = 0
        self.due = 0.0  # when the rest of it is to be there, 0: there is none

    def take(self, size: int) -> None:
        """So much of it has come. Raises ConnectionFault if there is no room."""
        if not self.due:
            self.due = self._loop.time() + HEAD_TIMEOUT
        if size <= LARGE_HEAD:
            return
        self._state.large_heads += size - self._counted
        self._counted = size
        if self._state.large_heads > MAX_LARGE_HEADS:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "there are too many large header blocks")

    def leave(self) -> None:
        """It is whole, or not waited for any more."""
        self.due = 0.0
        self._state.large_heads -= self._counted
        self._counted = 0

    def check(self, now: float) -> None:
        """Raises ConnectionFault if it was to be there by now."""
        if 0.0 < self.due <= now:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "a header block that does not end")
