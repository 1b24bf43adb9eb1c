"""Bytes into frames: their form is checked here (RFC 9113, sections 3.4, 4 and 6), what they mean is for the connection.

Every frame is checked against one table: on the connection or on a stream, and how long. Header blocks are put together and
decoded here, because nothing may come between their parts. A large block is decoded by a thread, and everything behind it
waits; so does what comes behind many frames, so that no client has the event loop for long.
"""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple, Protocol

from apiserver_workers.server.http.http1 import MAX_HEAD
from apiserver_workers.server.http2 import frame_budget
from apiserver_workers.server.http2.errors import (
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    ConnectionFault,
    StreamFault,
)
from apiserver_workers.server.http2.frame_budget import FrameBudget
from apiserver_workers.server.http2.hpack_fields import Field, FieldDecoder
from apiserver_workers.storage.transport.frames import (
    ACK,
    CONTINUATION,
    DATA,
    DEFAULT_FRAME_SIZE,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    MAX_WINDOW,
    PADDED,
    PING,
    PREFACE,
    PRIORITISED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame_head,
    word,
)

AT_ONCE = 500  # frames before others have their turn
DECODED_AT_ONCE = 32 << 10  # bytes of header blocks, likewise
LARGE_BLOCK = 16 << 10  # decoded by a thread
MAX_WAITING = 1 << 16  # bytes that wait to be read before the client is held back
ANY = 1 << 24


class Form(NamedTuple):
    """`on_stream`: None for frames that may be of either; a wrong length is the fault of one stream if `mild`."""

    on_stream: bool | None
    shortest: int = 0
    longest: int = ANY
    mild: bool = False


FORMS = {
    DATA: Form(True),
    HEADERS: Form(True),
    PRIORITY: Form(True, 5, 5, mild=True),
    RST_STREAM: Form(True, 4, 4),
    SETTINGS: Form(False),
    PING: Form(False, 8, 8),
    GOAWAY: Form(False, 8),
    WINDOW_UPDATE: Form(None, 4, 4),
    CONTINUATION: Form(True),
}


class FrameHandler(Protocol):
    """What the frames are told to. Both faults may be raised by all of these."""

    def on_data(self, number: int, data: bytes, size: int, *, end: bool) -> None:
        """`size` is what counts for flow control."""

    def on_fields(self, number: int, fields: list[Field], *, oversized: bool, end: bool) -> None: ...

    def on_reset(self, number: int) -> None: ...

    def on_settings(self, payload: bytes) -> None: ...

    def on_ping(self, payload: bytes) -> None: ...

    def on_goaway(self) -> None: ...

    def on_window_update(self, number: int, credit: int) -> None: ...

    def on_block_size(self, size: int) -> None:
        """So many bytes of a header block have come; 0: it is whole."""

    def on_pause(self) -> None:
        """All that can be read at present was read."""

    def on_fault(self, fault: ConnectionFault) -> None: ...

    def on_stream_fault(self, number: int, fault: StreamFault) -> None: ...


class _Block:
    """A header block of which not all has come."""

    __slots__ = ("data", "end", "fault", "number")

    def __init__(self, number: int, end: bool, data: bytes, fault: StreamFault | None) -> None:
        self.number = number
        self.end = end
        self.data = bytearray(data)
        self.fault = fault


