"""One connection to a backend: a request's bytes out, the answer's head parsed, its body as it comes.

Backends are not ours, so their answers are read strictly and framed anew. After 101 Switching Protocols the bare
transport can be taken over.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from dataclasses import dataclass

from apiserver_workers.apimachinery.integers import natural
from apiserver_workers.server.delegation.tunnel import read_nothing_ahead
from apiserver_workers.server.http.http1 import ChunkedReader, ProtocolError
from apiserver_workers.server.http.upload import Sender, Upload
from apiserver_workers.server.proxy.location import Location

MAX_HEAD = 1 << 20
MAX_WAITING = 1 << 18  # bytes of a body that nobody takes before reading pauses
BODILESS = frozenset({204, 304})
ENDLESS = 1 << 62
_UPGRADE = b"\r\nConnection: Upgrade\r\n"
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9][0-9](?: |$)")


class BackendError(Exception):
    """The backend broke off, or what it said is not HTTP."""


@dataclass(slots=True)
class Answer:
    """A backend's answer: `head` are its bytes as they came, with the empty line."""

    status: int
    headers: list[tuple[str, str]]
    head: bytes
    length: int | None
    body: Body

    def header(self, name: str) -> str:
        """The first header of that lower-case name, or ""."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    def named_by_connection(self) -> set[str]:
        """The lower-case names of the headers that are for this hop alone."""
        told = (value for name, value in self.headers if name.lower() == "connection")
        return {token.strip().lower() for value in told for token in value.split(",")}


class Body:
    """The rest of the answer, piece by piece. Closing it closes the connection."""

    def __init__(self, connection: BackendConnection) -> None:
        self._connection = connection

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        """Raises BackendError when the answer breaks off."""
        data = await self._connection.take()
        if data is None:
            self._connection.close()
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    async def read(self, limit: int = ENDLESS) -> bytes:
        """What is left of the body, of which at most about `limit` bytes are awaited; then the connection closes."""
        pieces: list[bytes] = []
        try:
            while sum(map(len, pieces)) < limit:
                pieces.append(await anext(self))
        except StopAsyncIteration:
            pass
        finally:
            self._connection.close()
        return b"".join(pieces)


async def connect(location: Location) -> BackendConnection:
    """A connection to the location's host. Raises OSError (TimeoutError and ssl.SSLError among them)."""
    async with asyncio.timeout(location.timeout):
        *others, last = location.addresses or (location.host,)
        for address in others:
            with contextlib.suppress(OSError):
                return await _dial(location, address)
        return await _dial(location, last)


async def _dial(location: Location, address: str) -> BackendConnection:
    loop = asyncio.get_running_loop()
    name = (location.server_name or location.host) if location.tls is not None else None
    _, connection = await loop.create_connection(
        BackendConnection, address, location.dialled_port or location.port, ssl=location.tls, server_hostname=name
    )
    return connection


