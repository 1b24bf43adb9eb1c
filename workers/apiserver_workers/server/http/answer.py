"""One request from its dispatch to its end: the handler's task, the bytes of the response, the end told once.

An Answer is what a connection has while it answers. The handler runs in its `task`. Then the response is written: a whole
body at once, a stream by the same task, a Pipe by whoever fills it, for which the Answer is the Sink. When the last byte
is with the transport the connection is told (`answered`); it completes the request once the transport holds little of it.
If the connection is lost before, the request is completed as cut short (`lose`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

from apiserver_workers.server.http.http1 import RequestHead
from apiserver_workers.server.http.messages import Handler, Pipe, Request, Response, text_response
from apiserver_workers.server.http.wire import BODILESS, relayed_head, response_head
from apiserver_workers.server.process.logs import audit_id

JOIN_BELOW = 1 << 16  # bytes of a body that is joined with its head
FAILED = "Internal Server Error\n"

logger = logging.getLogger("apiserver.http")


class Client(Protocol):
    """The connection that an Answer goes to."""

    answer: Answer | None  # the present one; another one or none: this one's connection has been handed over or lost
    paused: bool  # the client does not take what was written
    stopping: bool  # the connection closes after this answer
    half_closed: bool  # the client has ended its side

    def closes_after(self, head: RequestHead) -> bool:
        """Whether the connection is to close after the answer to this request."""
        ...

    def learn(self, request: Request) -> None:
        """The handler has returned: it is known by now who asks."""

    def answered(self, *, close: bool) -> None:
        """The last byte of the answer is with the transport."""


class Answer:
    """The Sink of the response's Pipe, if it has one."""

    __slots__ = (
        "_client",
        "_close",
        "_drained",
        "_head",
        "_transport",
        "began",
        "pipe",
        "request",
        "streaming",
        "task",
    )

    def __init__(self, client: Client, transport: asyncio.Transport, request: Request, head: RequestHead) -> None:
        self.request = request
        self._client = client
        self._transport = transport
        self._head = head
        self._close = False
        self._drained: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None
        self.pipe: Pipe | None = None
        self.streaming = False
        self.began = 0.0  # the event loop's time when the stream did

    # ---- for the connection

    def start(self, loop: asyncio.AbstractEventLoop, handler: Handler) -> None:
        """Let the handler answer."""
        self.task = loop.create_task(self._run(handler))

    def pause(self) -> None:
        """The client takes no more for now."""
        if self.pipe is not None:
            self.pipe.pause()

    def resume(self) -> None:
        """The client takes more."""
        if self.pipe is not None:
            self.pipe.resume()
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def end(self) -> None:
        """The server stops: end a stream cleanly, where that is possible."""
        if self.pipe is not None:
            self.pipe.end()
        elif self.streaming and self.task is not None:
            self.task.cancel()

    def lose(self) -> None:
        """The connection has gone before the answer was written."""
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            pipe.close()
        if self.task is not None:
            self.task.cancel()
        self.request.complete(whole=False)

    def overdue(self, now: float) -> bool:
        """Whether the answer should have been out by now; while the handler runs that is for the chain to say."""
        deadline = self.request.deadline
        return 0.0 < deadline <= now and (self.task is None or self.streaming)

    # ---- answering

    async def _run(self, handler: Handler) -> None:
        request = self.request
        audit_id.set(request.audit_id)
        try:
            response = await handler(request)
        except Exception:
            logger.exception("request %s failed: %s %s", request.audit_id, request.method, request.path)
            response = text_response(FAILED, 500)
        client = self._client
        client.learn(request)
        if client.answer is not self or self._transport.is_closing():  # hijacked, or the client has gone
            self.task = None
            await _discard(response)
            return
        body = response.body
        if client.half_closed and (isinstance(body, AsyncIterator) or request.is_watch):
            self.task = None
            await _discard(response)
            self._transport.close()
            return
        request.answer(response)
        self._close = client.closes_after(self._head)
        if not response.wire and isinstance(body, AsyncIterator):
            await self._stream(response, body)
            return
        self.task = None
        if response.wire:
            self._relay(response)
        else:
            self._write_whole(response, [body] if isinstance(body, bytes) else body)  # type: ignore[arg-type]

    def _write_whole(self, response: Response, body: Sequence[bytes]) -> None:
        bodiless = response.status in BODILESS
        size = sum(map(len, body))
        length = None if bodiless else size
        head = response_head(self.request, response, length=length, chunked=False, close=self._close)
        if bodiless or self.request.method == "HEAD":
            self._transport.write(head)
        elif size < JOIN_BELOW:
            self._transport.write(head + b"".join(body))
        else:
            self._transport.writelines([head, *body])
        self._client.answered(close=self._close)

    def _relay(self, response: Response) -> None:
        """An answer made by another process, whose body may be a Pipe."""
        self._transport.write(relayed_head(response, close=self._close))
        body: Any = response.body
        if isinstance(body, bytes):
            self._client.answered(close=self._close)
            return
        self.pipe = body
        if self._client.paused:
            body.pause()
        body.start(self)

    async def _stream(self, response: Response, body: AsyncIterator[bytes]) -> None:
        chunked = not self._head.http10
        self._close = self._close or not chunked
        self.streaming, self.began = True, asyncio.get_running_loop().time()
        self._transport.write(response_head(self.request, response, length=None, chunked=chunked, close=self._close))
        bodiless = self.request.method == "HEAD"
        complete = bodiless
        try:
            if not bodiless:
                await self._copy(body, chunked=chunked)
                complete = True
        except asyncio.CancelledError:
            complete = self._client.stopping  # by `end`, or because the client has gone
        except Exception:
            request = self.request
            logger.exception("stream %s broke off: %s %s", request.audit_id, request.method, request.path)
        finally:
            self.streaming = False
            self.task = None
            await _close(body)
        if self._transport.is_closing():
            return  # the client has gone
        if complete and chunked and not bodiless:
            self._transport.write(b"0\r\n\r\n")
        self.finish(complete=complete)

    async def _copy(self, body: AsyncIterator[bytes], *, chunked: bool) -> None:
        client, transport = self._client, self._transport
        async for chunk in body:
            if chunk:
                transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
            if client.paused:
                await self._drain()

    async def _drain(self) -> None:
        self._drained = asyncio.get_running_loop().create_future()
        try:
            await self._drained
        finally:
            self._drained = None

    # ---- for pipes

    def write(self, data: bytes) -> None:
        """Bytes for the client, framing included."""
        self._transport.write(data)

    def finish(self, *, complete: bool) -> None:
        """The body is at its end. An incomplete one closes the connection, which then is lost."""
        self.pipe = None
        if complete:
            self._client.answered(close=self._close)
        else:
            self._transport.abort()


async def _close(body: Any) -> None:
    aclose = getattr(body, "aclose", None)
    if aclose is not None:
        await aclose()


async def _discard(response: Response) -> None:
    if hasattr(response.body, "close"):
        response.body.close()
    else:
        await _close(response.body)
