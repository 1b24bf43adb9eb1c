"""One connection to a worker behind us: a request's bytes out, the answer's head read, its body passed on untouched.

The tiny parser here reads only what our own workers write (protocol.py, wire.py), so it looks for exact spellings.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from apiserver_workers.server.http.messages import Response, Sink
from apiserver_workers.server.http.upload import Sender, Upload

_LENGTH = b"\r\nContent-Length: "
_CHUNKED = b"\r\nTransfer-Encoding: chunked\r\n"
_CLOSE = b"\r\nConnection: close\r\n"
BODILESS = frozenset({204, 304})


class UpstreamLost(Exception):
    """The connection ended before an answer's head. `unread`: the worker never read the whole request.

    A Unix socket tells the two apart: closing one whose data was not read resets the peer, else the peer sees an end.
    """

    def __init__(self, *, unread: bool) -> None:
        super().__init__("connection to the worker lost")
        self.unread = unread


class Receiver(Protocol):
    """Takes an answer's body as it comes."""

    def data(self, data: bytes) -> None: ...

    def ended(self, *, complete: bool) -> None: ...


class Framing(Protocol):
    """Finds where a message's body ends, without changing or keeping its bytes."""

    def feed(self, data: bytes) -> bool:
        """True when `data` held the body's last byte."""
        ...


class Sized:
    def __init__(self, length: int) -> None:
        self._left = length

    def feed(self, data: bytes) -> bool:
        self._left -= len(data)
        return self._left <= 0


class Chunked:
    def __init__(self) -> None:
        self._skip = 0
        self._line = b""
        self._last = False

    def feed(self, data: bytes) -> bool:
        position, size = 0, len(data)
        while position < size:
            if self._skip:
                step = min(self._skip, size - position)
                position += step
                self._skip -= step
                if self._last and not self._skip:
                    return True
                continue
            end = data.find(b"\n", position)
            if end < 0:
                self._line += data[position:]
                return False
            length = int(self._line + data[position:end], 16)
            self._line, position = b"", end + 1
            self._last = length == 0
            self._skip = length + 2
        return False


class UntilClose:
    def feed(self, data: bytes) -> bool:
        return False


class Upstream(Sender):
    """One connection; `idle` is where it waits between requests."""

    def __init__(self, idle: list[Upstream]) -> None:
        super().__init__()
        self._idle = idle
        self._answer: asyncio.Future[Response] | None = None
        self._head = b""
        self._has_body = True
        self._framing: Framing | None = None
        self._reusable = True
        self._receiver: Receiver | None = None
        self._early: list[bytes] = []
        self._ended: bool | None = None  # whether complete, once the body is at its end
        self._paused = False
        self._unsent = False

    # ---- for the delegate

    async def ask(self, message: bytes, *, method: str, upload: Upload | None = None) -> Response:
        """Send a request, its body from `upload` if that is given; its answer, whose body is a Relay unless it has all come with the head.

        Raises UpstreamLost.
        """
        if self._transport.is_closing():
            raise UpstreamLost(unread=True)
        self._answer = asyncio.get_running_loop().create_future()
        self._has_body = method != "HEAD"
        self._head = b""
        self._ended = None
        self._unsent = False
        self._transport.write(message)
        if upload is not None:
            self.send(upload)
        try:
            return await self._answer
        except asyncio.CancelledError:
            self._transport.abort()
            raise

    def receive(self, receiver: Receiver) -> None:
        """Hand the body over from now on, with what has come meanwhile."""
        self._receiver = receiver
        early, self._early = self._early, []
        self._reading(True)
        for data in early:
            receiver.data(data)
        if self._ended is not None:
            self._end()

    def pause(self) -> None:
        self._reading(False)

    def resume(self) -> None:
        self._reading(True)

    def abort(self) -> None:
        self._receiver = None
        self._transport.abort()

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """For tunnels: the bare transport, and what has come behind the answer's head."""
        self._reading(True)
        return self._transport, b"".join(self._early)

    # ---- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._framing is not None:
            self._take(data)
        elif self._answer is not None and not self._answer.done():
            self._take_head(data)
        else:
            self._transport.abort()  # nobody asked

    def eof_received(self) -> None:
        self._unsent = self._transport.get_write_buffer_size() > 0

    def connection_lost(self, exc: Exception | None) -> None:
        self.end_sending()
        if self in self._idle:
            self._idle.remove(self)
        if self._answer is not None and not self._answer.done():
            unread = (self._unsent or isinstance(exc, ConnectionError)) and not self._head
            self._answer.set_exception(UpstreamLost(unread=unread))
        elif self._framing is not None and self._ended is None:
            self._ended = isinstance(self._framing, UntilClose) and exc is None
            self._end()

    def _take_head(self, data: bytes) -> None:
        data = self._head + data if self._head else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._head = data
            return
        head = data[: end + 2]
        status = int(head[9:12])
        self._reusable = _CLOSE not in head
        if not self._reusable:
            data = head.replace(_CLOSE, b"\r\n") + data[end + 2 :]
            end -= len(_CLOSE) - 2
        self._framing = framing = self._framing_of(head, status)
        body = data[end + 4 :]
        response = Response(status, wire=data)
        assert self._answer is not None
        if status == 101:
            response.body = Relay(self)
            self._reading(False)
            self._answer.set_result(response)
        elif framing is None or (body and framing.feed(body)):
            self._answer.set_result(response)
            self._release()
        else:
            response.wire, response.body = data[: end + 4], Relay(self)
            if body:
                self._early.append(body)
            self._answer.set_result(response)

    def _framing_of(self, head: bytes, status: int) -> Framing | None:
        """How the body ends; None when there is none."""
        if not self._has_body or status in BODILESS:
            return None
        at = head.find(_LENGTH)
        if at >= 0:
            at += len(_LENGTH)
            length = int(head[at : head.index(b"\r", at)])
            return Sized(length) if length else None
        return Chunked() if _CHUNKED in head else UntilClose()

    def _take(self, data: bytes) -> None:
        assert self._framing is not None
        ended = self._framing.feed(data)
        if self._receiver is None:
            self._early.append(data)
            self._reading(False)
        else:
            self._receiver.data(data)
        if ended and self._ended is None:
            self._ended = True
            self._end()

    def _end(self) -> None:
        """The body is at its end; nothing happens before someone has taken it."""
        receiver, complete = self._receiver, bool(self._ended)
        if receiver is None:
            return
        self._receiver = None
        if complete:
            self._release()
        receiver.ended(complete=complete)

    def _release(self) -> None:
        """Wait for the next request, unless the worker said that it closes. Never while paused: it would never wake."""
        self._framing = None
        self._reading(True)
        if self.end_sending() and self._reusable and not self._transport.is_closing():
            self._idle.append(self)
        else:
            self._transport.close()

    def _reading(self, on: bool) -> None:
        if self._paused is on and not self._transport.is_closing():
            self._paused = not on
            (self._transport.resume_reading if on else self._transport.pause_reading)()


class Relay:
    """A Pipe: an answer's body straight from the upstream connection to the client's."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._sink: Sink | None = None

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self.upstream.receive(self)

    def data(self, data: bytes) -> None:
        assert self._sink is not None
        self._sink.write(data)

    def ended(self, *, complete: bool) -> None:
        assert self._sink is not None
        self._sink.finish(complete=complete)

    def pause(self) -> None:
        self.upstream.pause()

    def resume(self) -> None:
        self.upstream.resume()

    def end(self) -> None:
        """A body cannot be cut short cleanly: it goes on to its end."""

    def close(self) -> None:
        self.upstream.abort()
