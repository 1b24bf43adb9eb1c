"""Long answers to reads on their way through the front: one whose worker dies in the middle goes on with another's.

The client has the head and the beginning of the body already. So the question is put again, of a list for the very
revision that the beginning tells, and the new answer takes over if it has the same length and begins with the same bytes.
Then what the client gets is the new answer, whole, whatever the old one would have been. A running digest stands for the
bytes that are gone. If the answers differ, the client's breaks off, as it would have.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from isal import isal_zlib

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.delegation.raw_query import fields_without, has_field
from apiserver_workers.server.delegation.upstream import Relay, Upstream
from apiserver_workers.server.http.messages import Request, Response, Sink

if TYPE_CHECKING:
    from apiserver_workers.server.delegation.target import DelegationTarget

ATTEMPTS = 3
PAUSE = 0.1
BEGINNING = 512  # so much of a body is kept to find the revision in it
POSITION = frozenset({"resourceVersion", "resourceVersionMatch"})
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n")
_LIST_REVISION = re.compile(
    rb'^\{"kind":"\w+List","apiVersion":"[^"]+","metadata":\{(?:"[^"]+":"[^"]*",)*?"resourceVersion":"(\d+)"'
)

logger = logging.getLogger("apiserver.delegation")


def resumable(target: DelegationTarget, request: Request, response: Response) -> Response:
    """The answer with a body that outlives its worker, where that is possible and not all of it has come."""
    if request.method == "GET" and response.status == 200 and isinstance(response.body, Relay):
        length = _LENGTH.search(response.wire)
        if length is not None:
            response.body = ResumableBody(target, request, int(length[1]), response.body.upstream)
    return response


class Digest:
    """Two checksums of what has passed: every long answer pays for them, and they cost a tenth of a cryptographic one."""

    def __init__(self) -> None:
        self.sums = (0, 1)

    def update(self, data: bytes) -> None:
        crc, adler = self.sums
        self.sums = isal_zlib.crc32(data, crc), isal_zlib.adler32(data, adler)


class ResumableBody:
    """A Pipe for a body of known length, and the Receiver of it."""

    def __init__(self, target: DelegationTarget, request: Request, length: int, upstream: Upstream) -> None:
        self._target, self._request, self._length = target, request, length
        self._upstream: Upstream | None = upstream
        self._sink: Sink | None = None
        self._sent = 0
        self._digest = Digest()
        self._beginning = b""
        self._skip = 0  # of the new answer, what the client has already
        self._skipped = Digest()
        self._attempts = 0
        self._paused = False
        self._asking: asyncio.Task[None] | None = None

    # ---- for the client's connection

    def start(self, sink: Sink) -> None:
        self._sink = sink
        assert self._upstream is not None
        self._upstream.receive(self)

    def pause(self) -> None:
        self._paused = True
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        self._paused = False
        if self._upstream is not None:
            self._upstream.resume()

    def end(self) -> None:
        """A body cannot be cut short cleanly: it goes on to its end."""

    def close(self) -> None:
        self._sink = None
        if self._upstream is not None:
            self._upstream.abort()
        if self._asking is not None:
            self._asking.cancel()

    # ---- the upstream's data

    def data(self, data: bytes) -> None:
        if self._skip:
            data = self._check(data)
        if data and self._sink is not None:
            self._sent += len(data)
            self._digest.update(data)
            if len(self._beginning) < BEGINNING:
                self._beginning += data[:BEGINNING]
            self._sink.write(data)

    def _check(self, data: bytes) -> bytes:
        """What is new to the client of some data of another answer."""
        known, new = data[: self._skip], data[self._skip :]
        self._skipped.update(known)
        self._skip -= len(known)
        if not self._skip and self._skipped.sums != self._digest.sums:
            logger.warning("an answer broke off with its worker, and it cannot go on with another that differs")
            self._fail()
            return b""
        return new

    def ended(self, *, complete: bool) -> None:
        self._upstream = None
        if self._sink is None:
            return
        if complete:
            self._sink.finish(complete=True)
        elif self._attempts < ATTEMPTS:
            self._attempts += 1
            self._asking = asyncio.get_running_loop().create_task(self._ask_again())
        else:
            self._fail()

    def _fail(self) -> None:
        sink, self._sink = self._sink, None
        if self._upstream is not None:
            self._upstream.abort()
        if sink is not None:
            sink.finish(complete=False)

    # ---- another worker

    async def _ask_again(self) -> None:
        await asyncio.sleep(PAUSE)
        try:
            response = await self._target.ask(self._target.message(self._request, self._same_again()), method="GET")
        except ApiError as error:
            logger.warning("an answer broke off with its worker: %s", error)
            self._fail()
            return
        length = _LENGTH.search(response.wire)
        if response.status != 200 or length is None or int(length[1]) != self._length:
            logger.warning("an answer broke off with its worker, and it cannot be had again")
            if isinstance(response.body, Relay):
                response.body.close()
            self._fail()
            return
        self._skip, self._skipped = self._sent, Digest()
        self._take(response)

    def _take(self, response: Response) -> None:
        if not isinstance(response.body, Relay):  # it has all come with the head
            self.data(response.wire.partition(b"\r\n\r\n")[2])
            self.ended(complete=True)
            return
        self._upstream = response.body.upstream
        self._upstream.receive(self)
        if self._paused and self._upstream is not None:
            self._upstream.pause()

    def _same_again(self) -> bytes:
        """Path and query for the same answer: of a list at the revision that it was of."""
        assert self._request.head is not None
        target = self._request.head.target
        revision = _LIST_REVISION.match(self._beginning)
        path, _, raw_query = target.partition(b"?")
        query = raw_query.decode("latin-1")
        if revision is None or has_field(query, "continue"):
            return target
        exact = (f"resourceVersion={revision[1].decode()}", "resourceVersionMatch=Exact")
        return path + b"?" + "&".join([*fields_without(query, POSITION), *exact]).encode("latin-1")
