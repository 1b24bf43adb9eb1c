"""Watches on their way through the front: one upstream for clients that ask the same, opened again when its worker dies.

Bytes go to clients one whole HTTP chunk at a time, so that the stream can always go on with another worker's. The last
chunk is kept; when the upstream breaks off, the resourceVersion of its last event says where to open the watch again, and
no client notices. Initial events come in no order of revision; the worker's header says where they end. A watch whose
position cannot be known (in the middle of them) is ended instead, cleanly: clients then start over.

Sharing. Two watches with the same path, selectors and form see the same events; they only begin at different revisions.
A stream that begins at revision N holds all events after N, so it can serve a client that begins at M >= N: what of the
recent history is newer than M, then what comes, less what is not newer than M. A client that reads too slowly is dropped
alone; the stream never waits for one unless it is the only one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.integers import natural
from apiserver_workers.server.delegation.raw_query import fields_without
from apiserver_workers.server.delegation.upstream import Relay, Upstream
from apiserver_workers.server.delegation.watch_frames import (
    END,
    after,
    chunk,
    last_event,
    version_of,
    whole_chunks,
)
from apiserver_workers.server.http.messages import Request, Response, Sink
from apiserver_workers.server.internal_headers import UNKNOWN, Opening, opening_of, take_opening

if TYPE_CHECKING:
    from apiserver_workers.server.delegation.target import DelegationTarget

POSITION = frozenset({"resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds"})
REOPEN_FOR = 15.0
REOPEN_PAUSE = 0.1
SOON = 0.5  # who has less time left than this is not worth another upstream
HISTORY_BYTES = 1 << 17
MAX_BEHIND = 4 << 20  # bytes that a slow client may lag behind the others
_JSON_HEAD = b"\r\nContent-Type: application/json"

logger = logging.getLogger("apiserver.watch")

Key = tuple[bytes, tuple[str, ...], str]


class WatchMember:
    """A Pipe: one client of a stream. `skip_until`: events up to this revision are not for it."""

    def __init__(self, stream: WatchStream, opening: Opening, *, skip_until: int = 0) -> None:
        self.skip_until = skip_until
        self.until = _at(opening.timeout)  # 0: when the upstream ends
        self.sink: Sink | None = None
        self._stream = stream
        self._paused = False
        self._waiting: list[bytes] = []
        self._behind = 0
        joined = self.until and skip_until  # the first member is ended by the upstream
        self._timer = asyncio.get_running_loop().call_at(self.until, self.end) if joined else None

    def start(self, sink: Sink) -> None:
        self.sink = sink
        self._stream.attach(self)

    def pause(self) -> None:
        self._paused = True
        self._stream.member_pauses(self)

    def resume(self) -> None:
        self._paused = False
        waiting, self._waiting, self._behind = self._waiting, [], 0
        if waiting and self.sink is not None:
            self.sink.write(b"".join(waiting))
        self._stream.member_resumes()

    def write(self, region: bytes) -> None:
        """Deliver whole chunks."""
        if self.skip_until:
            region, found = after(region, self.skip_until)
            if not found:
                return
            self.skip_until = 0
        if not self._paused and self.sink is not None:
            self.sink.write(region)
            return
        self._waiting.append(region)
        self._behind += len(region)
        if self._behind > MAX_BEHIND:
            logger.warning("a watch is dropped: its client reads too slowly")
            self._finish(complete=False)

    def end(self) -> None:
        if self.sink is not None and not self._paused:
            self.sink.write(END)
        self._finish(complete=not self._paused)

    def close(self) -> None:
        self.sink = None
        self._leave()

    def _finish(self, *, complete: bool) -> None:
        sink, self.sink = self.sink, None
        self._leave()
        if sink is not None:
            sink.finish(complete=complete)

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._stream.detach(self)


class WatchStream:
    """A Receiver: one upstream watch and its clients."""

    def __init__(
        self,
        target: DelegationTarget,
        request: Request,
        fields: tuple[str, ...],
        upstream: Upstream,
        opening: Opening,
    ) -> None:
        """`fields`: those of the request's query that say nothing of its position."""
        self._target = target
        self._request = request
        self._fields = fields
        self._begins_at = opening.revision
        self._upstream: Upstream | None = upstream
        self._upstream_until = _at(opening.timeout)  # when the upstream is to end by itself, 0: unknown
        self._received = False  # whether the upstream hands over its data
        self._members: list[WatchMember] = []
        self._partial = b""
        self._last = b""  # the payload of the last chunk passed on
        self._in_order = not opening.initial  # whether every event's revision says where it stands
        self._opening = opening
        self._history: deque[bytes] = deque()
        self._history_size = 0
        self._forgotten = b""  # the newest region that the history has lost
        self._reopening: asyncio.Task[None] | None = None
        self.key: Key | None = None

    # ---- members

    def covers(self, version: int) -> bool:
        """Whether a client that begins at `version` can be served."""
        if self._forgotten:
            _, last = whole_chunks(self._forgotten)
            text = version_of(last_event(self._forgotten[last]))
            newest = natural(text)
            return newest is not None and version >= newest
        return version >= self._begins_at

    def attach(self, member: WatchMember) -> None:
        if self._members and self._upstream is not None:
            self._upstream.resume()  # it may have waited for its only client
        self._members.append(member)
        for region in self._history if member.skip_until < self._newest() else ():
            member.write(region)
        if not self._received and self._upstream is not None:
            self._received = True
            self._upstream.receive(self)

    def _newest(self) -> int:
        text = version_of(last_event(self._last))
        return natural(text) or 0

    def detach(self, member: WatchMember) -> None:
        if member in self._members:
            self._members.remove(member)
        if not self._members:
            self._close()
        else:
            self.member_resumes()

    def member_pauses(self, member: WatchMember) -> None:
        if self._members == [member] and self._upstream is not None:
            self._upstream.pause()

    def member_resumes(self) -> None:
        if self._upstream is not None:
            self._upstream.resume()

    def _close(self) -> None:
        if self._target.streams.get(self.key) is self:
            del self._target.streams[self.key]
        if self._upstream is not None:
            self._upstream.abort()
            self._upstream = None
        if self._reopening is not None:
            self._reopening.cancel()

    # ---- the upstream connection

    def data(self, data: bytes) -> None:
        if self._partial:
            data = self._partial + data
        end, last = whole_chunks(data)
        self._partial = data[end:]
        if not end:
            return
        self._last = data[last]
        region = data[:end] if self._partial else data
        if self.key is not None:
            self._remember(region)
        for member in self._members[:]:
            member.write(region)

    def _remember(self, region: bytes) -> None:
        self._history.append(region)
        self._history_size += len(region)
        while self._history_size > HISTORY_BYTES:
            self._forgotten = self._history.popleft()
            self._history_size -= len(self._forgotten)

    def ended(self, *, complete: bool) -> None:
        self._upstream = None
        self._partial = b""
        if complete:
            self._end_members(timed_out=0 < self._upstream_until < _at(SOON))
        if self._members:
            self._reopening = asyncio.get_running_loop().create_task(self._reopen())

    def _end_members(self, *, timed_out: bool = False) -> None:
        """End the clients; if the upstream has only come to its time, not those that have time left of their own."""
        soon = _at(SOON)
        for member in self._members[:]:
            if not timed_out or 0 < member.until < soon:
                member.end()

    # ---- opening the watch again

    async def _reopen(self) -> None:
        try:
            target = self._next_target()
            response = None if target is None else await self._ask(target)
        except ApiError as error:
            logger.warning("watch %s could not be opened again: %s", self._request.audit_id, error)
            response = None
        if response is None:
            self._end_members()
        elif response.status != 200:
            self._refused(response)
        elif isinstance(response.body, Relay):
            self._opening = opening_of(response.wire)
            self._upstream = response.body.upstream
            self._upstream.receive(self)
        else:  # it has ended already
            self.data(_body(response))
            self._end_members()

    async def _ask(self, target: bytes) -> Response:
        """The new upstream's answer; a group whose workers are just starting again, or cannot read yet, gets a while."""
        loop = asyncio.get_running_loop()
        until = loop.time() + REOPEN_FOR
        message = self._target.message(self._request, target)
        while True:
            late = loop.time() > until
            try:
                response = await self._target.ask(message, method=self._request.method)
                if late or not _is_transient(response):
                    return response
                _let_go(response)
            except ApiError:
                if late:
                    raise
            await asyncio.sleep(REOPEN_PAUSE)

    def _next_target(self) -> bytes | None:
        """Path and query that go on after what the clients have; None where that cannot be said."""
        assert self._request.head is not None
        if self._last:
            version = self._resume_version()
        elif self.key is not None:
            version = str(self._begins_at)
        else:
            return self._request.head.target
        if not version:
            return None
        self._in_order = True
        self._upstream_until = 0.0
        query = [*self._fields, f"resourceVersion={version}"]
        if all(member.until for member in self._members):
            self._upstream_until = max(member.until for member in self._members)
            left = self._upstream_until - asyncio.get_running_loop().time()
            if left <= 0:
                return None
            query.append(f"timeoutSeconds={max(1, round(left))}")
        return self._request.head.target.partition(b"?")[0] + b"?" + "&".join(query).encode("latin-1")

    def _resume_version(self) -> str:
        """Where to go on after the last chunk; "" where that cannot be said."""
        event = last_event(self._last)
        if event is None or event["type"] == "ERROR":
            return ""
        version = version_of(event)
        if self._in_order or event["type"] != "ADDED" or not version:
            return version
        after_initial = self._opening.resume_after(int(version)) if self._opening is not UNKNOWN else 0
        return str(after_initial) if after_initial else ""

    def _refused(self, response: Response) -> None:
        """The answer is an error, such as 410: in the middle of a watch that is an event."""
        if isinstance(response.body, Relay):
            _let_go(response)
        else:
            frame = chunk(b'{"type":"ERROR","object":%b}\n' % _body(response).strip())
            for member in self._members[:]:
                member.skip_until = 0
                member.write(frame)
        self._end_members()


