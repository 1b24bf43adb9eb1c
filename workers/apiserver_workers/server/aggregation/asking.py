"""Requests of this server's own to aggregated servers: is one there, what does it serve."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.aggregation.api_service import APIService
from apiserver_workers.server.aggregation.identity import identity_lines
from apiserver_workers.server.aggregation.tls import BackendTls, TransportError
from apiserver_workers.server.client.services import ServiceResolver, Unresolvable
from apiserver_workers.server.proxy.connection import Answer, BackendConnection, BackendError, connect
from apiserver_workers.server.proxy.location import Location, dial_error

AGENT = "kube-aggregator"


class Unanswered(Exception):
    """No answer came. `url` is what was asked, "" if there is no address to ask."""

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message)
        self.url = url


@dataclass(slots=True)
class Document:
    """An answer: of several headers the first counts, names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Backends:
    """Asks the servers behind APIServices."""

    def __init__(self, services: ServiceResolver, tls: BackendTls) -> None:
        self._services = services
        self.tls = tls

    async def locate(self, service: APIService) -> Location:
        """Where the service's server is now. Raises Unresolvable and TransportError."""
        reference = service.service
        assert reference is not None
        host, port = await self._services.resolve(*reference)
        tls = self.tls.context(service)
        name = f"{reference.name}.{reference.namespace}.svc"
        return Location("https", host, port, tls=tls, server_name=name)

    async def status(self, service: APIService, path: str, user: UserInfo, *, timeout: float) -> int:
        """The status of the answer to a GET; its body is not read. Raises Unanswered."""
        url = ""
        try:
            async with asyncio.timeout(timeout):
                location = await self.locate(service)
                url = f"https://{location.authority}{path}"
                answer, connection = await _ask(location, url, _message(location, path, user, ()))
                connection.close()
                return answer.status
        except TimeoutError:
            raise Unanswered(f'Get "{url}": context deadline exceeded', url) from None
        except (Unresolvable, TransportError) as error:
            raise Unanswered(str(error)) from None

    async def get(
        self,
        service: APIService,
        path: str,
        user: UserInfo,
        *,
        timeout: float,
        limit: int,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Document:
        """The whole answer to a GET, of at most `limit` bytes. Raises Unanswered."""
        url = ""
        try:
            async with asyncio.timeout(timeout):
                location = await self.locate(service)
                url = f"https://{location.authority}{path}"
                answer, connection = await _ask(location, url, _message(location, path, user, headers))
                body = await _whole(connection, url, limit)
        except TimeoutError:
            raise Unanswered(f'Get "{url}": context deadline exceeded', url) from None
        except (Unresolvable, TransportError) as error:
            raise Unanswered(str(error)) from None
        found: dict[str, str] = {}
        for name, value in answer.headers:
            found.setdefault(name.lower(), value)
        return Document(answer.status, found, body)


async def _ask(location: Location, url: str, message: bytes) -> tuple[Answer, BackendConnection]:
    try:
        connection = await connect(location)
    except TimeoutError:
        raise
    except (OSError, UnicodeError) as error:
        raise Unanswered(f'Get "{url}": {dial_error(location, error)}', url) from None
    try:
        return await connection.ask(message, method="GET"), connection
    except BackendError as error:
        raise Unanswered(f'Get "{url}": {error}', url) from None


async def _whole(connection: BackendConnection, url: str, limit: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        while (piece := await connection.take()) is not None:
            pieces.append(piece)
            size += len(piece)
            if size > limit:
                raise Unanswered(f"the answer of {url} is longer than {limit} bytes", url)
    except BackendError as error:
        raise Unanswered(f'Get "{url}": {error}', url) from None
    finally:
        connection.close()
    return b"".join(pieces)


def _message(location: Location, path: str, user: UserInfo, headers: Sequence[tuple[str, str]]) -> bytes:
    own = "".join(f"\r\n{name}: {value}" for name, value in headers).encode("latin-1", "replace")
    first = f"GET {path} HTTP/1.1\r\nHost: {location.authority}\r\nUser-Agent: {AGENT}\r\nConnection: close"
    return first.encode() + own + identity_lines(user) + b"\r\n\r\n"
