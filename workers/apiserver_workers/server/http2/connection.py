"""HTTP/2 over one connection (RFC 9113): frames in, one handler call per stream, frames out.

`frame_reader.py` cuts the bytes into frames and checks their form. Here is what they mean: streams begin (`on_fields`), get
bodies, are taken back, get windows. `output.py` writes. A stream that has begun is handled once all of what came with its
head has been read, so that a small body is there as a whole; a larger one is an upload, which nobody reads before it is known
who sends it. What a client may send ahead is limited by windows (`receiving.py`).

How it ends is in `farewell.py`.
"""

from __future__ import annotations

import asyncio
import random
from typing import Any

from apiserver_workers.server.http.connections import Connections
from apiserver_workers.server.http.http1 import ProtocolError, RequestHead, refusal_text
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.patience import HEAD_TIMEOUT, IDLE_TIMEOUT, Patience
from apiserver_workers.server.http.peer import peer_certificates
from apiserver_workers.server.http.refusals import HEAD_TOO_LARGE, refusal
from apiserver_workers.server.http.request_info import RequestInfo
from apiserver_workers.server.http2 import frame_budget
from apiserver_workers.server.http2.errors import (
    CANCEL,
    INADEQUATE_SECURITY,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
    ConnectionFault,
    StreamFault,
)
from apiserver_workers.server.http2.farewell import CLOSE_WITHIN, LINGER, Farewell
from apiserver_workers.server.http2.frame_budget import FrameBudget
from apiserver_workers.server.http2.frame_reader import FrameReader
from apiserver_workers.server.http2.head_room import HeadRoom
from apiserver_workers.server.http2.hpack_fields import Field
from apiserver_workers.server.http2.output import Output
from apiserver_workers.server.http2.receiving import ReceiveWindow
from apiserver_workers.server.http2.recent import RecentStreams
from apiserver_workers.server.http2.request_heads import check_trailers, request_head
from apiserver_workers.server.http2.security import is_adequate
from apiserver_workers.server.http2.setting_frames import own_settings, read_settings
from apiserver_workers.server.http2.stream import Stream
from apiserver_workers.server.http2.unauthenticated import has_to_leave, is_known
from apiserver_workers.storage.transport.frames import (
    ACK,
    PING,
    RST_STREAM,
    SETTINGS,
    frame,
    word,
)


