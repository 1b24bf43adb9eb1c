"""The end of a connection: gracefully, at once for whoever may not go on, or for a fault.

Gracefully: GOAWAY tells the client to use another connection, streams that are on their way are still taken for a moment, a
second GOAWAY tells the last one that is, and the last answer closes the connection.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Protocol

from apiserver_workers.server.http2.errors import NO_ERROR, ConnectionFault
from apiserver_workers.server.http2.output import Output
from apiserver_workers.storage.transport.frames import GOAWAY, MAX_WINDOW, frame

PAUSE = 0.2  # between the two GOAWAYs
LINGER = 0.3  # after a fault: the client has so long to see the GOAWAY
CLOSE_WITHIN = 0.5  # TLS would wait much longer for a client that does not say goodbye

_payload = struct.Struct(">II")  # the last stream, the code


class Leaving(Protocol):
    """The connection that ends."""

    last: int  # the newest stream of the client

    @property
    def is_idle(self) -> bool:
        """Whether no stream is open."""
        ...

    def stop_reading(self) -> None:
        """Nothing that comes is of interest any more."""


class Farewell:
    """`has_begun`: the client was told. `is_over`: nothing is handled any more. `last`: the last stream that is taken."""

    def __init__(
        self, connection: Leaving, output: Output, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.has_begun = False
        self.is_over = False
        self.last = MAX_WINDOW
        self._connection = connection
        self._output = output
        self._transport = transport
        self._loop = loop

    def begin(self, *, at_once: bool = False) -> None:
        """Close once the streams have ended. `at_once`: what is on its way is not taken any more."""
        if self.has_begun or self.is_over:
            return
        self.has_begun = True
        if at_once:
            self._take_no_more()
            return
        self._say(MAX_WINDOW, NO_ERROR)
        self._output.flush()
        self._loop.call_later(PAUSE, self._take_no_more)

    def close_if_idle(self) -> None:
        """A stream has ended: if it was the last one that is taken, so does the connection."""
        if self.last == MAX_WINDOW or self.is_over or not self._connection.is_idle:
            return
        self.end()
        self._output.flush()
        self._transport.close()
        self._loop.call_later(CLOSE_WITHIN, self._transport.abort)

    def fail(self, fault: ConnectionFault) -> None:
        """The client's frames make no sense: it is told, and has a moment to read it."""
        self.end()
        self._say(self._connection.last, fault.code, fault.text)
        self._output.flush()
        self._loop.call_later(LINGER, self._transport.close)
        self._loop.call_later(2 * LINGER, self._transport.abort)

    def end(self) -> None:
        """Nothing is handled any more."""
        self.is_over = True
        self._connection.stop_reading()

    def _take_no_more(self) -> None:
        if self.is_over:
            return
        self.last = self._connection.last
        self._say(self.last, NO_ERROR)
        self._output.flush_soon()
        self.close_if_idle()

    def _say(self, last: int, code: int, text: str = "") -> None:
        self._output.control(frame(GOAWAY, 0, 0, _payload.pack(last, code) + text.encode()))
