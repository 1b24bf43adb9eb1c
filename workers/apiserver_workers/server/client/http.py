"""An HTTP client that keeps its connections: one request, one whole answer, one deadline."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from apiserver_workers.server.client.tls import TlsConfig, WatchedTls
from apiserver_workers.server.proxy.connection import Answer, BackendConnection, BackendError, connect
from apiserver_workers.server.proxy.location import Location, dial_error

TIMEOUT = 30.0
IDLE_SECONDS = 60.0
MAX_IDLE = 25
MAX_ANSWER = 10 << 20
MAX_REDIRECTS = 10
REDIRECTS = frozenset({301, 302, 303, 307, 308})
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
UNSENDABLE = re.compile(r"[\x00-\x20\x7f]")
AGENT = "apiserver-supervisor"

HOST_ROOTS = TlsConfig()

Headers = Sequence[tuple[str, str]]
Dial = Callable[[], Awaitable[tuple[str, int]]]


class ClientError(Exception):
    """No whole answer came. `reset` tells that the other side broke the connection off."""

    def __init__(self, message: str, *, reset: bool = False) -> None:
        super().__init__(message)
        self.reset = reset


@dataclass(slots=True)
class Reply:
    """A whole answer; header names are lower-case, the first of several counts."""

    status: int
    headers: dict[str, str]
    body: bytes


class HttpClient:
    """Requests with one TLS configuration. Connections are kept for the next request to the same host."""

    def __init__(self, tls: TlsConfig = HOST_ROOTS, *, agent: str = AGENT) -> None:
        """Raises OSError or ValueError for certificates that cannot be read."""
        self._agent = agent
        self._tls = WatchedTls(tls)
        self._idle: dict[tuple[str, str, int], list[tuple[float, BackendConnection]]] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        body: bytes = b"",
        headers: Headers = (),
        timeout: float = TIMEOUT,
        dial: Dial | None = None,
    ) -> Reply:
        """The answer, whatever its status. Raises ClientError, in Go's words, if there is none within `timeout`.

        `dial` tells host and port of a new connection, where that is not what the URL names; it may raise ClientError.
        """
        what = f'{method.capitalize()} "{url}"'
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(method, url, body, headers, dial)
        except TimeoutError:
            raise ClientError(f"{what}: context deadline exceeded") from None
        except ClientError as error:
            raise ClientError(f"{what}: {error}", reset=error.reset) from None

    async def get(self, url: str, *, headers: Headers = (), timeout: float = TIMEOUT) -> Reply:
        """As `request`, but goes where redirects point; to another host without `headers`."""
        host = urlsplit(url).netloc
        for _ in range(MAX_REDIRECTS):
            reply = await self.request("GET", url, headers=headers, timeout=timeout)
            if reply.status not in REDIRECTS or not reply.headers.get("location"):
                return reply
            url = urljoin(url, reply.headers["location"])
            headers = headers if urlsplit(url).netloc == host else ()
        raise ClientError(f'Get "{url}": stopped after {MAX_REDIRECTS} redirects')

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for idle in self._idle.values():
            for _, connection in idle:
                connection.close()
        self._idle.clear()

    async def _exchange(self, method: str, url: str, body: bytes, headers: Headers, dial: Dial | None) -> Reply:
        location = self._location(url)
        message = _message(method, location, body, (("User-Agent", self._agent), *headers))
        kept = self._take_idle(location)
        if kept is not None:
            try:
                return await self._ask(kept, location, message, method)
            except BackendError:
                pass  # the other side may close a kept connection at any time, so this proves nothing
        connection = await _connect(location, dial)
        try:
            return await self._ask(connection, location, message, method)
        except BackendError as error:
            raise ClientError(str(error), reset=True) from error

    async def _ask(self, connection: BackendConnection, location: Location, message: bytes, method: str) -> Reply:
        """Raises BackendError if no answer begins, ClientError if one breaks off."""
        answer = await connection.ask(message, method=method)
        try:
            body = await _whole(connection)
        except BackendError as error:
            raise ClientError(str(error), reset=True) from error
        except BaseException:
            connection.close()
            raise
        reply = Reply(answer.status, {}, body)
        for name, value in answer.headers:
            reply.headers.setdefault(name.lower(), value)
        if connection.reusable and _stays_open(answer):
            self._keep(location, connection)
        else:
            connection.close()
        return reply

    def _location(self, url: str) -> Location:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        try:
            host, port = parts.hostname or "", parts.port or (443 if secure else 80)
        except ValueError:
            raise ClientError("invalid port in URL") from None
        if parts.scheme not in ("http", "https") or not host:
            raise ClientError(f'unsupported protocol scheme "{parts.scheme}"' if host else "no Host in request URL")
        return Location(
            parts.scheme,
            host,
            port,
            raw_target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            tls=self._tls.context if secure else None,
            server_name=self._tls.config.server_name,
        )

    def _take_idle(self, location: Location) -> BackendConnection | None:
        idle = self._idle.get((location.scheme, location.host, location.port), [])
        while idle:
            since, connection = idle.pop()
            if connection.reusable and time.monotonic() - since < IDLE_SECONDS:
                return connection
            connection.close()
        return None

    def _keep(self, location: Location, connection: BackendConnection) -> None:
        idle = self._idle.setdefault((location.scheme, location.host, location.port), [])
        if len(idle) >= MAX_IDLE:
            idle.pop(0)[1].close()
        idle.append((time.monotonic(), connection))


async def _connect(location: Location, dial: Dial | None) -> BackendConnection:
    """A connection to what the location stands for; of several addresses the first that answers. Raises ClientError."""
    host, port = (location.host, location.port) if dial is None else await dial()
    first: tuple[str, Exception] | None = None
    for address in await _addresses(host, port):
        try:
            return await connect(dataclasses.replace(location, addresses=(address,), dialled_port=port))
        except (OSError, UnicodeError) as error:
            first = first or (address, error)
    assert first is not None
    dialled = dataclasses.replace(location, host=first[0], port=port)
    raise ClientError(dial_error(dialled, first[1]), reset=isinstance(first[1], ConnectionResetError)) from first[1]


async def _addresses(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises ClientError if it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ClientError(f"dial tcp: lookup {host}: no such host") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _message(method: str, location: Location, body: bytes, headers: Headers) -> bytes:
    default = (location.scheme, location.port) in (("https", 443), ("http", 80))
    host = location.authority.rpartition(":")[0] if default else location.authority
    own = [("Host", host), *headers]
    if body or method != "GET":
        own.append(("Content-Length", str(len(body))))
    if UNSENDABLE.search(location.target + "".join(name for name, _ in own)) or any(
        CONTROL.search(value) for _, value in own
    ):
        raise ClientError("net/http: invalid URL or header field")
    lines = "".join(f"{name}: {value}\r\n" for name, value in own)
    return f"{method} {location.target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace") + body


async def _whole(connection: BackendConnection) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while (piece := await connection.take()) is not None:
        pieces.append(piece)
        size += len(piece)
        if size > MAX_ANSWER:
            raise ClientError(f"answer too large (limit is {MAX_ANSWER} bytes)")
    return b"".join(pieces)


def _stays_open(answer: Answer) -> bool:
    return answer.head.startswith(b"HTTP/1.1") and "close" not in answer.header("connection").lower()