class Http2Connection(asyncio.Protocol):
    """One client connection. `config.app` is the worker's application: its `handle` answers requests."""

    def __init__(self, config: Any, state: Connections, loop: asyncio.AbstractEventLoop) -> None:
        self.handler = config.app.handle
        self._state = state
        self._loop = loop
        self._max_streams = state.http2.max_streams
        self._budget = FrameBudget(self._max_streams, loop.time())
        self._streams: dict[int, Stream] = {}
        self._arrived: list[Stream] = []  # begun, and not handled yet
        self._recent = RecentStreams()
        self.last = 0  # the newest stream of the client
        self._known = False  # somebody who is not anonymous has sent a request
        self._room = HeadRoom(state, loop)
        self._patience = Patience(loop)
        self.stopping = False

    # ---- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        tls = transport.get_extra_info("ssl_object")
        self.certificates = peer_certificates(tls) if tls is not None else ()
        peer = transport.get_extra_info("peername")
        self.client: str = peer[0] if isinstance(peer, tuple) else ""  # it may have gone already
        self.output = Output(self.transport, self._budget, self._loop)
        self._farewell = Farewell(self, self.output, self.transport, self._loop)
        self._receiving = ReceiveWindow(self.output, self._max_streams)
        self._reader = FrameReader(self, self.transport, self._budget, self._loop)
        self._state.add_stranger(self)
        self._state.connections.add(self)  # type: ignore[arg-type]
        self._patience.wait(HEAD_TIMEOUT)
        self.output.control(own_settings(self._max_streams))
        if tls is not None and not is_adequate(tls):
            self.on_fault(ConnectionFault(INADEQUATE_SECURITY, "HTTP/2 needs TLS 1.2 with an AEAD cipher"))
            return
        self.output.flush()
        if self._state.closing:
            self.stopping = True
            self.go_away()

    def connection_lost(self, exc: Exception | None) -> None:
        self._farewell.end()
        self._state.connections.discard(self)
        self._state.strangers.pop(self, None)
        self._lose_streams()

    def _lose_streams(self) -> None:
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.lose()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)

    def eof_received(self) -> bool:
        return False  # TLS closes both ways

    def pause_writing(self) -> None:
        self.output.paused = True
        self._patience.pause(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self.output.paused = False
        self._patience.resume(self.transport.get_write_buffer_size())
        self._patience.relax()
        self._wait()
        self.output.flush()

    def _wait(self) -> None:
        """A client without a request has to send one."""
        if not self._streams and not self.output.paused:
            self._patience.wait(IDLE_TIMEOUT)

    def expire(self, now: float) -> None:
        """Close the connection or reset streams of which a deadline has passed."""
        if self.output.paused:
            self._patience.gain(self.transport.get_write_buffer_size(), now)
        try:
            self._room.check(now)
        except ConnectionFault as fault:
            self.on_fault(fault)
        if self._patience.is_over(now):
            if self._streams or self.output.paused or self._farewell.has_begun:
                self.transport.abort()
            else:
                self.go_away()
                self._patience.wait(LINGER)
        else:
            for stream in list(self._streams.values()):
                stream.expire(now)
            self.output.flush()

    def patience(self) -> Patience:
        """For a stream of which the client takes nothing."""
        return Patience(self._loop)

    # ---- closing

    def go_away(self, *, at_once: bool = False) -> None:
        """Close once the streams have ended, and let the client use another connection from now on."""
        self._farewell.begin(at_once=at_once)

    def stop_reading(self) -> None:
        """Nothing that comes is of interest any more."""
        self._reader.close()
        self._room.leave()

    @property
    def is_idle(self) -> bool:
        """Whether no stream is open."""
        return not self._streams

    def on_fault(self, fault: ConnectionFault) -> None:
        """The client's frames make no sense: what it asked for is lost."""
        if not self._farewell.is_over:
            self._farewell.end()
            self._lose_streams()
            self._farewell.fail(fault)

    def retire(self, now: float) -> None:
        """Another worker takes over: nothing ends early, but the client is to use another connection."""
        self.stopping = True
        self.go_away()

    def shutdown(self) -> None:
        """The server stops: requests finish, watches and other long streams end now."""
        self.stopping = True
        self.go_away()
        for stream in list(self._streams.values()):
            if stream.is_long and stream.answer is not None:
                stream.answer.end()
        self._loop.call_later(CLOSE_WITHIN, self._cut_long)

    def _cut_long(self) -> None:
        for stream in list(self._streams.values()):
            if stream.is_long:
                self.reset(stream, CANCEL)

    def abort(self) -> None:
        """Close at once, whatever goes on."""
        self.transport.abort()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or an answer is still on its way out."""
        return bool(self._streams) or self.transport.get_write_buffer_size() > 0

    @property
    def is_watch(self) -> bool:
        """Whether a watch is being answered."""
        return any(stream.answer is not None and stream.answer.request.is_watch for stream in self._streams.values())

    @property
    def streams(self) -> list[RequestInfo]:
        """What is asked for by the requests whose answers are streams."""
        return [info for stream in self._streams.values() if (info := stream.streams) is not None]

    # ---- streams

    def on_fields(self, number: int, fields: list[Field], *, oversized: bool, end: bool) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            self._end_with_trailers(stream, fields, end=end)
        elif number <= self.last or not number & 1:
            self._on_old_stream(number)
        else:
            self.last = number
            if number <= self._farewell.last:
                self._begin(number, fields, oversized=oversized, end=end)
            else:
                self._recent.add(number, ended=False)

    def _end_with_trailers(self, stream: Stream, fields: list[Field], *, end: bool) -> None:
        if stream.remote_closed:
            raise StreamFault(STREAM_CLOSED, "the request had ended")
        if not end:
            raise StreamFault(PROTOCOL_ERROR, "trailers that end nothing")
        check_trailers(fields)
        stream.end_request()

    def _on_old_stream(self, number: int) -> None:
        ended = self._recent.ended(number)
        if ended is None:
            raise ConnectionFault(PROTOCOL_ERROR, "a stream of a wrong number")
        if ended:
            raise ConnectionFault(STREAM_CLOSED, "a stream that has ended")
        self._spend(frame_budget.CLOSED)  # trailers that were on their way

    def _begin(self, number: int, fields: list[Field], *, oversized: bool, end: bool) -> None:
        if len(self._streams) >= self._max_streams:
            raise StreamFault(REFUSED_STREAM, "too many streams")
        try:
            if oversized:
                raise ProtocolError(*HEAD_TOO_LARGE)
            head, declared = request_head(fields)
            if end and declared:
                raise StreamFault(PROTOCOL_ERROR, "a body shorter than declared")
        except ProtocolError as error:
            self._refuse(number, error, end=end)
            return
        stream = self._open(number, head, declared, end=end)
        self._arrived.append(stream)
        if self._state.http2.goaway_chance and random.random() < self._state.http2.goaway_chance:
            self.go_away()

    def _open(self, number: int, head: RequestHead | None, declared: int | None, *, end: bool) -> Stream:
        stream = Stream(self, number, head, declared, window=self.output.stream_window)
        stream.remote_closed = end
        self._streams[number] = stream
        if not self.output.paused:  # else the deadline is that of the answers which the client does not take
            self._patience.handle()
        return stream

    def _refuse(self, number: int, error: ProtocolError, *, end: bool) -> None:
        """Answer what is not to be handled."""
        self._spend(frame_budget.FAULT)
        text = error.text if error.status == HEAD_TOO_LARGE[0] else refusal_text(error)
        self._open(number, None, None, end=end).refuse(refusal(error.status, text))

    def on_pause(self) -> None:
        """All that had come was read: handle what has begun, and write what there is to say."""
        arrived, self._arrived = self._arrived, []
        for stream in arrived:
            if not stream.closed:
                stream.start(self._loop)
        self.output.flush()

    def finished(self, stream: Stream) -> None:
        """The answer is out."""
        if self._streams.pop(stream.id, None) is None:
            return
        if not stream.remote_closed:
            self._send_reset(stream.id, NO_ERROR)  # the rest of the body is not wanted
        self._settle(stream)

    def reset(self, stream: Stream, code: int) -> None:
        """End a stream from our side before its answer is out."""
        self._streams.pop(stream.id, None)
        if not self._farewell.is_over:
            self._send_reset(stream.id, code)
        stream.lose()
        self._settle(stream)

    def _send_reset(self, number: int, code: int) -> None:
        self.output.control(frame(RST_STREAM, 0, number, word.pack(code)))
        self.output.flush()

    def _settle(self, stream: Stream) -> None:
        """A stream is no more."""
        self._recent.add(stream.id, ended=stream.remote_closed)
        self._receiving.forget(stream)
        self._wait()
        self._farewell.close_if_idle()

    def learn(self, request: Request) -> None:
        """Whoever is no stranger keeps the connection, however many there are, and may send more at once."""
        if not self._known and is_known(request):
            self._known = True
            self._state.strangers.pop(self, None)
            self._receiving.trust(self._streams.values())

    def judge(self, request: Request, status: int) -> None:
        """The request is answered: whoever is not authenticated may not go on here, as upstream."""
        if has_to_leave(request, status):
            self.go_away(at_once=True)

    def credit(self, stream: Stream, size: int) -> None:
        """So much of a body was taken."""
        self._receiving.taken(stream, size)

    # ---- frames

    def on_data(self, number: int, data: bytes, size: int, *, end: bool) -> None:
        stream = self._streams.get(number)
        if number > self.last:
            raise ConnectionFault(PROTOCOL_ERROR, "data of no stream")
        self._receiving.arrived(stream, size, padding=size - len(data))
        if stream is None:
            self._spend(frame_budget.CLOSED)
            if self._recent.ended(number) is not False:
                self._send_reset(number, STREAM_CLOSED)
            return
        if stream.remote_closed:
            raise StreamFault(STREAM_CLOSED, "the request had ended")
        stream.receive(data)
        if end:
            stream.end_request()

    def on_reset(self, number: int) -> None:
        if number > self.last:
            raise ConnectionFault(PROTOCOL_ERROR, "a reset of no stream")
        stream = self._streams.pop(number, None)
        self._spend(frame_budget.CLOSED if stream is None else frame_budget.RESET)
        if stream is not None:
            stream.remote_closed = True
            stream.lose()
            self._settle(stream)

    def on_stream_fault(self, number: int, fault: StreamFault) -> None:
        try:
            self._spend(frame_budget.FAULT)
        except ConnectionFault as calm:
            self.on_fault(calm)
            return
        stream = self._streams.get(number)
        if stream is not None:
            self.reset(stream, fault.code)
        elif number > self.last:
            self.on_fault(ConnectionFault(fault.code, str(fault)))
        else:
            self._recent.add(number, ended=False)
            self._send_reset(number, fault.code)

    def on_settings(self, payload: bytes) -> None:
        self.output.set_window(read_settings(payload, self.output.stream_window), self._streams.values())
        self.output.control(frame(SETTINGS, ACK, 0))

    def on_ping(self, payload: bytes) -> None:
        self.output.control(frame(PING, ACK, 0, payload))

    def on_goaway(self) -> None:
        """The client begins nothing more here."""
        self.go_away()

    def on_window_update(self, number: int, credit: int) -> None:
        if not number:
            self.output.widen(credit)
            return
        if number > self.last:
            raise ConnectionFault(PROTOCOL_ERROR, "a window of no stream")
        if (stream := self._streams.get(number)) is not None:
            self.output.widen_stream(stream, credit)

    def on_block_size(self, size: int) -> None:
        if size:
            self._room.take(size)
        else:
            self._room.leave()

    def _spend(self, cost: int) -> None:
        self._budget.spend(cost, self._loop.time())
