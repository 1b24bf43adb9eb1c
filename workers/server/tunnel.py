"""Tunnels: after 101 Switching Protocols two connections are spliced, bytes both ways, each side held back by the other."""

from __future__ import annotations

import asyncio
from typing import Protocol

from workers.server.http import Request, Response


class Detachable(Protocol):
    """A connection behind us that has switched protocols."""

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """The bare transport, and what has come behind the answer's head."""
        ...


class Splice(asyncio.Protocol):
    """One direction: what comes here is written to `other`."""

    def __init__(self, own: asyncio.Transport, other: asyncio.Transport) -> None:
        self._own = own
        self._other = other

    def data_received(self, data: bytes) -> None:
        self._other.write(data)

    def eof_received(self) -> bool:
        if self._other.can_write_eof():
            self._other.write_eof()
            return True
        return False

    def pause_writing(self) -> None:
        self._other.pause_reading()

    def resume_writing(self) -> None:
        if not self._other.is_closing():
            self._other.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._other.close()


def tunnel(request: Request, response: Response, upstream: Detachable) -> Response:
    """Splice the client's connection and the upstream one; `response` is the upstream's 101, written first."""
    assert request.hijack is not None
    client, early = request.hijack()
    behind, greeting = upstream.detach()
    client.set_protocol(Splice(client, behind))
    behind.set_protocol(Splice(behind, client))
    client.write(response.wire + greeting)
    if early:
        behind.write(early)
    return Response(101)
