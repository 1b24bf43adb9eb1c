"""Kept connections to aggregated servers: a request takes one, and gives it back when the answer has been read.

What may be repeated is sent again over a new connection if a kept one turns out to be closed. A write that a kept
connection loses may have taken effect, so writes only take connections that were used just now.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict

from apiserver_workers.server.http.upload import Upload
from apiserver_workers.server.proxy.connection import Answer, BackendConnection, BackendError, connect
from apiserver_workers.server.proxy.location import Location, dial_error

IDLE_SECONDS = 60.0
WRITE_IDLE_SECONDS = 1.0
MAX_IDLE = 25  # of one backend
MAX_BACKENDS = 1000
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS"})

Key = tuple[str, int, str]


class Unreachable(Exception):
    """No answer began; the message is Go's."""


class Connections:
    """The idle connections of this worker, by address and expected name."""

    def __init__(self) -> None:
        self._idle: defaultdict[Key, list[tuple[float, ssl.SSLContext | None, BackendConnection]]] = defaultdict(list)

    async def ask(
        self, location: Location, message: bytes, *, method: str, upload: Upload | None
    ) -> tuple[Answer, BackendConnection]:
        """The answer to a message, and the connection it comes over. Raises Unreachable."""
        repeatable = method in REPEATABLE and upload is None
        while (kept := self._take(location, IDLE_SECONDS if repeatable else WRITE_IDLE_SECONDS)) is not None:
            try:
                return await kept.ask(message, method=method, upload=upload), kept
            except BackendError as error:
                if not repeatable:
                    raise Unreachable(str(error)) from None
        connection = await self.connect(location)
        try:
            return await connection.ask(message, method=method, upload=upload), connection
        except BackendError as error:
            raise Unreachable(str(error)) from None

    async def connect(self, location: Location) -> BackendConnection:
        """A new connection. Raises Unreachable."""
        try:
            return await connect(location)
        except (OSError, UnicodeError) as error:
            raise Unreachable(dial_error(location, error)) from None

    def keep(self, location: Location, connection: BackendConnection) -> None:
        """Another request may go over the connection, if its answer was read to the end."""
        if not connection.reusable:
            connection.close()
            return
        if len(self._idle) >= MAX_BACKENDS:
            self.close()
        idle = self._idle[_key(location)]
        if len(idle) >= MAX_IDLE:
            idle.pop(0)[2].close()
        idle.append((asyncio.get_running_loop().time(), location.tls, connection))

    def close(self) -> None:
        """Close what nobody uses."""
        for idle in self._idle.values():
            for _, _, connection in idle:
                connection.close()
        self._idle.clear()

    def _take(self, location: Location, within: float) -> BackendConnection | None:
        """The connection that was used last, if that is recent enough, and TLS is still to be as it was then."""
        key = _key(location)
        idle = self._idle.get(key)
        now = asyncio.get_running_loop().time()
        while idle:
            since, tls, connection = idle[-1]
            usable = connection.reusable and tls is location.tls and now - since < IDLE_SECONDS
            if usable and now - since >= within:
                return None
            idle.pop()
            if usable:
                return connection
            connection.close()
        self._idle.pop(key, None)
        return None


def _key(location: Location) -> Key:
    return location.host, location.port, location.server_name


class KeptBody:
    """The rest of an answer; when it has been read to its end, the connection is kept."""

    def __init__(self, connections: Connections, location: Location, connection: BackendConnection) -> None:
        self._connections = connections
        self._location = location
        self._connection: BackendConnection | None = connection

    def __aiter__(self) -> KeptBody:
        return self

    async def __anext__(self) -> bytes:
        """Raises BackendError when the answer breaks off."""
        if self._connection is None:
            raise StopAsyncIteration
        data = await self._connection.take()
        if data is None:
            connection, self._connection = self._connection, None
            self._connections.keep(self._location, connection)
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
