"""HTTP/1.1 over one connection: bytes in, one handler call per request, bytes out.

uvicorn makes one of these for each accepted connection and never sees a request: the handler is called directly. One
request runs at a time; what a client sends ahead waits in `_pending` (and, beyond a limit, in the kernel). A connection
is in one of three states, told by what it holds: `_task` or `_pipe` while a request is being answered, `_paused` while
the client does not take the last answer, none of them while it waits for a head. A request is handled as soon as its head
is there: a body that has not all come with the head is an `_upload`, which the handler takes if it wants to, so nobody's
body is awaited before it is known who sends it.

`expire` is called once a second with the time: a connection that has made no progress by its `_deadline` is closed. That
replaces a timer per request.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError, internal_error
from apiserver_workers.authentication.interface import ANONYMOUS
from apiserver_workers.server.filters.long_running import is_long_running
from apiserver_workers.server.http.audit_id import HEADER as AUDIT_HEADER
from apiserver_workers.server.http.audit_id import LIMIT as AUDIT_LIMIT
from apiserver_workers.server.http.audit_id import new_audit_id
from apiserver_workers.server.http.connections import MAX_LARGE_HEADS, Connections
from apiserver_workers.server.http.http1 import (
    MAX_HEAD,
    ChunkedReader,
    FixedReader,
    ProtocolError,
    RequestHead,
    parse_head,
    refusal_text,
)
from apiserver_workers.server.http.messages import Handler, Pipe, Request, Response, status_response, text_response
from apiserver_workers.server.http.peer import peer_certificates, same_user
from apiserver_workers.server.http.request_info import RequestInfo
from apiserver_workers.server.http.upload import Upload
from apiserver_workers.server.http.wire import BODILESS, relayed_head, response_head
from apiserver_workers.server.process.logs import audit_id

HEAD_TIMEOUT = 32.0  # upstream's ReadHeaderTimeout
IDLE_TIMEOUT = 90.0
WRITE_TIMEOUT = 60.0  # so long a client may take nothing of an answer
MIN_RATE = 8192  # bytes a second by which a slow client gains time
LINGER = 2.0  # after a refusal: the client has so long to see the answer
TLS_LINGER = 0.3  # TLS cannot say that nothing more will come and still read
CLOSE_WITHIN = 0.5  # at the stop: TLS would wait much longer for a client that does not say goodbye
FAREWELL = 0.2  # at the stop: how long an idle client may still send
WATCH_SETTLES = 3.0  # a watch has had its initial events by then, so that it can go on elsewhere
MAX_PENDING = 1 << 16
LARGE_HEAD = 1 << 14  # the server has only so much room for heads above this size that have not all come
ENDLESS = 1 << 62
JOIN_BELOW = 1 << 16

_BARE_LF = re.compile(rb"(?<!\r)\n")

logger = logging.getLogger("apiserver.http")


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
        self._head: RequestHead | None = None
        self._upload: Upload | None = None
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._pipe: Pipe | None = None
        self._streaming = False
        self._began = 0.0  # when the stream did
        self._drained: asyncio.Future[None] | None = None
        self._paused = False
        self._credit = WRITE_TIMEOUT  # how long the client may take nothing
        self._unsent = 0
        self._known = False  # somebody who is not anonymous has sent a request
        self._counted = 0  # bytes of the head, if it is a large one
        self._deadline = 0.0
        self._stopping = False
        self._half_closed = False
        self._discarding = False
        self._refusal: Handler | None = None

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
        self._stopping = self._state.closing
        self._deadline = self._loop.time() + HEAD_TIMEOUT

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        self._lose_upload("the client has gone")
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None
        if self._drained is not None and not self._drained.done():
            self._drained.cancel()
        if self._task is not None:
            self._task.cancel()

    def eof_received(self) -> bool:
        """A client that has sent all it wants to may still wait for its answer, but not for a stream that may be long:
        most have gone, and nothing else would tell."""
        self._stopping = self._half_closed = True
        self._lose_upload("unexpected EOF")
        waits = self._task is not None and not self._streaming and not self._inner
        return waits and self._transport.get_extra_info("ssl_object") is None  # TLS closes both ways

    def pause_writing(self) -> None:
        self._paused = True
        self._unsent = self._transport.get_write_buffer_size()
        self._deadline = self._loop.time() + self._credit
        if self._pipe is not None:
            self._pipe.pause()

    def resume_writing(self) -> None:
        now = self._loop.time()
        self._gain_time(now)
        self._paused = False
        self._credit = max(0.0, self._deadline - now)
        self._deadline = 0.0
        if self._pipe is not None:
            self._pipe.resume()
        elif self._task is None and not self._discarding:
            self._turn_to_next()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _gain_time(self, now: float) -> None:
        """A client that takes an answer slowly has the longer the more it takes."""
        left = self._transport.get_write_buffer_size()
        if left < self._unsent:
            self._deadline = min(self._deadline + (self._unsent - left) / MIN_RATE, now + WRITE_TIMEOUT)
        self._unsent = left

    def expire(self, now: float) -> None:
        """Close the connection if its deadline has passed."""
        if self._paused:
            self._gain_time(now)
        if not self._deadline or now < self._deadline:
            return
        if self._pending and not (self._answering or self._paused or self._discarding):
            self._refuse(408, "408 Request Timeout")
        else:
            self._transport.abort()

    def retire(self, now: float) -> None:
        """Another worker takes over: nothing ends early, but the connection closes after its next answer.

        An idle client is not cut off, because it may be about to send. The front behind an inner connection sees that a
        request was not read, and opens a watch again elsewhere if it breaks off and its initial events are through.
        """
        self._stopping = True
        if self._inner and not self._answering:
            self._transport.close()
        elif self._inner and self._streaming and self.is_watch and now - self._began > WATCH_SETTLES:
            self._transport.abort()

    def shutdown(self) -> None:
        """The server stops: idle connections close, requests finish, watches and other long streams end now.

        An idle client may be about to send: it has a moment, and then gets an answer that says that the connection closes.
        A client's stream gets a proper end. The front behind an inner connection must rather see it break off, because only
        then does it open the watch again elsewhere; and it sees that a request was not read, so it needs no moment.
        """
        self._stopping = True
        if not self._answering:
            if self._inner:
                self._transport.close()
            else:
                self._loop.call_later(FAREWELL, self._close_idle)
        elif self._is_long():
            if self._inner:
                self._transport.abort()
            elif self._pipe is not None:
                self._pipe.end()
            elif self._task is not None and self._streaming:
                self._task.cancel()
            self._loop.call_later(CLOSE_WITHIN, self._transport.abort)

    def exchange(self, others: Mapping[Handler, Handler]) -> None:
        """Let another handler answer in the place of the present one from the next request on."""
        self._handler = others.get(self._handler, self._handler)

    def abort(self) -> None:
        """Close at once, whatever goes on."""
        self._transport.abort()

    def _close_idle(self) -> None:
        """A request whose first bytes are there is no longer idle: it is read to its end and answered."""
        if not self._answering and not self._pending:
            self._transport.close()
            self._loop.call_later(CLOSE_WITHIN - FAREWELL, self._transport.abort)

    @property
    def _answering(self) -> bool:
        return self._task is not None or self._pipe is not None

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or an answer is still on its way out."""
        return self._answering or self._transport.get_write_buffer_size() > 0

    @property
    def is_watch(self) -> bool:
        """Whether a watch is being answered."""
        info = self._request.info if self._request is not None else None
        return info is not None and info.verb == "watch"

    def _is_long(self) -> bool:
        info = self._request.info if self._request is not None else None
        return info is not None and is_long_running(info)

    @property
    def streams(self) -> RequestInfo | None:
        """What is asked for by the request whose answer is a stream, if there is one."""
        return self._request.info if self._request is not None and (self._pipe or self._streaming) else None

    # ---- reading

    def data_received(self, data: bytes) -> None:
        if self._upload is not None:
            self._feed_upload(data)
        elif self._task is not None or self._pipe is not None or self._paused:
            self._pending += data
            if len(self._pending) > MAX_PENDING:
                self._transport.pause_reading()
        elif not self._discarding:
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
                self._deadline = self._loop.time() + HEAD_TIMEOUT
        if end > MAX_HEAD or (end < 0 and not self._has_room()):
            self._refuse(431, "431 Request Header Fields Too Large")
        elif end >= 0:
            self._begin(data, end)
        elif _BARE_LF.search(self._pending, searched):
            self._refuse(400, "400 Bad Request: bare line feed")

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
        if self._counted:
            self._forget_size()
        try:
            head = parse_head(data[:end])
        except ProtocolError as error:
            self._refuse(error.status, refusal_text(error))
            return
        self._head = head
        self._refusal = self._state.refusal  # what began before the stop is served, however long its body takes
        rest = data[end + 4 :]
        if head.block.chunked or len(rest) < head.length or (head.length and "/proxy" in head.path):
            self._begin_upload(head, rest)  # also what may be passed on, so that it can be paced
        else:
            self._dispatch(head, rest[: head.length], rest[head.length :])

    def _begin_upload(self, head: RequestHead, rest: bytes) -> None:
        """The handler takes the body while it comes, or refuses it."""
        chunked = head.block.chunked
        self._upload = Upload(
            self._transport,
            ChunkedReader(ENDLESS) if chunked else FixedReader(head.length),
            None if chunked else head.length,
            expects_continue=head.block.expects_continue and not head.http10,
        )
        self._dispatch(head, b"", b"")
        self._feed_upload(rest)

    def _feed_upload(self, data: bytes) -> None:
        assert self._upload is not None
        try:
            rest = self._upload.feed(data)
        except ProtocolError as error:
            self._stopping = True
            self._lose_upload(error.text)
            return
        if rest is not None:
            self._upload = None
            self._pending += rest

    def _lose_upload(self, why: str) -> None:
        if self._upload is not None:
            self._upload.lose(why)

    def _dispatch(self, head: RequestHead, body: bytes, rest: bytes) -> None:
        self._deadline = 0.0
        self._credit = WRITE_TIMEOUT
        self._pending += rest
        self._request = request = self._make_request(head, body)
        self._task = self._loop.create_task(self._answer(request, head))

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

    # ---- answering

    async def _answer(self, request: Request, head: RequestHead) -> None:
        audit_id.set(request.audit_id)
        try:
            handler: Any = self._refusal or self._handler
            response = await handler(request)
        except ApiError as error:
            response = status_response(error)
        except Exception:
            logger.exception("request %s failed: %s %s", request.audit_id, request.method, request.path)
            response = status_response(internal_error("the request failed unexpectedly"))
        if not self._known and request.user is not None and request.user.name != ANONYMOUS:
            self._known = True
            self._state.strangers.pop(self, None)
        self._task, task = None, self._task
        if self._request is not request or self._transport.is_closing():  # hijacked, or the client has gone
            await _discard(response)
            return
        body = response.body
        if self._half_closed and (self.is_watch or isinstance(body, AsyncIterator)):
            await _discard(response)
            self._transport.close()
            return
        close = self._stopping or not head.keep_alive or self._upload is not None
        if response.wire:
            self._relay(relayed_head(request, response, close=close), body, close=close)
        elif isinstance(body, bytes):
            self._write_whole(request, response, [body], len(body), close=close)
        elif isinstance(body, Sequence):
            self._write_whole(request, response, body, sum(map(len, body)), close=close)
        else:
            self._task = task
            assert isinstance(body, AsyncIterator)
            await self._stream(request, response, body, chunked=not head.http10, close=close)

    def _write_whole(
        self, request: Request, response: Response, body: Sequence[bytes], length: int, *, close: bool
    ) -> None:
        bodiless = response.status in BODILESS
        head = response_head(request, response, length=None if bodiless else length, chunked=False, close=close)
        if bodiless or request.method == "HEAD":
            self._transport.write(head)
        elif length < JOIN_BELOW:
            self._transport.write(head + b"".join(body))
        else:
            self._transport.writelines([head, *body])
        self._done(close=close)

    def _relay(self, head: bytes, body: Any, *, close: bool) -> None:
        self._transport.write(head)
        if isinstance(body, bytes):
            self._done(close=close)
        else:
            self._pipe = body
            self._stopping = close
            if self._paused:
                body.pause()
            body.start(self)

    async def _stream(
        self, request: Request, response: Response, body: AsyncIterator[bytes], *, chunked: bool, close: bool
    ) -> None:
        close = close or not chunked
        self._streaming, self._began = True, self._loop.time()
        self._transport.write(response_head(request, response, length=None, chunked=chunked, close=close))
        complete = request.method == "HEAD"
        try:
            if not complete:
                async for chunk in body:
                    if chunk:
                        self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                    if self._paused:
                        await self._drain()
                complete = True
        except asyncio.CancelledError:
            complete = self._stopping  # by shutdown, or because the client has gone
        except Exception:
            logger.exception("stream %s broke off: %s %s", request.audit_id, request.method, request.path)
        finally:
            self._streaming = False
            self._task = None
            await _close(body)
        if self._transport.is_closing():
            return  # the client has gone
        if complete and chunked and request.method != "HEAD":
            self._transport.write(b"0\r\n\r\n")
        self.finish(complete=complete, close=close)

    async def _drain(self) -> None:
        self._drained = self._loop.create_future()
        try:
            await self._drained
        finally:
            self._drained = None

    def write(self, data: bytes) -> None:
        """For pipes: bytes for the client, framing included."""
        self._transport.write(data)

    def finish(self, *, complete: bool, close: bool = False) -> None:
        """For pipes and streams: the answer is at its end."""
        self._pipe = None
        if not complete:
            self._transport.abort()
        else:
            self._done(close=close or self._stopping)

    def _done(self, *, close: bool) -> None:
        """An answer has been written: turn to the next request."""
        self._request = self._head = None
        if self._upload is not None and not self._half_closed:
            self._discard_upload()
            return
        if close or self._stopping:
            self._transport.close()
            return
        if not self._paused:  # else this waits for resume_writing, and the write deadline stays
            self._turn_to_next()

    def _turn_to_next(self) -> None:
        self._deadline = self._loop.time() + IDLE_TIMEOUT
        if self._pending:
            data = bytes(self._pending)
            self._pending.clear()
            self._transport.resume_reading()
            self._feed_head(data)

    def _refuse(self, status: int, text: str) -> None:
        """Answer what is not to be handled."""
        request = Request("", "", "", {}, audit_id=new_audit_id())
        response = text_response(text, status)
        assert isinstance(response.body, bytes)
        head = response_head(request, response, length=len(response.body), chunked=False, close=True)
        self._transport.write(head + response.body)
        self._pending.clear()
        self._linger()

    def _discard_upload(self) -> None:
        """The answer is out and the client still sends."""
        upload, self._upload = self._upload, None
        assert upload is not None
        self._linger()
        upload.release()

    def _linger(self) -> None:
        """Close, but read on for a moment what the client still sends, so that it sees the answer and no reset."""
        self._discarding = True
        self._deadline = self._loop.time() + LINGER
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
        """Hand the connection over: the caller sets its own protocol on the transport and is given what was read."""
        self._forget()
        self._state.add_tunnel(self._transport)
        self._request = None
        self._deadline = 0.0
        rest = bytes(self._pending)
        self._pending.clear()
        return self._transport, rest


async def _close(body: Any) -> None:
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()


async def _discard(response: Response) -> None:
    if hasattr(response.body, "close"):
        response.body.close()
    else:
        await _close(response.body)
