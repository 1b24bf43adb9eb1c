"""A handler behind Http2Connection, without TLS, and a client that sends whatever frames a test wants."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import NamedTuple

import hpack
from apiserver_workers.server.http.connections import Connections, Http2Settings
from apiserver_workers.server.http.messages import Handler
from apiserver_workers.server.http2.connection import Http2Connection
from apiserver_workers.storage.transport.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    frame,
    frame_head,
    setting,
    settings,
    word,
)

from tests.server.serving import Served

GET = ((":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "server"))
POST = ((":method", "POST"), *GET[1:])


class Frame(NamedTuple):
    type: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of a RST_STREAM or a GOAWAY."""
        return word.unpack_from(self.payload, 4 if self.type == GOAWAY else 0)[0]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Http2Served(Served):
    """A running server."""

    def __init__(self, handler: Handler, options: Http2Settings) -> None:
        self.state = Connections()
        self.state.http2 = options
        super().__init__(handler)

    async def _serve(self) -> None:
        self.loop = loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        config = SimpleNamespace(app=SimpleNamespace(handle=self._handler))
        self.connections = self.state.connections
        server = await loop.create_server(lambda: Http2Connection(config, self.state, loop), "127.0.0.1", 0)
        self.address = server.sockets[0].getsockname()
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(self.connections):
            connection.abort()

    def client(self, *, hello: bool = True, **values: int) -> Client:
        """A client that has said hello."""
        made = Client(self.connect())
        if hello:
            made.hello(**values)
        return made

    def only_connection(self) -> Http2Connection:
        """The one that is open."""
        (connection,) = self.connections
        return connection


class Client:
    """One connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._read = b""
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()

    def hello(self, values: dict[int, int] | None = None) -> None:
        self.send(PREFACE + settings(values or {}))
        first = self.next()
        assert (first.type, first.flags) == (SETTINGS, 0)
        self.settings = dict(setting.iter_unpack(first.payload))
        assert self.next()[:2] == (SETTINGS, ACK)
        self.send(frame(SETTINGS, ACK, 0))

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def block(self, fields: Iterable[tuple[str, str]]) -> bytes:
        return self.encoder.encode(fields)

    def headers(self, stream: int, fields: Iterable[tuple[str, str]] = GET, *, end: bool = True) -> None:
        flags = END_HEADERS | (END_STREAM if end else 0)
        self.send(frame(HEADERS, flags, stream, self.block(fields)))

    def data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self.send(frame(DATA, END_STREAM if end else 0, stream, data))

    def next(self) -> Frame:
        """The next frame. Raises EOFError when the connection is closed."""
        while len(self._read) < 9:
            self._more()
        high, low, kind, flags, stream = frame_head.unpack_from(self._read)
        end = 9 + (high << 16 | low)
        while len(self._read) < end:
            self._more()
        payload, self._read = self._read[9:end], self._read[end:]
        return Frame(kind, flags, stream, payload)

    def _more(self) -> None:
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise EOFError
        self._read += piece

    def wait_for(self, kind: int, stream: int | None = None) -> Frame:
        """The next frame of that type, on that stream; others are passed over."""
        while True:
            found = self.next()
            if found.type == HEADERS and kind != HEADERS:
                self.decoder.decode(found.payload)
            if found.type == kind and stream in (None, found.stream):
                return found

    def reset_of(self, stream: int) -> int:
        """The code with which the stream is reset."""
        return self.wait_for(RST_STREAM, stream).code

    def goaway(self) -> int:
        """The code with which the connection ends."""
        return self.wait_for(GOAWAY).code

    def answer(self, stream: int) -> Answer:
        """The whole answer on a stream; frames of others are passed over."""
        status, headers, body = 0, {}, b""
        while True:
            found = self.next()
            if found.type == HEADERS:
                fields = self.decoder.decode(found.payload)
                if found.stream == stream and not status:
                    headers = {str(name): str(value) for name, value in fields}
                    status = int(headers.pop(":status"))
                    if status < 200:
                        status = 0
            broken = found.type == GOAWAY or (found.type == RST_STREAM and found.stream == stream)
            assert not broken, (found, found.code)
            if found.type == DATA and found.stream == stream:
                body += found.payload
            if found.stream == stream and found.type in (HEADERS, DATA) and found.flags & END_STREAM:
                return Answer(status, headers, body)

    def is_closed(self) -> bool:
        """Whether the server closes the connection; what it still sends is passed over."""
        try:
            while True:
                self.next()
        except EOFError:
            return True


@contextlib.contextmanager
def serving_http2(handler: Handler, *, streams: int = 100, goaway_chance: float = 0.0) -> Iterator[Http2Served]:
    """Serve `handler` on a loopback port."""
    served = Http2Served(handler, Http2Settings(streams, goaway_chance))
    try:
        yield served
    finally:
        served.stop()
