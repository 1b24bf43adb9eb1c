"""The load generator's other client: streams of HTTP/2, many of them on one connection, as clients written in Go have them."""

from __future__ import annotations

import asyncio
import ssl
import struct
from urllib.parse import urlsplit

import hpack
from client import END_OF_EVENT, Unexpected

STREAMS = 90  # on one connection
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
WINDOW = (1 << 31) - 1
CREDIT_AT = 1 << 28

_head = struct.Struct(">BHBBI")
_setting = struct.Struct(">HI")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return _head.pack(len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


class _Shared(asyncio.Protocol):
    """One connection. It takes whatever comes."""

    def __init__(self) -> None:
        self.encoder = hpack.Encoder()
        self.streams: dict[int, Http2Stream] = {}
        self.users = 0
        self._rest = b""
        self._next = 1
        self._taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        credit = struct.pack(">I", WINDOW - 65535)
        hello = frame(SETTINGS, 0, 0, _setting.pack(4, WINDOW)) + frame(WINDOW_UPDATE, 0, 0, credit)
        self.transport.write(PREFACE + hello)

    def begin(self, user: Http2Stream, fields: list[tuple[str, str]], body: bytes) -> int:
        """Send a request for one of the users; its stream."""
        number, self._next = self._next, self._next + 2
        self.streams[number] = user
        head = frame(HEADERS, 4 if body else 5, number, self.encoder.encode(fields))
        self.transport.write(head + frame(DATA, 1, number, body) if body else head)
        return number

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        position, size = 0, len(data)
        while size - position >= 9:
            high, low, kind, flags, number = _head.unpack_from(data, position)
            end = position + 9 + (high << 16 | low)
            if end > size:
                break
            self._take(kind, flags, number, data[position + 9 : end])
            position = end
        self._rest = data[position:]

    def _take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == SETTINGS and not flags:
            self.transport.write(frame(SETTINGS, 1, 0))
        elif kind == PING and not flags:
            self.transport.write(frame(PING, 1, 0, payload))
        elif kind in (RST_STREAM, GOAWAY):
            for stream in self.streams.values():
                stream.fail(f"the server ends: {payload!r}")
        elif kind in (HEADERS, DATA):
            stream = self.streams[number]
            if kind == HEADERS:
                stream.begins(payload)
            else:
                self._credit(len(payload))
                stream.receive(payload)
            if flags & 1:
                del self.streams[number]
                stream.end()

    def _credit(self, size: int) -> None:
        self._taken += size
        if self._taken > CREDIT_AT:
            self.transport.write(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", self._taken)))
            self._taken = 0


class Http2Stream:
    """What client.Connection is, on a connection that it shares with others."""

    def __init__(self, shared: _Shared, fields: list[tuple[str, str]]) -> None:
        self._shared = shared
        self._fields = fields
        self._pieces: list[bytes] = []
        self._done: asyncio.Future[None] | None = None
        self._events = 0
        self._last = b""
        self._ok = True

    @classmethod
    async def open_all(cls, count: int, url: str, token: str, tls: ssl.SSLContext) -> list[Http2Stream]:
        """So many of them, on as few connections as may be."""
        tls.set_alpn_protocols(["h2"])
        address = urlsplit(url)
        fields = [
            (":scheme", "https"),
            (":authority", address.netloc),
            ("authorization", f"Bearer {token}"),
            ("accept", "application/json"),
        ]
        made: list[Http2Stream] = []
        loop = asyncio.get_running_loop()
        while len(made) < count:
            _, shared = await loop.create_connection(_Shared, address.hostname, address.port, ssl=tls)
            users = min(STREAMS, count - len(made))
            shared.users = users
            made += [cls(shared, fields) for _ in range(users)]
        return made

    async def send(self, method: str, path: str, body: bytes = b"", media_type: str = "application/json") -> bytes:
        """The answer's body. Raises Unexpected when it is no success."""
        self._begin(method, path, body, media_type)
        await self._wait()
        answer, self._pieces = b"".join(self._pieces), []
        if not self._ok:
            raise Unexpected(f"{method} {path}: {answer.decode()}")
        return answer

    async def watch(self, path: str) -> None:
        """Begin a watch: its events come through `events`."""
        self._begin("GET", path)

    async def events(self, count: int) -> None:
        """Return after `count` more events."""
        self._events -= count
        if self._events < 0:
            await self._wait()

    def close(self) -> None:
        """Drop the connection when nobody needs it any more."""
        self._shared.users -= 1
        if not self._shared.users:
            self._shared.transport.close()

    def _begin(self, method: str, path: str, body: bytes = b"", media_type: str = "") -> None:
        fields = [(":method", method), (":path", path), *self._fields]
        if body:
            fields += [("content-type", media_type), ("content-length", str(len(body)))]
        self._watching = "watch=1" in path
        self._shared.begin(self, fields, body)

    async def _wait(self) -> None:
        self._done = asyncio.get_running_loop().create_future()
        await self._done

    # ---- for the connection

    def begins(self, block: bytes) -> None:
        """The head has come: 200 is one byte, other successes are spelled."""
        self._ok = block[:1] == b"\x88" or block[2:3] == b"2"

    def receive(self, data: bytes) -> None:
        if not self._watching:
            self._pieces.append(data)
            return
        self._events += (self._last + data).count(END_OF_EVENT)
        self._last = data[-1:] if data[-1:] == b"}" else b""
        if self._events >= 0:
            self.end()

    def end(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def fail(self, why: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_exception(Unexpected(why))
