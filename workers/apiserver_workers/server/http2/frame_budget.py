"""How many frames a client may send that ask for nothing.

Pings, settings, priorities, window updates, empty frames and requests that are taken back at once cost a server work and
the client nothing (CVE-2019-9512 and its like, CVE-2023-44487, CVE-2024-27316). Each takes tokens out of one bucket, which
fills with time and with what the client gets: whoever takes long answers sends many window updates.
"""

from __future__ import annotations

from apiserver_workers.server.http2.errors import ENHANCE_YOUR_CALM, ConnectionFault

CAPACITY = 2000.0
PER_STREAM = 6.0  # more room for each stream that may be open: a client may end all of them at once
PER_SECOND = 100.0
SENT_PER_TOKEN = 1024  # bytes of answers
PER_PIECE = 2  # tokens for a piece of an answer that a client takes whole: some give credit for each at once

PING = 2
SETTINGS = 10
PRIORITY = 1
WINDOW_UPDATE = 1
EMPTY = 5  # a DATA or CONTINUATION frame without content that ends nothing
UNKNOWN = 1
CLOSED = 1  # a frame for a stream that is no longer there
RESET = 4  # of a request under way
FAULT = 10  # a request that is refused without an answer


class FrameBudget:
    """The bucket of one connection."""

    __slots__ = ("_capacity", "_left", "_since")

    def __init__(self, streams: int, now: float) -> None:
        self._capacity = self._left = CAPACITY + PER_STREAM * streams
        self._since = now

    def spend(self, cost: int, now: float) -> None:
        """Raises ConnectionFault when there were too many."""
        self._left -= cost
        if self._left < 0:
            self._left = min(self._capacity, self._left + (now - self._since) * PER_SECOND)
            self._since = now
            if self._left < 0:
                raise ConnectionFault(ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    def earn(self, sent: int, pieces: int = 0) -> None:
        """The client got so many bytes, among them so many pieces of answers that it took whole."""
        self._left = min(self._capacity, self._left + sent / SENT_PER_TOKEN + pieces * PER_PIECE)