class BackendConnection(Sender):
    """Call `ask`, then read the answer's body or, after 101, `detach`. While it is `reusable`, `ask` may be called again."""

    def __init__(self) -> None:
        super().__init__()
        self._head = bytearray()
        self._answer: asyncio.Future[Answer] | None = None
        self._has_body = True
        self._may_switch = False
        self._framing: ChunkedReader | None = None
        self._left = ENDLESS
        self._pieces: deque[bytes] = deque()
        self._waiting = 0
        self._wake: asyncio.Future[None] | None = None
        self._ended = False
        self._fault = ""

    async def ask(self, message: bytes, *, method: str, upload: Upload | None = None) -> Answer:
        """Send a request, its body from `upload` if that is given; its answer. Raises BackendError."""
        if self._transport.is_closing():
            raise BackendError("EOF")
        self._answer = asyncio.get_running_loop().create_future()
        self._has_body = method != "HEAD"
        self._may_switch = _UPGRADE in message.partition(b"\r\n\r\n")[0]
        self._framing, self._left, self._ended = None, ENDLESS, False
        self._transport.write(message)
        if upload is not None:
            self.send(upload)
        try:
            return await self._answer
        except BaseException:
            self.close()
            raise

    async def take(self) -> bytes | None:
        """The next piece of the body, None at its end. Raises BackendError."""
        while not self._pieces:
            if self._fault:
                raise BackendError(self._fault)
            if self._ended:
                return None
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        data = self._pieces.popleft()
        self._waiting -= len(data)
        if self._waiting <= MAX_WAITING and not self._transport.is_closing():
            self._transport.resume_reading()
        return data

    @property
    def reusable(self) -> bool:
        """Whether another request may go over the connection: the answer is read to its end, and nobody has closed."""
        return self._ended and not self._pieces and not self._fault and not self._transport.is_closing()

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """After 101: the bare transport, and what came behind the answer's head."""
        self._transport.resume_reading()
        return self._transport, b"".join(self._pieces)

    def close(self) -> None:
        self.end_sending()
        self._transport.abort()

    # ---- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        read_nothing_ahead(transport)

    def data_received(self, data: bytes) -> None:
        try:
            if self._answer is not None and self._answer.done():
                self._feed(data)
            else:
                self._feed_head(data)
        except (ProtocolError, ValueError) as error:
            self._break_off(f"malformed HTTP response: {error}")
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end_sending()
        if self._ended:
            return
        if self._framing is None and self._left == ENDLESS and self._answer is not None and self._answer.done():
            self._end()
        else:
            self._break_off("unexpected EOF" if self._answer is not None and self._answer.done() else "EOF")

    # ---- reading

    def _feed_head(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > MAX_HEAD:
                raise ValueError("headers too long")
            return
        head, rest = bytes(self._head[: end + 4]), bytes(self._head[end + 4 :])
        self._head.clear()
        status, headers = parse_head(head)
        if status == 101 and not self._may_switch:
            raise ValueError("switched protocols without being asked")
        if 100 <= status < 200 and status != 101:
            self._feed_head(rest)
            return
        length = self._frame(status, headers)
        assert self._answer is not None
        if not self._answer.done():
            self._answer.set_result(Answer(status, headers, head, length, Body(self)))
        if status == 101:
            self._transport.pause_reading()
            if rest:
                self._pieces.append(rest)
        elif not self._left:
            self._end()
        elif rest:
            self._feed(rest)

    def _frame(self, status: int, headers: list[tuple[str, str]]) -> int | None:
        """How the body ends; its length where that is known."""
        values = {name.lower(): value for name, value in headers}
        lengths = {value for name, value in headers if name.lower() == "content-length"}
        if len(lengths) > 1:
            raise ValueError("several values of Content-Length")
        if values.get("transfer-encoding", "").lower() == "chunked" and status != 101:
            self._framing = ChunkedReader(ENDLESS)
        elif "content-length" in values:
            length = natural(values["content-length"])
            if length is None:
                raise ValueError("invalid Content-Length")
            self._left = length
        if status in BODILESS or not self._has_body:
            self._framing, self._left = None, 0
        return self._left if self._framing is None and self._left < ENDLESS else None

    def _feed(self, data: bytes) -> None:
        if self._ended:
            self._transport.abort()  # nobody asked for more
            return
        if self._framing is not None:
            rest = self._framing.feed(data)
            done = rest is not None
            if rest:
                self._transport.abort()
            for piece in self._framing.body:
                self._put(piece)
            self._framing.body.clear()
        else:
            self._put(data[: self._left])
            if len(data) > self._left:
                self._transport.abort()
            if self._left < ENDLESS:
                self._left -= min(len(data), self._left)
            done = not self._left
        if done:
            self._end()

    def _put(self, data: bytes) -> None:
        self._pieces.append(data)
        self._waiting += len(data)
        if self._waiting > MAX_WAITING:
            self._transport.pause_reading()
        self._notify()

    def _end(self) -> None:
        self._ended = True
        self._notify()

    def _break_off(self, fault: str) -> None:
        self._fault = fault
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(BackendError(fault))
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def parse_head(head: bytes) -> tuple[int, list[tuple[str, str]]]:
    """Status and headers of an answer's head. Raises ValueError for what is not HTTP/1.x."""
    line, *lines = head[:-4].split(b"\r\n")
    if not _STATUS_LINE.match(line):
        raise ValueError("no HTTP/1.x status line")
    headers = []
    for raw in lines:
        name, colon, value = raw.partition(b":")
        if not colon or not name or name != name.strip():
            raise ValueError("malformed header line")
        headers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
    return int(line[9:12]), headers
