"""What a connection writes: control frames and heads at once, bodies within the client's flow-control windows.

Streams with something to send stand in a queue; each sends one frame and goes to its end, so that no stream waits for all of
another. Only so much is given to the transport as it takes; the rest stays with the streams, which hold back those who write.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from apiserver_workers.server.http2.errors import FLOW_CONTROL_ERROR, ConnectionFault, StreamFault
from apiserver_workers.server.http2.frame_budget import FrameBudget
from apiserver_workers.server.http2.stream import HIGH_WATER, LOW_WATER
from apiserver_workers.storage.transport.frames import (
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_SIZE,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    MAX_WINDOW,
    frame,
    frame_head,
)

if TYPE_CHECKING:
    import asyncio

    from apiserver_workers.server.http2.stream import Stream

FRAME_SIZE = DEFAULT_FRAME_SIZE  # of our DATA frames, whatever the client allows: streams take turns
SMALL = 1 << 14  # less than this of one stream waits for others of the same turn
AT_ONCE = 1 << 16  # bytes between two looks at whether the transport takes more


class Output:
    """The sending side of one connection."""

    def __init__(self, transport: asyncio.Transport, budget: FrameBudget, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._budget = budget
        self.window = DEFAULT_WINDOW  # of the connection
        self.stream_window = DEFAULT_WINDOW  # of new streams
        self.paused = False  # the transport takes no more
        self._ready: deque[Stream] = deque()
        self._out: list[bytes] = []
        self._flushing = False
        self._due = False  # a flush is called soon

    def control(self, data: bytes) -> None:
        """A whole frame. It is written with the next flush."""
        self._out.append(data)

    def headers(self, stream: Stream, block: bytes, *, end: bool) -> None:
        """A head, written with the next flush. `end`: there is no body."""
        flags = END_STREAM if end else 0
        if len(block) <= FRAME_SIZE:
            size = len(block)
            self._out.append(
                frame_head.pack(size >> 16, size & 0xFFFF, HEADERS, flags | END_HEADERS, stream.id) + block
            )
            return
        self._out.append(frame(HEADERS, flags, stream.id, block[:FRAME_SIZE]))
        for start in range(FRAME_SIZE, len(block), FRAME_SIZE):
            last = END_HEADERS if start + FRAME_SIZE >= len(block) else 0
            self._out.append(frame(CONTINUATION, last, stream.id, block[start : start + FRAME_SIZE]))

    def data(self, stream: Stream, data: bytes, *, end: bool = False) -> None:
        """A piece of a body."""
        size = len(data)
        if end and 0 < size <= FRAME_SIZE and not (stream.unsent or self._ready or self.paused):
            if size <= stream.window and size <= self.window:
                self._last_frame(stream, data, size)
                return
        if data:
            stream.waiting.append(memoryview(data) if size > FRAME_SIZE else data)
            stream.unsent += size
        stream.ends = end
        self.enqueue(stream)
        if stream.unsent < SMALL:
            self.flush_soon()
            return
        self.flush()
        if stream.unsent > HIGH_WATER and not (stream.paused or stream.closed):
            stream.paused = True
            if stream.answer is not None:
                stream.answer.pause()

    def _last_frame(self, stream: Stream, data: bytes, size: int) -> None:
        """All of a body that is short, as most are."""
        self._out += (frame_head.pack(0, size, DATA, END_STREAM, stream.id), data)
        stream.window -= size
        self.window -= size
        stream.sent += size
        stream.ends = True
        self._budget.earn(size, 1)
        self.flush_soon()
        stream.all_sent()

    def enqueue(self, stream: Stream) -> None:
        """Let the stream send if it has something to send and may."""
        if not stream.queued and not stream.ended and (stream.window > 0 if stream.unsent else stream.ends):
            stream.queued = True
            self._ready.append(stream)

    def flush_soon(self) -> None:
        """Write once for all that is to be written in this turn of the event loop: watches often tell the same at once."""
        if not self._due:
            self._due = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._due = False
        self.flush()

    def flush(self) -> None:
        """Write what may be written."""
        if self._flushing or not (self._out or self._ready):
            return  # whoever is at it goes on
        self._flushing = True
        sent: list[Stream] = []
        try:
            self._send_bodies(sent)
        finally:
            self._flushing = False
        for stream in sent:
            if stream.ends and not stream.unsent and not stream.ended:
                stream.all_sent()
            elif stream.paused and stream.unsent < LOW_WATER:
                stream.relieve()

    def widen(self, credit: int) -> None:
        """The client takes more on this connection. Raises ConnectionFault."""
        self.window += credit
        if self.window > MAX_WINDOW:
            raise ConnectionFault(FLOW_CONTROL_ERROR, "the connection's window is too large")

    def widen_stream(self, stream: Stream, credit: int) -> None:
        """The client takes more of this stream. Raises StreamFault."""
        stream.window += credit
        if stream.window > MAX_WINDOW:
            raise StreamFault(FLOW_CONTROL_ERROR, "the stream's window is too large")
        self.enqueue(stream)

    def set_window(self, window: int, streams: Iterable[Stream]) -> None:
        """The client says what it takes of each stream, of those that are open too. Raises ConnectionFault."""
        change = window - self.stream_window
        self.stream_window = window
        if not change:
            return
        for stream in streams:
            stream.window += change
            if stream.window > MAX_WINDOW:
                raise ConnectionFault(FLOW_CONTROL_ERROR, "a stream's window is too large")
            self.enqueue(stream)

    def _send_bodies(self, sent: list[Stream]) -> None:
        out, ready = self._out, self._ready
        size = total = whole = 0
        while ready and not self.paused:
            stream = ready[0]
            if self.window <= 0 and stream.unsent:
                if not self._skip_to_bodiless():
                    break
                continue
            ready.popleft()
            stream.queued = False
            if stream.closed:
                continue
            count = self._send_frame(stream)
            size += count
            total += count
            if stream.unsent:
                self.enqueue(stream)
            else:
                whole += 1
            if not stream.unsent or stream.paused:
                sent.append(stream)
            if size >= AT_ONCE:
                self._transport.write(b"".join(out))
                out.clear()
                size = 0
        if out:
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
            out.clear()
        if total:
            self._budget.earn(total, whole)

    def _skip_to_bodiless(self) -> bool:
        """The connection's window is empty: bring a stream to the front that only has to end."""
        for stream in self._ready:
            if not stream.unsent:
                self._ready.remove(stream)
                self._ready.appendleft(stream)
                return True
        return False

    def _send_frame(self, stream: Stream) -> int:
        """One DATA frame; how much is in it."""
        unsent = stream.unsent
        if not unsent:
            self._out.append(frame_head.pack(0, 0, DATA, END_STREAM, stream.id))
            return 0
        size = min(FRAME_SIZE, stream.window, self.window, unsent)
        if size <= 0:
            return 0
        flags = END_STREAM if stream.ends and size == unsent else 0
        self._out.append(frame_head.pack(size >> 16, size & 0xFFFF, DATA, flags, stream.id))
        self._take(stream.waiting, size)
        stream.window -= size
        self.window -= size
        stream.unsent = unsent - size
        stream.sent += size
        return size

    def _take(self, waiting: deque[bytes | memoryview], size: int) -> None:
        """Move so many bytes from what waits to what is written."""
        while size:
            piece = waiting.popleft()
            if len(piece) > size:
                waiting.appendleft(memoryview(piece)[size:])
                piece = piece[:size]
            self._out.append(piece)  # type: ignore[arg-type]
            size -= len(piece)
