"""How long a connection may make no progress: a time by which something has to have happened, looked at once a second."""

from __future__ import annotations

import asyncio

HEAD_TIMEOUT = 32.0  # upstream's ReadHeaderTimeout
IDLE_TIMEOUT = 90.0
WRITE_TIMEOUT = 60.0  # so long a client may take nothing of an answer
MIN_RATE = 8192  # bytes a second by which a slow client gains time


class Patience:
    """The deadline of one connection: that of a head, of the next request, or of an answer that its client does not take."""

    __slots__ = ("_credit", "_deadline", "_loop", "_unsent")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._deadline = 0.0  # the event loop's time, 0: none
        self._credit = WRITE_TIMEOUT  # how long the client may take nothing
        self._unsent = 0

    def wait(self, seconds: float) -> None:
        """Something has to happen within these seconds."""
        self._deadline = self._loop.time() + seconds

    def handle(self) -> None:
        """A request is being handled: the client is waited for again when it does not take the answer."""
        self._deadline = 0.0
        self._credit = WRITE_TIMEOUT

    def relax(self) -> None:
        """Nobody is waited for."""
        self._deadline = 0.0

    def pause(self, unsent: int) -> None:
        """The client does not take what was written; the transport holds so many bytes."""
        self._unsent = unsent
        self._deadline = self._loop.time() + self._credit

    def gain(self, unsent: int, now: float) -> None:
        """The transport holds so much now. A client that takes an answer slowly has the longer the more it takes."""
        if unsent < self._unsent:
            self._deadline = min(self._deadline + (self._unsent - unsent) / MIN_RATE, now + WRITE_TIMEOUT)
        self._unsent = unsent

    def resume(self, unsent: int) -> None:
        """The client takes more: what is left of the time is for the rest of the answer."""
        now = self._loop.time()
        self.gain(unsent, now)
        self._credit = max(0.0, self._deadline - now)

    def is_over(self, now: float) -> bool:
        """Whether the time has passed."""
        return 0.0 < self._deadline <= now
