"""A load generator that costs little: raw HTTP/1.1 on TLS connections that stay open.

It shares its machine with the server under test, so it parses no more of an answer than its status and its length.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from urllib.parse import urlsplit

END_OF_HEAD = b"\r\n\r\n"
LENGTH = b"content-length: "
END_OF_EVENT = b"}\n"


class Unexpected(Exception):
    """The server answered otherwise than the workload needs."""


def tls_context() -> ssl.SSLContext:
    """A client context that trusts whatever certificate the server shows."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Connection:
    """One keep-alive connection: `send` a request, get its body."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: bytes) -> None:
        self.reader, self.writer, self._headers = reader, writer, headers

    @classmethod
    async def open(cls, url: str, token: str, tls: ssl.SSLContext) -> Connection:
        """Connect to `url`; every request then carries the bearer `token`."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port, ssl=tls, limit=1 << 24)
        headers = f"Host: {address.netloc}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
        return cls(reader, writer, headers.encode())

    async def send(self, method: str, path: str, body: bytes = b"", media_type: str = "application/json") -> bytes:
        """The answer's body. Raises Unexpected when it is no success."""
        self._write(method, path, body, media_type)
        head = await self._head(method, path)
        lower = head.lower()
        start = lower.find(LENGTH)
        if start < 0:
            return await self._chunked()
        end = lower.index(b"\r\n", start)
        return await self.reader.readexactly(int(lower[start + len(LENGTH) : end]))

    async def watch(self, path: str) -> None:
        """Begin a watch: its events come through `events`."""
        self._write("GET", path)
        await self._head("GET", path)

    async def events(self, count: int) -> None:
        """Return after `count` more events. The events of a watch are lines, and nothing else ends like one."""
        last = b""
        while count > 0:
            data = await self.reader.read(1 << 18)
            if not data:
                raise Unexpected("the server ended the watch")
            count -= (last + data).count(END_OF_EVENT)
            last = data[-1:] if data[-1:] == b"}" else b""

    def close(self) -> None:
        """Drop the connection."""
        self.writer.close()

    def _write(self, method: str, path: str, body: bytes = b"", media_type: str = "") -> None:
        head = f"{method} {path} HTTP/1.1\r\n".encode() + self._headers
        if body:
            head += f"Content-Type: {media_type}\r\nContent-Length: {len(body)}\r\n".encode()
        self.writer.write(head + b"\r\n" + body)

    async def _head(self, method: str, path: str) -> bytes:
        head = await self.reader.readuntil(END_OF_HEAD)
        if head[9:10] != b"2":
            raise Unexpected(f"{method} {path}: {head.decode('latin-1')}{(await self.reader.read(4096)).decode()}")
        return head

    async def _chunked(self) -> bytes:
        parts = []
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            parts.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readexactly(2)
        return b"".join(parts)


Request = tuple[str, str, bytes, str]


async def run(connections: list[Connection], requests: Iterable[Request]) -> None:
    """Send the requests, as many at a time as there are connections."""
    remaining = iter(requests)

    async def work(connection: Connection) -> None:
        for request in remaining:
            await connection.send(*request)

    await asyncio.gather(*map(work, connections))
