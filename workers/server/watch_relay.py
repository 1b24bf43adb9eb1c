"""A watch on its way through the front: whole events only, and opened again when the worker behind it dies.

Bytes go to the client one whole HTTP chunk at a time, so that the stream can always go on with another worker's. The last
chunk is kept; when the upstream breaks off, the resourceVersion of its last event says where to open the watch again. The
client notices nothing. A watch whose position cannot be known (in the middle of initial events, which come in no order of
revision) is ended instead, cleanly: clients then start over.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import orjson

from workers.apimachinery.errors import ApiError
from workers.server.http import Request, Response, Sink
from workers.server.upstream import Relay, Upstream

if TYPE_CHECKING:
    from workers.server.delegation import DelegationTarget

END = b"0\r\n\r\n"
INITIAL_EVENTS_END = b'"k8s.io/initial-events-end"'
REPLACED = frozenset({"resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds"})
REOPEN_FOR = 15.0
_JSON_HEAD = b"\r\nContent-Type: application/json"

logger = logging.getLogger("apiserver.watch")


class WatchRelay:
    """A Pipe: one client's watch."""

    def __init__(self, target: DelegationTarget, request: Request, upstream: Upstream) -> None:
        self._target = target
        self._request = request
        self._upstream: Upstream | None = upstream
        self._sink: Sink | None = None
        self._partial = b""
        self._last = b""  # the payload of the last chunk passed on
        self._query = dict(parse_qsl(request.raw_query, keep_blank_values=True))
        self._initial = self._query.get("resourceVersion", "0") in ("", "0")
        self._initial_marked = self._query.get("sendInitialEvents") == "true"
        self._started = asyncio.get_running_loop().time()
        self._reopening: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, target: DelegationTarget, request: Request) -> Response:
        """The worker's answer, with a relay as its body if it is a watch that can be opened again."""
        response = await target.ask(target.message(request), method=request.method)
        if response.status == 200 and isinstance(response.body, Relay) and _JSON_HEAD in response.wire:
            if request.head is not None and not request.head.http10:
                response.body = cls(target, request, response.body.upstream)
        return response

    # ---- a Pipe for the client's connection

    def start(self, sink: Sink) -> None:
        self._sink = sink
        if self._upstream is not None:
            self._upstream.receive(self)

    def pause(self) -> None:
        if self._upstream is not None:
            self._upstream.pause()

    def resume(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    def end(self) -> None:
        sink = self._sink
        self.close()
        if sink is not None:
            sink.write(END)
            sink.finish(complete=True)

    def close(self) -> None:
        self._sink = None
        if self._upstream is not None:
            self._upstream.abort()
            self._upstream = None
        if self._reopening is not None:
            self._reopening.cancel()

    # ---- a Receiver for the upstream connection

    def data(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
            self._partial = b""
        position, size = 0, len(data)
        last = slice(0, 0)
        while position < size:
            line_end = data.find(b"\r\n", position)
            if line_end < 0:
                break
            start = line_end + 2
            end = start + int(data[position:line_end], 16)
            if end == start or end + 2 > size:
                break  # the last chunk is passed on by `ended`
            last = slice(start, end)
            if self._initial_marked and data.find(INITIAL_EVENTS_END, start, end) >= 0:
                self._initial = self._initial_marked = False
            position = end + 2
        self._last = data[last] or self._last
        if position < size:
            self._partial = data[position:]
            data = data[:position]
        if data and self._sink is not None:
            self._sink.write(data)

    def ended(self, *, complete: bool) -> None:
        self._upstream = None
        self._partial = b""
        if complete:
            self.end()
        elif self._sink is not None:
            self._reopening = asyncio.get_running_loop().create_task(self._reopen())

    # ---- opening the watch again

    async def _reopen(self) -> None:
        try:
            target = self._next_target()
            response = None if target is None else await self._ask(target)
            if response is None:
                self.end()
            elif response.status != 200:
                self._refused(response)
            elif isinstance(response.body, Relay):
                self._upstream = response.body.upstream
                self._upstream.receive(self)
            else:  # it has ended already
                self.data(_body(response))
                self.end()
        except ApiError as error:
            logger.warning("watch %s could not be opened again: %s", self._request.audit_id, error)
            self.end()

    async def _ask(self, target: bytes) -> Response:
        """The new upstream's answer; a group whose workers are just starting again gets a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + REOPEN_FOR
        while True:
            try:
                return await self._target.ask(self._target.message(self._request, target), method=self._request.method)
            except ApiError:
                if loop.time() > until:
                    raise
            await asyncio.sleep(0.1)

    def _next_target(self) -> bytes | None:
        """Path and query that go on after what the client has; None where that cannot be said."""
        assert self._request.head is not None
        if not self._last:
            return self._request.head.target
        event = self._last_event()
        version = event and _version(event.get("object", {}))
        if not event or not version or event["type"] == "ERROR":
            return None
        if self._initial and (self._initial_marked or event["type"] == "ADDED"):
            return None
        query = [(name, value) for name, value in self._query.items() if name not in REPLACED]
        query.append(("resourceVersion", version))
        timeout = self._query.get("timeoutSeconds", "")
        if timeout.isdigit() and timeout != "0":
            left = int(timeout) - (asyncio.get_running_loop().time() - self._started)
            if left <= 0:
                return None
            query.append(("timeoutSeconds", str(max(1, round(left)))))
        return self._request.head.target.partition(b"?")[0] + b"?" + urlencode(query).encode("ascii")

    def _last_event(self) -> dict[str, Any] | None:
        line = self._last.rstrip().rpartition(b"\n")[2]
        try:
            event: dict[str, Any] = orjson.loads(line)
        except orjson.JSONDecodeError:
            return None
        return event

    def _refused(self, response: Response) -> None:
        """The answer is an error, such as 410: in the middle of a watch that is an event."""
        if isinstance(response.body, Relay):
            response.body.close()
            self.end()
            return
        status = _body(response).strip()
        frame = b'{"type":"ERROR","object":%b}\n' % status
        if self._sink is not None:
            self._sink.write(b"%x\r\n%b\r\n" % (len(frame), frame))
        self.end()


def _body(response: Response) -> bytes:
    return response.wire.partition(b"\r\n\r\n")[2]


def _version(obj: dict[str, Any]) -> str:
    """An object's resourceVersion; a Table's is that of its row where it has none itself."""
    version = obj.get("metadata", {}).get("resourceVersion", "")
    if not version and obj.get("rows"):
        version = obj["rows"][-1].get("object", {}).get("metadata", {}).get("resourceVersion", "")
    return str(version)
