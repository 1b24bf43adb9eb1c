"""HTTP/1.1 over one connection: bytes in, one handler call per request, bytes out.

uvicorn makes one of these for each accepted connection and never sees a request: the handler is called directly. One
request runs at a time; what a client sends ahead waits in `_pending` (and, beyond a limit, in the kernel). While a request
is answered, and until the client has taken the answer but for what the transport may hold, it is the `answer` (answer.py);
without one the connection waits for a head. A request is handled as soon as its head is there: a body that has not all come
with the head is an `_upload`, which the handler takes if it wants to, so nobody's body is awaited before it is known who
sends it.

`expire` is called once a second with the time: a connection whose patience is over, or whose answer is overdue, is closed.
That replaces a timer per request.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

from apiserver_workers.authentication.interface import ANONYMOUS
from apiserver_workers.server.filters.long_running import is_long_running
from apiserver_workers.server.http.answer import Answer
from apiserver_workers.server.http.audit_id import HEADER as AUDIT_HEADER
from apiserver_workers.server.http.audit_id import LIMIT as AUDIT_LIMIT
from apiserver_workers.server.http.audit_id import new_audit_id
from apiserver_workers.server.http.connections import MAX_LARGE_HEADS, Connections
from apiserver_workers.server.http.http1 import (
    MAX_HEAD,
    ProtocolError,
    RequestHead,
    parse_head,
    refusal_text,
)
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.patience import HEAD_TIMEOUT, IDLE_TIMEOUT, Patience
from apiserver_workers.server.http.peer import peer_certificates, same_user
from apiserver_workers.server.http.refusals import BARE_LINE_FEED, HEAD_TOO_LARGE, TIMEOUT, refusal
from apiserver_workers.server.http.request_info import RequestInfo
from apiserver_workers.server.http.upload import Upload, upload_of

LINGER = 2.0  # after a refusal: the client has so long to see the answer
TLS_LINGER = 0.3  # TLS cannot say that nothing more will come and still read
CLOSE_WITHIN = 0.5  # at the stop: TLS would wait much longer for a client that does not say goodbye
FAREWELL = 0.2  # at the stop: how long an idle client may still send
WATCH_SETTLES = 3.0  # a watch has had its initial events by then, so that it can go on elsewhere
MAX_PENDING = 1 << 16
LARGE_HEAD = 1 << 14  # the server has only so much room for heads above this size that have not all come

_BARE_LF = re.compile(rb"(?<!\r)\n")


class HttpProtocol(asyncio.Protocol):
    """One client connection. `config.app` is the worker's application: its `handle` answers requests."""

    def __init__(
        self,
        config: Any,
        server_state: Connections,
        app_state: Any = None,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._handler = config.app.handle
        self._state = server_state
        self._connections: set[HttpProtocol] = server_state.connections  # type: ignore[assignment]
        server_state.arriving.add(self)
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._client = ""
        self._certificates: tuple[bytes, ...] = ()
        self._inner = False  # the peer is a process of this server
        self._pending = bytearray()
        self._upload: Upload | None = None
        self.answer: Answer | None = None
        self._written = False  # the last byte of the answer is with the transport
        self.paused = False
        self._patience = Patience(self._loop)
        self._known = False  # somebody who is not anonymous has sent a request
        self._counted = 0  # bytes of the head, if it is a large one
        self.stopping = False
        self.half_closed = False
        self._discarding = False

    # ---- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            self._certificates = peer_certificates(tls)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._client = peer[0]
        else:
            self._inner = same_user(transport.get_extra_info("socket"))
            if not self._inner:
                self._transport.abort()
                return
        self._known = self._inner
        if not self._known:
            self._state.add_stranger(self)
        self._state.arriving.discard(self)
        self._connections.add(self)
        self.stopping = self._state.closing
        self._patience.wait(HEAD_TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._lose_upload("the client has gone")
        answer, self.answer = self.answer, None
        if answer is not None:
            answer.lose()

    def eof_received(self) -> bool:
        """A client that has sent all it wants to may still wait for its answer, but not for a stream that may be long:
        most have gone, and nothing else would tell."""
        self.stopping = self.half_closed = True
        self._lose_upload("unexpected EOF")
        answer = self.answer
        if answer is None or answer.streaming or self._inner:
            return False
        if answer.task is None and not self._written:
            return False
        return self._transport.get_extra_info("ssl_object") is None  # TLS closes both ways

    def pause_writing(self) -> None:
        self.paused = True
        self._patience.pause(self._transport.get_write_buffer_size())
        if self.answer is not None:
            self.answer.pause()

    def resume_writing(self) -> None:
        self.paused = False
        self._patience.resume(self._transport.get_write_buffer_size())
        if not self._discarding:
            self._patience.relax()
        if self._written:
            self._complete()
        elif self.answer is not None:
            self.answer.resume()

    def expire(self, now: float) -> None:
        """Close the connection if its deadline has passed."""
        if self.paused:
            self._patience.gain(self._transport.get_write_buffer_size(), now)
        if self.answer is not None and self.answer.overdue(now):
            self._transport.abort()
        elif self._patience.is_over(now):
            if self._pending and not (self.answer is not None or self.paused or self._discarding):
                self._refuse(*TIMEOUT)
            else:
                self._transport.abort()

    def retire(self, now: float) -> None:
        """Another worker takes over: nothing ends early, but the connection closes after its next answer.

        An idle client is not cut off, because it may be about to send. The front behind an inner connection sees that a
        request was not read, and opens a watch again elsewhere if it breaks off and its initial events are through.
        """
        self.stopping = True
        if not self._inner:
            return
        answer = self.answer
        if answer is None:
            self._transport.close()
        elif answer.streaming and self.is_watch and now - answer.began > WATCH_SETTLES:
            self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: idle connections close, requests finish, watches and other long streams end now.

        An idle client may be about to send: it has a moment, and then gets an answer that says that the connection closes.
        A client's stream gets a proper end. The front behind an inner connection must rather see it break off, because only
        then does it open the watch again elsewhere; and it sees that a request was not read, so it needs no moment.
        """
        self.stopping = True
        answer = self.answer
        if answer is None:
            if self._inner:
                self._transport.close()
            else:
                self._loop.call_later(FAREWELL, self._close_idle)
        elif (info := answer.request.info) is not None and is_long_running(info):
            if self._inner:
                self._transport.abort()
            else:
                answer.end()
            self._loop.call_later(CLOSE_WITHIN, self._transport.abort)

    def abort(self) -> None:
        """Close at once, whatever goes on."""
        self._transport.abort()

    def _close_idle(self) -> None:
        """A request whose first bytes are there is no longer idle: it is read to its end and answered."""
        if self.answer is None and not self._pending:
            self._transport.close()
            self._loop.call_later(CLOSE_WITHIN - FAREWELL, self._transport.abort)

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or an answer is still on its way out."""
        return self.answer is not None or self._transport.get_write_buffer_size() > 0

    @property
    def is_watch(self) -> bool:
        """Whether a watch is being answered."""
        return self.answer is not None and self.answer.request.is_watch

    @property
    def streams(self) -> list[RequestInfo]:
        """What is asked for by the request whose answer is a stream, if there is one."""
        answer = self.answer
        if answer is None or answer.request.info is None or not (answer.streaming or answer.pipe is not None):
            return []
        return [answer.request.info]

    # ---- reading

    def data_received(self, data: bytes) -> None:
        if self._upload is not None:
            self._feed_upload(data)
        elif self._discarding:
            return
        elif self.answer is not None or self.paused:
            self._pending += data
            if len(self._pending) > MAX_PENDING:
                self._transport.pause_reading()
        else:
            self._feed_head(data)

    def _feed_head(self, data: bytes) -> None:
        if self._pending:
            searched = max(0, len(self._pending) - 3)
            self._pending += data
            end = self._pending.find(b"\r\n\r\n", searched)
            if end >= 0:
                data = bytes(self._pending)
                self._pending.clear()
        else:
            searched = 0
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self._pending += data
                self._patience.wait(HEAD_TIMEOUT)
        if end > MAX_HEAD or (end < 0 and not self._has_room()):
            self._refuse(*HEAD_TOO_LARGE)
        elif end >= 0:
            self._begin(data, end)
        elif _BARE_LF.search(self._pending, searched):
            self._refuse(*BARE_LINE_FEED)

    def _has_room(self) -> bool:
        """Whether a head that has not all come may go on."""
        size = len(self._pending)
        if size <= LARGE_HEAD:
            return True
        self._state.large_heads += size - self._counted
        self._counted = size
        return size <= MAX_HEAD and self._state.large_heads <= MAX_LARGE_HEADS

    def _forget_size(self) -> None:
        self._state.large_heads -= self._counted
        self._counted = 0

    def _begin(self, data: bytes, end: int) -> None:
        """A head is complete: answer it."""
        self._forget_size()
        try:
            head = parse_head(data[:end])
        except ProtocolError as error:
            self._refuse(error.status, refusal_text(error))
            return
        rest = data[end + 4 :]
        if head.block.chunked or len(rest) < head.length or (head.length and "/proxy" in head.path):
            self._begin_upload(head, rest)  # also what may be passed on, so that it can be paced
        else:
            self._dispatch(head, rest[: head.length], rest[head.length :])

    def _begin_upload(self, head: RequestHead, rest: bytes) -> None:
        """The handler takes the body while it comes, or refuses it."""
        self._upload = upload_of(head, self._transport)
        self._dispatch(head, b"", b"")
        self._feed_upload(rest)

    def _feed_upload(self, data: bytes) -> None:
        assert self._upload is not None
        try:
            rest = self._upload.feed(data)
        except ProtocolError as error:
            self.stopping = True
            self._lose_upload(error.text)
            return
        if rest is not None:
            self._upload = None
            self._pending += rest

    def _lose_upload(self, why: str) -> None:
        if self._upload is not None:
            self._upload.lose(why)

    def _dispatch(self, head: RequestHead, body: bytes, rest: bytes) -> None:
        self._patience.handle()
        self._pending += rest
        self._written = False
        self.answer = answer = Answer(self, self._transport, self._make_request(head, body), head)
        answer.start(self._loop, self._handler)

    def _make_request(self, head: RequestHead, body: bytes) -> Request:
        headers = head.block.headers.copy()
        audit_id = head.audit_id or headers.get(AUDIT_HEADER, "")[:AUDIT_LIMIT] or new_audit_id()
        return Request(
            method=head.method,
            path=head.path,
            raw_query=head.raw_query,
            headers=headers,
            body=body,
            repeated=head.block.repeated,
            client=self._client,
            peer_certificates=self._certificates,
            audit_id=audit_id,
            hijack=self._hijack if head.block.upgrade else None,
            head=head,
            upload=self._upload,
        )

    # ---- for the answer

    def closes_after(self, head: RequestHead) -> bool:
        """Whether the connection is to close after the answer to this request."""
        return self.stopping or not head.keep_alive or self._upload is not None

    def learn(self, request: Request) -> None:
        """Whoever is no stranger keeps the connection, however many there are."""
        if not self._known and request.user is not None and request.user.name != ANONYMOUS:
            self._known = True
            self._state.strangers.pop(self, None)

    def answered(self, *, close: bool) -> None:
        """The last byte of the answer is with the transport: turn to the next request once the client has taken it."""
        self._written = True
        self.stopping = self.stopping or close
        if self._upload is not None and not self.half_closed:  # the client still sends
            upload, self._upload = self._upload, None
            self._linger()
            upload.release()
        if not self.paused:  # else this waits for resume_writing, and the write deadline stays
            self._complete()

    def _complete(self) -> None:
        """The answer is out: its request is over."""
        answer, self.answer = self.answer, None
        self._written = False
        if answer is not None:
            answer.request.complete(whole=True)
        if self._discarding:
            return
        if self.stopping:
            self._transport.close()
        else:
            self._turn_to_next()

    def _turn_to_next(self) -> None:
        self._patience.wait(IDLE_TIMEOUT)
        if self._pending:
            data = bytes(self._pending)
            self._pending.clear()
            self._transport.resume_reading()
            self._feed_head(data)

    def _refuse(self, status: int, text: str) -> None:
        """Answer what is no request, and close."""
        self._transport.write(refusal(status, text))
        self._pending.clear()
        self._linger()

    def _linger(self) -> None:
        """Close, but read on for a moment what the client still sends, so that it sees the answer and no reset."""
        self._discarding = True
        self._patience.wait(LINGER)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._loop.call_later(TLS_LINGER, self._transport.close)
            self._loop.call_later(2 * TLS_LINGER, self._transport.abort)  # closing, it no longer reads

    def _forget(self) -> None:
        self._connections.discard(self)
        self._state.strangers.pop(self, None)
        self._forget_size()

    def _hijack(self) -> tuple[asyncio.Transport, bytes]:
        """Hand over the transport, and what was read: the caller sets its own protocol, and completes the request."""
        self._forget()
        self._state.add_tunnel(self._transport)
        self.answer = None
        self._patience.relax()
        rest = bytes(self._pending)
        self._pending.clear()
        return self._transport, rest
