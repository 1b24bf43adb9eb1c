"""Tunnels: after 101 Switching Protocols two connections are spliced, bytes both ways, each side held back by the other."""

from __future__ import annotations

import asyncio
from typing import Protocol

from workers.server.http import Request, Response

STEPS = 10  # pieces a second, where there is a rate


class Detachable(Protocol):
    """A connection behind us that has switched protocols."""

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """The bare transport, and what has come behind the answer's head."""
        ...


class Splice(asyncio.Protocol):
    """One direction: what comes here is written to `other`, at most `rate` bytes a second unless that is 0."""

    twin: Splice

    def __init__(self, own: asyncio.Transport, other: asyncio.Transport, rate: int = 0) -> None:
        self._own = own
        self._other = other
        self._rate = rate
        self._backlog = bytearray()  # what the rate does not let through yet
        self._dripping = False
        self._full = False  # `other` takes no more
        self._ended = False

    def data_received(self, data: bytes) -> None:
        if not self._rate:
            self._other.write(data)
            return
        self._backlog += data
        self._own.pause_reading()
        if not self._dripping:
            self._drip()

    def _drip(self) -> None:
        piece = bytes(self._backlog[: max(1, self._rate // STEPS)])
        del self._backlog[: len(piece)]
        self._dripping = bool(piece)
        if piece and not self._other.is_closing():
            self._other.write(piece)
            asyncio.get_running_loop().call_later(len(piece) / self._rate, self._drip)
        elif self._ended:
            self._other.close()
        else:
            self._read_on()

    def hold(self, full: bool) -> None:
        """Whether the other side is full: then nothing is read here."""
        self._full = full
        if full:
            self._own.pause_reading()
        else:
            self._read_on()

    def _read_on(self) -> None:
        if not (self._full or self._dripping or self._own.is_closing()):
            self._own.resume_reading()

    def eof_received(self) -> bool:
        if self._dripping:
            return False
        if self._other.can_write_eof():
            self._other.write_eof()
            return True
        return False

    def pause_writing(self) -> None:
        self.twin.hold(True)

    def resume_writing(self) -> None:
        self.twin.hold(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        if not self._dripping:
            self._other.close()


def tunnel(request: Request, response: Response, upstream: Detachable, rate: int = 0) -> Response:
    """Splice the client's connection and the upstream one; `response` is the upstream's 101, written first."""
    assert request.hijack is not None
    client, early = request.hijack()
    behind, greeting = upstream.detach()
    forth, back = Splice(client, behind, rate), Splice(behind, client, rate)
    forth.twin, back.twin = back, forth
    client.set_protocol(forth)
    behind.set_protocol(back)
    client.write(response.wire)
    if greeting:
        back.data_received(greeting)
    if early:
        forth.data_received(early)
    forth.hold(False)
    return Response(101)
