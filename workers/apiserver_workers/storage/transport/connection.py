"""One HTTP/2 connection to one etcd endpoint.

The connection reads frames and gives them to its streams. It answers pings, keeps both flow-control windows, and ends
calls that are past their deadline. It never reconnects: when it is lost, every call on it fails, and the channel makes
the next one.

Liveness: while calls are open and nothing has arrived for a while, it sends a ping; without an answer in time it is lost.
A connection that another endpoint could replace is less patient when somebody waits for an answer (`HASTY`), so that a
write still has time for another member when this one hangs. etcd allows a ping every 5 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import hpack

from apiserver_workers.storage.transport import frames
from apiserver_workers.storage.transport.frames import frame_head, message_head, window_update, word
from apiserver_workers.storage.transport.streams import (
    DEADLINE_EXCEEDED,
    UNAVAILABLE,
    MessageStream,
    RpcError,
    Stream,
    UnaryCall,
)

STREAM_WINDOW = 16 * 2**20
CONNECTION_CREDIT = 64 * 2**20
TICK = 0.25
PING_SPACING = 5.5
PATIENT = 10.0, 5.0  # silence before a ping, and after it
HASTY = 2.0, 2.0

_HELLO = (
    frames.PREFACE
    + frames.settings(
        {
            frames.HEADER_TABLE_SIZE: 0,
            frames.ENABLE_PUSH: 0,
            frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            frames.MAX_FRAME_SIZE: 2**20,
        }
    )
    + window_update(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW)
)


class Connection(asyncio.Protocol):
    """Calls on one transport. `ready` is done when the server has spoken HTTP/2, and fails when it does not."""

    def __init__(self, authority: str, *, secure: bool, replaceable: bool = False) -> None:
        self.loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self.loop.create_future()
        self.open = True  # accepts new calls
        self.last_received = self.loop.time()
        self._authority = authority
        self._secure = secure
        self._replaceable = replaceable
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, Stream] = {}
        self._next_id = 1
        self._blocks: dict[str, bytes] = {}
        self._rest = b""
        self._headers: tuple[int, int, bytes] | None = None  # stream, flags and start of an unfinished header block
        self._unacknowledged = 0
        self._window = frames.DEFAULT_WINDOW
        self._stream_window = frames.DEFAULT_WINDOW
        self._frame_size = frames.DEFAULT_FRAME_SIZE
        self._max_streams = frames.MAX_WINDOW
        self._blocked: list[Stream] = []
        self._ticker: asyncio.TimerHandle | None = None
        self._pinged = 0.0  # when the ping that is not answered yet was sent
        self._last_ping = -PING_SPACING
        self._pong = b""
        self._handlers: dict[int, Callable[[int, int, bytes], None]] = {
            frames.HEADERS: self._on_headers,
            frames.CONTINUATION: self._on_continuation,
            frames.RST_STREAM: self._on_reset,
            frames.SETTINGS: self._on_settings,
            frames.PING: self._on_ping,
            frames.GOAWAY: self._on_goaway,
            frames.WINDOW_UPDATE: self._on_window_update,
        }

    # calls

    @property
    def full(self) -> bool:
        """Whether the server takes no further call at present."""
        return len(self._streams) >= self._max_streams

    def unary(self, path: str, message: bytes, deadline: float) -> UnaryCall:
        """Send a call with one answer; await its `future`."""
        call = UnaryCall(self, self._next_id, self._stream_window, deadline)
        self._begin(call, path, (), message, frames.END_STREAM)
        return call

    def stream(self, path: str, message: bytes, metadata: Iterable[tuple[str, str]] = ()) -> MessageStream:
        """Open a call with many answers and send its first message."""
        stream = MessageStream(self, self._next_id, self._stream_window, float("inf"))
        self._begin(stream, path, metadata, message, 0)
        return stream

    def send(self, stream: Stream, message: bytes) -> None:
        """Send a further message on an open stream."""
        if stream.id in self._streams:
            self._send_data(stream, message_head.pack(0, len(message)) + message, 0)

    def cancel(self, stream: Stream) -> None:
        """End a call from our side; the server is told."""
        if self._streams.pop(stream.id, None) is not None:
            self._write(frames.frame(frames.RST_STREAM, 0, stream.id, word.pack(frames.CANCEL)))

    def credit(self, stream: Stream, owed: int) -> int:
        """Give the server credit for `owed` bytes of a stream when it is worth a frame; what is still owed."""
        if owed < STREAM_WINDOW // 2:
            return owed
        self._write(window_update(stream.id, owed))
        return 0

    def close(self, reason: str = "closed") -> None:
        """Fail all calls and close the transport."""
        if self._transport is not None:
            self._transport.abort()
        self._lost(reason)

    def retire(self) -> None:
        """Take no new calls; close once those under way have ended."""
        self.open = False
        if not self._streams:
            self.close()

    def _begin(
        self, stream: Stream, path: str, metadata: Iterable[tuple[str, str]], message: bytes, flags: int
    ) -> None:
        if not self.open:  # lost while a caller waited for it
            raise RpcError(UNAVAILABLE, "connection lost", unsent=True)
        stream_id = stream.id
        block = self._blocks.get(path)
        if block is None:
            block = frames.request_block(path, self._authority, secure=self._secure, metadata=metadata)
            self._blocks[path] = block
        self._next_id = stream_id + 2
        if self._next_id > frames.MAX_WINDOW:
            self.open = False
        self._streams[stream_id] = stream
        self._start_ticking()
        head = frame_head.pack(0, len(block), frames.HEADERS, frames.END_HEADERS, stream_id)
        size = len(message) + 5
        if size <= self._frame_size and size <= self._window and size <= stream.window:
            self._window -= size
            stream.window -= size
            data = frame_head.pack(size >> 16, size & 0xFFFF, frames.DATA, flags, stream_id)
            self._write(b"".join((head, block, data, message_head.pack(0, size - 5), message)))
        else:
            self._write(head + block)
            self._send_data(stream, message_head.pack(0, len(message)) + message, flags)

    def _send_data(self, stream: Stream, data: bytes, flags: int) -> None:
        """Write as much as the windows allow; the rest waits in `stream.unsent`."""
        if stream.unsent:
            stream.unsent += data
            return
        start = 0
        while start < len(data):
            size = min(len(data) - start, self._frame_size, self._window, stream.window)
            if size <= 0:
                stream.unsent = data[start:]
                self._blocked.append(stream)
                return
            last = flags if start + size == len(data) else 0
            self._write(frames.frame(frames.DATA, last, stream.id, data[start : start + size]))
            self._window -= size
            stream.window -= size
            start += size

    def _unblock(self) -> None:
        blocked, self._blocked = self._blocked, []
        for stream in blocked:
            data, stream.unsent = stream.unsent, b""
            if stream.id in self._streams:
                self._send_data(stream, data, frames.END_STREAM if isinstance(stream, UnaryCall) else 0)

    def _write(self, data: bytes) -> None:
        if self._pong:
            data, self._pong = self._pong + data, b""
        if self._transport is not None:
            self._transport.write(data)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        transport.write(_HELLO)

    def data_received(self, data: bytes) -> None:
        self.last_received = self.loop.time()
        if self._rest:
            data = self._rest + data
        start, size = 0, len(data)
        try:
            while size - start >= 9:
                high, low, kind, flags, stream_id = frame_head.unpack_from(data, start)
                end = start + 9 + (high << 16 | low)
                if end > size:
                    break
                payload = data[start + 9 : end]
                start = end
                if kind == frames.DATA:
                    self._on_data(flags, stream_id, payload)
                elif kind in self._handlers:
                    self._handlers[kind](flags, stream_id, payload)
        except (hpack.HPACKError, ValueError, IndexError, frames.struct.error) as error:
            self.close(f"broken HTTP/2 from the server: {error!r}")
            return
        self._rest = data[start:]

    def eof_received(self) -> None:
        self._lost("closed by the server")

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(str(error) if error else "connection lost")

    def _lost(self, reason: str) -> None:
        self.open = False
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        if not self.ready.done():
            self.ready.set_exception(RpcError(UNAVAILABLE, reason, unsent=True))
            self.ready.exception()  # nobody may be waiting
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.fail(RpcError(UNAVAILABLE, reason))

    # frames

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._unacknowledged += len(payload)
        if self._unacknowledged >= CONNECTION_CREDIT:
            self._write(window_update(0, self._unacknowledged))
            self._unacknowledged = 0
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if flags & frames.PADDED:
            payload = frames.unpadded(payload, frames.PADDED)
        if payload:
            stream.receive(payload)
        if flags & frames.END_STREAM:
            self._streams.pop(stream_id, None)
            stream.finish({})

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        if flags & (frames.PADDED | frames.PRIORITISED):
            payload = frames.unpadded(payload, flags)
        if not flags & frames.END_HEADERS:
            self._headers = (stream_id, flags, payload)
        elif flags & frames.END_STREAM:
            headers = frames.decode_block(payload)
            stream = self._streams.pop(stream_id, None)
            if stream is not None:
                stream.finish(headers)

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._headers is None or self._headers[0] != stream_id:
            raise ValueError("CONTINUATION without HEADERS")
        _, first_flags, block = self._headers
        self._headers = None
        end_stream = first_flags & frames.END_STREAM
        self._on_headers(end_stream | flags & frames.END_HEADERS, stream_id, block + payload)

    def _on_reset(self, _flags: int, stream_id: int, payload: bytes) -> None:
        code = word.unpack(payload)[0]
        stream = self._streams.pop(stream_id, None)
        if stream is not None:
            stream.fail(RpcError(UNAVAILABLE, f"stream reset ({code})", unsent=code == frames.REFUSED_STREAM))

    def _on_settings(self, flags: int, _stream_id: int, payload: bytes) -> None:
        if flags & frames.ACK:
            return
        for name, value in frames.setting.iter_unpack(payload):
            if name == frames.INITIAL_WINDOW_SIZE:
                for stream in self._streams.values():
                    stream.window += value - self._stream_window
                self._stream_window = value
            elif name == frames.MAX_FRAME_SIZE:
                self._frame_size = value
            elif name == frames.MAX_CONCURRENT_STREAMS:
                self._max_streams = value
        self._write(frames.frame(frames.SETTINGS, frames.ACK, 0))
        self._unblock()
        if not self.ready.done():
            self.ready.set_result(None)

    def _on_ping(self, flags: int, _stream_id: int, payload: bytes) -> None:
        """etcd pings with nearly every call, to measure bandwidth: the answer goes with our next frame, or the next tick."""
        if not flags & frames.ACK:
            self._pong += frames.frame(frames.PING, frames.ACK, 0, payload)
            self._start_ticking()

    def _on_goaway(self, _flags: int, _stream_id: int, payload: bytes) -> None:
        """Calls up to the last stream named are still answered; those behind it were never looked at."""
        self.open = False
        last = word.unpack_from(payload)[0] & frames.MAX_WINDOW
        for stream_id in [number for number in self._streams if number > last]:
            self._streams.pop(stream_id).fail(RpcError(UNAVAILABLE, "server is going away", unsent=True))

    def _on_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        credit = word.unpack(payload)[0]
        if stream_id == 0:
            self._window += credit
        elif (stream := self._streams.get(stream_id)) is not None:
            stream.window += credit
        if self._blocked:
            self._unblock()

    # time

    def _start_ticking(self) -> None:
        if self._ticker is None:
            self._ticker = self.loop.call_later(TICK, self._tick)

    def _tick(self) -> None:
        """End calls past their deadline, and check a silent connection; runs only while calls are open."""
        now = self.loop.time()
        if self._pong:
            self._write(b"")
        for stream in [stream for stream in self._streams.values() if stream.deadline <= now]:
            self.cancel(stream)
            stream.fail(RpcError(DEADLINE_EXCEEDED, "no answer within the deadline"))
        if not self._streams:
            self._ticker = None
            if not self.open:
                self.close()
            return
        if self._silent(now):
            self.close("the server has stopped answering")
            return
        self._ticker = self.loop.call_later(TICK, self._tick)

    def _silent(self, now: float) -> bool:
        """Whether a ping has gone unanswered for too long; sends one when it is time."""
        hasty = self._replaceable and any(isinstance(stream, UnaryCall) for stream in self._streams.values())
        ping_after, ping_timeout = HASTY if hasty else PATIENT
        if now - self.last_received < ping_after:
            self._pinged = 0.0
            return False
        if not self._pinged:
            if now - self._last_ping < PING_SPACING:
                return False
            self._pinged = self._last_ping = now
            self._write(frames.frame(frames.PING, 0, 0, b"liveness"))
        return now - self._pinged > ping_timeout