def _is_transient(response: Response) -> bool:
    """Whether the answer is a refusal that another attempt may not meet."""
    return response.status == 429 or response.status >= 500


def _let_go(response: Response) -> None:
    """Give up an answer that is not passed on."""
    if isinstance(response.body, Relay):
        response.body.close()


def _at(delay: float) -> float:
    """The event loop's time in `delay` seconds; 0 for no delay."""
    return asyncio.get_running_loop().time() + delay if delay else 0.0


async def open_watch(target: DelegationTarget, request: Request) -> Response:
    """The answer to a watch: its head is a worker's, its body a member of a stream, shared where that is possible."""
    response = await target.ask(target.message(request), method=request.method)
    if target.inner:
        opening = opening_of(response.wire)
    else:
        response.wire, opening = take_opening(response.wire)
    head = request.head
    assert head is not None
    if response.status != 200 or not isinstance(response.body, Relay) or head.http10 or _JSON_HEAD not in response.wire:
        return response
    upstream = response.body.upstream
    fields = fields_without(request.raw_query, POSITION)
    key = (head.target.partition(b"?")[0], fields, request.headers.get("accept", ""))
    stream = target.streams.get(key) if opening.shareable else None
    if stream is not None and stream.covers(opening.revision):
        upstream.abort()  # it has shown that the watch may begin there
        response.body = WatchMember(stream, opening, skip_until=opening.revision)
        return response
    stream = WatchStream(target, request, fields, upstream, opening)
    if opening.shareable:
        stream.key = key
        target.streams[key] = stream
    response.body = WatchMember(stream, opening)
    return response


def _body(response: Response) -> bytes:
    return response.wire.partition(b"\r\n\r\n")[2]
