"""Tunnels: after 101 Switching Protocols two connections are spliced, bytes both ways, each side held back by the other."""

from __future__ import annotations

import asyncio
from typing import Protocol

from apiserver_workers.server.http.messages import Request, Response

STEPS = 10  # pieces a second, where there is a rate


def read_nothing_ahead(transport: asyncio.BaseTransport) -> None:
    """To be called before reading from a transport is ever paused.

    uvloop goes on reading TLS records meanwhile, and drops them when the peer closes before reading is resumed. So the
    socket must not be read either while there is one record that nobody takes.
    """
    if limit := getattr(transport, "set_read_buffer_limits", None):  # TLS has it
        limit(1)


def stays_open(transport: asyncio.BaseTransport) -> bool:
    """Whether a connection can still be written to after its peer has sent its end: TLS closes both ways."""
    return transport.get_extra_info("ssl_object") is None


class Detachable(Protocol):
    """A connection behind us that has switched protocols."""

    def detach(self) -> tuple[asyncio.Transport, bytes]:
        """The bare transport, and what has come behind the answer's head."""
        ...


class Translation:
    """What the two sides' bytes become on their way: here, themselves."""

    client: asyncio.Transport
    kubelet: asyncio.Transport
    half_closes = True  # whether an end of what one side sends can be passed on alone
    waits = False  # whether the client closes its connection itself

    def forth(self, data: bytes) -> bytes:
        """The client's bytes as the other side gets them."""
        return data

    def back(self, data: bytes) -> bytes:
        """The other side's bytes as the client gets them."""
        return data

    def farewell(self) -> bytes:
        """What the client gets when the other side has gone."""
        return b""

    def hang_up(self) -> bytes:
        """What the other side gets when the client has gone."""
        return b""


class Splice(asyncio.Protocol):
    """One direction: what comes here is written to `other`, at most `rate` bytes a second unless that is 0."""

    twin: Splice

    def __init__(
        self,
        own: asyncio.Transport,
        other: asyncio.Transport,
        rate: int,
        translation: Translation,
        *,
        request: Request | None = None,
    ) -> None:
        """`request`: whose connection `own` is; None for the direction back to the client."""
        back = request is None
        self._request = request
        self._translation = translation
        self._back = back
        self._translate = translation.back if back else translation.forth
        self._own = own
        self._other = other
        self._rate = rate
        self._backlog = bytearray()  # what the rate does not let through yet
        self._dripping = False
        self._full = False  # `other` takes no more
        self._ended = False
        self.half_closed = False  # no more comes here, and `other` knows

    def data_received(self, data: bytes) -> None:
        data = self._translate(data)
        if not self._rate:
            if data and not self._other.is_closing():
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
            self._end()
        else:
            self._read_on()

    def _end(self) -> None:
        last = self._translation.farewell() if self._back else self._translation.hang_up()
        if last and not self._other.is_closing():
            self._other.write(last)
        if not (self._back and self._translation.waits):
            self._other.close()

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
        if self._dripping or not self._translation.half_closes:
            return False
        if self._other.is_closing() or not self._other.can_write_eof():
            return False
        self._other.write_eof()
        self.half_closed = True
        if self.twin.half_closed:
            return False  # both ways are at their end
        return stays_open(self._own)

    def pause_writing(self) -> None:
        self.twin.hold(True)

    def resume_writing(self) -> None:
        self.twin.hold(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        if not self._dripping:
            self._end()
        if self._request is not None:
            self._request.complete(whole=exc is None)


def tunnel(
    request: Request,
    response: Response,
    upstream: Detachable,
    rate: int = 0,
    translation: Translation | None = None,
) -> Response:
    """Splice the client's connection and the upstream one; `response` is the 101 for the client, written first. The request
    is over when the client's connection is."""
    assert request.hijack is not None
    client, early = request.hijack()
    request.answer(response)
    behind, greeting = upstream.detach()
    own = translation or Translation()
    own.client, own.kubelet = client, behind
    forth, back = Splice(client, behind, rate, own, request=request), Splice(behind, client, rate, own)
    forth.twin, back.twin = back, forth
    read_nothing_ahead(client)
    client.set_protocol(forth)
    behind.set_protocol(back)
    client.write(response.wire)
    if greeting:
        back.data_received(greeting)
    if early:
        forth.data_received(early)
    forth.hold(False)
    return Response(101)


class Parting(asyncio.Protocol):
    """A client's connection that is only to be closed."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def connection_lost(self, exc: Exception | None) -> None:
        self._request.complete(whole=exc is None)


def part(request: Request, response: Response) -> Response:
    """Answer an upgrade with the bytes in `response.wire` alone, and close."""
    assert request.hijack is not None
    client, _ = request.hijack()
    request.answer(response)
    client.set_protocol(Parting(request))
    client.write(response.wire)
    client.close()
    return response
