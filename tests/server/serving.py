"""A handler behind the real protocol, served from a thread, and a raw client for bytes that no library would send."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import uvloop
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.http.connections import Connections
from apiserver_workers.server.http.messages import Handler
from apiserver_workers.server.http.protocol import HttpProtocol


class Served:
    """A running server: where it is, its loop, and its open connections."""

    def __init__(self, handler: Handler, path: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.path = path
        self._tls = tls
        self.connections: set[HttpProtocol] = set()
        self.address: object = path
        self._handler = handler
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(5)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        config = SimpleNamespace(app=SimpleNamespace(handle=self._handler))
        state = Connections()
        state.connections = self.connections

        def make() -> HttpProtocol:
            return HttpProtocol(config, state)

        if self.path:
            server = await self.loop.create_unix_server(make, self.path)
        else:
            server = await self.loop.create_server(make, "127.0.0.1", 0, ssl=self._tls)
            self.address = server.sockets[0].getsockname()
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in list(self.connections):
            connection._transport.abort()

    def call(self, function, *args):
        """Run a function in the server's loop and wait for it."""

        async def run():
            return function(*args)

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(5)

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET)
        client.settimeout(5)
        client.connect(self.address)
        return client

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)


@contextlib.contextmanager
def serving(handler: Handler, path: str | None = None, *, tls: ssl.SSLContext | None = None) -> Iterator[Served]:
    """Serve `handler` on a loopback port, or on the Unix socket `path`. Errors that it raises are answered."""
    served = Served(PanicRecovery(handler), path, tls)
    try:
        yield served
    finally:
        served.stop()


def read_answer(
    client: socket.socket, already: bytes = b"", *, head_only: bool = False
) -> tuple[int, dict[str, str], bytes, bytes]:
    """One whole answer: status, headers, body, and what was read beyond it."""
    data = already
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            raise EOFError(data)
        data += piece
    head, _, data = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(": ")
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    if head_only or status in (100, 101, 204, 304):
        return status, headers, b"", data
    if headers.get("transfer-encoding") == "chunked":
        body, rest = _read_chunked(client, data)
    else:
        length = int(headers["content-length"]) if "content-length" in headers else None
        while length is None or len(data) < length:
            piece = client.recv(65536)
            if not piece:
                break
            data += piece
        body, rest = (data, b"") if length is None else (data[:length], data[length:])
    return status, headers, body, rest


def _read_chunked(client: socket.socket, data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        while b"\r\n" not in data:
            data += _more(client)
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        while len(data) < length + 2:
            data += _more(client)
        body, data = body + data[:length], data[length + 2 :]
        if not length:
            return body, data


def _more(client: socket.socket) -> bytes:
    piece = client.recv(65536)
    if not piece:
        raise EOFError("the answer broke off")
    return piece
