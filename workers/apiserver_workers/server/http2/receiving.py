"""What a client may send ahead: flow control of the bodies of requests (RFC 9113, section 5.2).

Each stream has a window, and gets credit for what was taken of its body. The connection has one too: it only limits how much
the server may hold for a stranger, so as long as nobody is known it gets credit for what was taken as well. A client that is
known gets a window for all its streams together and credit for whatever comes, so that a body which nobody reads never
keeps others waiting.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from apiserver_workers.server.http2.errors import FLOW_CONTROL_ERROR, ConnectionFault, StreamFault
from apiserver_workers.storage.transport.frames import DEFAULT_WINDOW, MAX_WINDOW, window_update

if TYPE_CHECKING:
    from apiserver_workers.server.http2.output import Output
    from apiserver_workers.server.http2.stream import Stream

BODY_WINDOW = 256 << 10  # of one stream, as upstream
CREDIT_FROM = BODY_WINDOW // 4  # less than this is not worth a frame
STRANGERS_CREDIT_FROM = DEFAULT_WINDOW // 4


class ReceiveWindow:
    """The receiving windows of one connection."""

    __slots__ = ("_credit_from", "_output", "_owed", "_trusted", "_whole", "_window")

    def __init__(self, output: Output, streams: int) -> None:
        self._output = output
        self._window = DEFAULT_WINDOW
        self._whole = min(BODY_WINDOW * streams, MAX_WINDOW)
        self._owed = 0
        self._credit_from = STRANGERS_CREDIT_FROM
        self._trusted = False

    def arrived(self, stream: Stream | None, size: int, *, padding: int) -> None:
        """A DATA frame of a stream, or of one that is no more. Raises ConnectionFault and StreamFault."""
        self._window -= size
        if self._window < 0:
            raise ConnectionFault(FLOW_CONTROL_ERROR, "more than the connection's window")
        if stream is None:
            self._credit(size)
            return
        if self._trusted:
            self._credit(size)
        else:
            stream.uncredited += size - padding
            self._credit(padding)
        stream.receivable -= size
        if stream.receivable < 0:
            raise StreamFault(FLOW_CONTROL_ERROR, "more than the stream's window")
        if padding:
            self._credit_stream(stream, padding)

    def taken(self, stream: Stream, size: int) -> None:
        """So much of the stream's body was taken."""
        if stream.uncredited:
            credit = min(size, stream.uncredited)
            stream.uncredited -= credit
            self._credit(credit)
        if not stream.closed:
            self._credit_stream(stream, size)
        self._output.flush()

    def forget(self, stream: Stream) -> None:
        """The stream is no more, and what came of its body neither."""
        self._credit(stream.uncredited)
        stream.uncredited = 0

    def trust(self, streams: Iterable[Stream]) -> None:
        """It is known who the client is."""
        self._trusted = True
        self._credit_from = self._whole // 4
        self._owed += self._whole - DEFAULT_WINDOW
        for stream in streams:
            self._owed += stream.uncredited
            stream.uncredited = 0
        self._credit(0)
        self._output.flush()

    def _credit(self, size: int) -> None:
        self._owed += size
        if self._owed >= self._credit_from:
            self._output.control(window_update(0, self._owed))
            self._window += self._owed
            self._owed = 0

    def _credit_stream(self, stream: Stream, size: int) -> None:
        stream.owed += size
        if stream.owed >= CREDIT_FROM and not stream.remote_closed:
            self._output.control(window_update(stream.id, stream.owed))
            stream.receivable += stream.owed
            stream.owed = 0