class FrameReader:
    """The reading side of one connection."""

    def __init__(
        self,
        handler: FrameHandler,
        transport: asyncio.Transport,
        budget: FrameBudget,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._handler = handler
        self._transport = transport
        self._budget = budget
        self._loop = loop
        self._decoder = FieldDecoder()
        self._waiting = bytearray()
        self._begun = False  # the preface has come
        self._greeted = False  # so have the first settings
        self._block: _Block | None = None
        self._needed = len(PREFACE)  # bytes before anything can be read
        self._held = False  # something is to be done before more is read
        self._decoded = 0  # bytes of header blocks in this turn
        self._decoding: asyncio.Task[None] | None = None
        self._closed = False

    def close(self) -> None:
        """Read nothing more."""
        self._closed = True
        self._waiting.clear()
        self._block = None
        if self._decoding is not None:
            self._decoding.cancel()

    def feed(self, data: bytes) -> None:
        """Read what has come."""
        if self._closed:
            return
        if self._waiting or self._held:
            self._waiting += data
            if self._held:
                if len(self._waiting) > MAX_WAITING:
                    self._transport.pause_reading()
                return
            if len(self._waiting) < self._needed:
                return
            data = bytes(self._waiting)
            self._waiting.clear()
        self._read(data)

    def _read(self, data: bytes) -> None:
        position = 0
        try:
            if not self._begun:
                position = self._read_preface(data)
            if self._begun:
                position = self._read_frames(data, position)
        except ConnectionFault as fault:
            self.close()
            self._handler.on_fault(fault)
            return
        if not self._closed:
            self._waiting += memoryview(data)[position:]
            self._handler.on_pause()

    def _read_preface(self, data: bytes) -> int:
        start = data[: len(PREFACE)]
        if not PREFACE.startswith(start):
            raise ConnectionFault(PROTOCOL_ERROR, "no preface of HTTP/2")
        if len(start) < len(PREFACE):
            return 0
        self._begun = True
        return len(PREFACE)

    def _read_frames(self, data: bytes, position: int) -> int:
        """Where the first frame begins that has not all come."""
        size = len(data)
        self._decoded = 0
        for _ in range(AT_ONCE):
            if size - position < 9:
                self._needed = 9
                return position
            high, low, kind, flags, number = frame_head.unpack_from(data, position)
            length = high << 16 | low
            if length > DEFAULT_FRAME_SIZE:
                raise ConnectionFault(FRAME_SIZE_ERROR, "a frame is too large")
            end = position + 9 + length
            if end > size:
                self._needed = 9 + length
                return position
            number &= MAX_WINDOW
            try:
                self._read_frame(kind, flags, number, data[position + 9 : end])
            except StreamFault as fault:
                self._handler.on_stream_fault(number, fault)
            position = end
            if self._held or self._closed:
                return position
            if self._decoded > DECODED_AT_ONCE:
                break
        self._held = True
        self._loop.call_soon(self._go_on)
        return position

    def _go_on(self) -> None:
        """What held the reader is done."""
        self._held = False
        if self._closed:
            return
        if not self._transport.is_closing():
            self._transport.resume_reading()
        if self._waiting:
            data = bytes(self._waiting)
            self._waiting.clear()
            self._read(data)

    def _read_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and (kind != CONTINUATION or number != self._block.number):
            raise ConnectionFault(PROTOCOL_ERROR, "a header block is not continued")
        if not self._greeted:
            if kind != SETTINGS or flags & ACK:
                raise ConnectionFault(PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._greeted = True
        form = FORMS.get(kind)
        if form is None:
            if kind == PUSH_PROMISE:
                raise ConnectionFault(PROTOCOL_ERROR, "clients do not push")
            self._spend(frame_budget.UNKNOWN)
            return
        if form.on_stream is not None and form.on_stream is not bool(number):
            raise ConnectionFault(PROTOCOL_ERROR, "a frame of the wrong stream")
        if not form.shortest <= len(payload) <= form.longest:
            if form.mild:
                raise StreamFault(FRAME_SIZE_ERROR, "a frame of the wrong length")
            raise ConnectionFault(FRAME_SIZE_ERROR, "a frame of the wrong length")
        _READERS[kind](self, flags, number, payload)

    def _spend(self, cost: int) -> None:
        self._budget.spend(cost, self._loop.time())

    # ---- one method for each type of frame

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        data = _unpadded(payload) if flags & PADDED else payload
        end = bool(flags & END_STREAM)
        if not data and not end:
            self._spend(frame_budget.EMPTY)
        self._handler.on_data(number, data, len(payload), end=end)

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & PADDED:
            payload = _unpadded(payload)
        fault = None
        if flags & PRIORITISED:
            if len(payload) < 5:
                raise ConnectionFault(FRAME_SIZE_ERROR, "a priority is cut short")
            fault = _self_dependency(number, payload)
            payload = payload[5:]
        self._block = _Block(number, bool(flags & END_STREAM), payload, fault)
        self._continue(flags)

    def _continuation(self, flags: int, number: int, payload: bytes) -> None:
        block = self._block
        if block is None:
            raise ConnectionFault(PROTOCOL_ERROR, "nothing is continued")
        if not payload and not flags & END_HEADERS:
            self._spend(frame_budget.EMPTY)
        if len(block.data) + len(payload) > MAX_HEAD:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "a header block is too long")
        block.data += payload
        self._continue(flags)

    def _continue(self, flags: int) -> None:
        block = self._block
        assert block is not None
        if not flags & END_HEADERS:
            self._handler.on_block_size(len(block.data))
            return
        self._block = None
        self._handler.on_block_size(0)
        data = bytes(block.data)
        if len(data) > LARGE_BLOCK:
            self._held = True
            self._decoding = self._loop.create_task(self._decode_apart(block, data))
        else:
            self._decoded += len(data)
            self._tell(block, self._decoder.decode(data))

    async def _decode_apart(self, block: _Block, data: bytes) -> None:
        try:
            fields = await self._loop.run_in_executor(None, self._decoder.decode, data)
            self._tell(block, fields)
        except StreamFault as fault:
            self._handler.on_stream_fault(block.number, fault)
        except ConnectionFault as fault:
            self.close()
            self._handler.on_fault(fault)
            return
        self._decoding = None
        if not self._closed:
            self._handler.on_pause()
        self._go_on()

    def _tell(self, block: _Block, fields: list[Field]) -> None:
        oversized = self._decoder.oversized
        self._handler.on_fields(block.number, fields, oversized=oversized, end=block.end)
        if block.fault is not None:
            raise block.fault

    def _priority(self, flags: int, number: int, payload: bytes) -> None:
        self._spend(frame_budget.PRIORITY)
        fault = _self_dependency(number, payload)
        if fault is not None:
            raise fault

    def _rst_stream(self, flags: int, number: int, payload: bytes) -> None:
        self._handler.on_reset(number)

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        self._spend(frame_budget.SETTINGS)
        if flags & ACK:
            if payload:
                raise ConnectionFault(FRAME_SIZE_ERROR, "an acknowledgement with a content")
        elif len(payload) % 6:
            raise ConnectionFault(FRAME_SIZE_ERROR, "a setting is cut short")
        else:
            self._handler.on_settings(payload)

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        self._spend(frame_budget.PING)
        if not flags & ACK:
            self._handler.on_ping(payload)

    def _goaway(self, flags: int, number: int, payload: bytes) -> None:
        self._spend(frame_budget.SETTINGS)
        self._handler.on_goaway()

    def _window_update(self, flags: int, number: int, payload: bytes) -> None:
        self._spend(frame_budget.WINDOW_UPDATE)
        credit = word.unpack(payload)[0] & MAX_WINDOW
        if not credit:
            if number:
                raise StreamFault(PROTOCOL_ERROR, "a credit of nothing")
            raise ConnectionFault(PROTOCOL_ERROR, "a credit of nothing")
        self._handler.on_window_update(number, credit)


_READERS: dict[int, Any] = {
    DATA: FrameReader._data,
    HEADERS: FrameReader._headers,
    PRIORITY: FrameReader._priority,
    RST_STREAM: FrameReader._rst_stream,
    SETTINGS: FrameReader._settings,
    PING: FrameReader._ping,
    GOAWAY: FrameReader._goaway,
    WINDOW_UPDATE: FrameReader._window_update,
    CONTINUATION: FrameReader._continuation,
}


def _unpadded(payload: bytes) -> bytes:
    if not payload:
        raise ConnectionFault(FRAME_SIZE_ERROR, "a frame without its padding's length")
    padding = payload[0]
    if padding >= len(payload):
        raise ConnectionFault(PROTOCOL_ERROR, "a frame of more padding than content")
    return payload[1 : len(payload) - padding]


def _self_dependency(number: int, payload: bytes) -> StreamFault | None:
    if word.unpack_from(payload)[0] & MAX_WINDOW == number:
        return StreamFault(PROTOCOL_ERROR, "a stream depends on itself")
    return None
