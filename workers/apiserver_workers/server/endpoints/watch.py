"""WATCH: events as frames, one a line, each made once and shared by all watchers that want the same form."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError, not_acceptable, resource_expired
from apiserver_workers.registry.list import Selects
from apiserver_workers.registry.options import ListOptions
from apiserver_workers.registry.watch import Watch
from apiserver_workers.server.delegation.watch_frames import InitialEvents
from apiserver_workers.server.endpoints import transform
from apiserver_workers.server.endpoints.negotiation import JSON, STREAM_TYPES, TABLE, YAML, Output
from apiserver_workers.server.endpoints.query import parse_query, text
from apiserver_workers.server.endpoints.serialize import watch_event
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.storage.interface import Compacted, Entry, Event, StorageError, Subscription

Object = dict[str, Any]
BOOKMARK_INTERVAL = 60.0
MAX_FRAMES = 1024
INITIAL_BATCH = 100  # initial events that are sent together
TOO_OLD = "The resourceVersion for the provided watch is too old."
# Errors that a watch tells as its only event: it began too far back, or at a revision that does not come.
TOLD = (410, 504)
INITIAL_END = {"k8s.io/initial-events-end": "true"}


class Frames:
    """The frames of one resource in one form, each made once."""

    def __init__(self, served: Served, output: Output, include: str) -> None:
        self.served = served
        self.output = output
        self.include = include
        self._made: dict[tuple[str, str, int], bytes] = {}

    def of(self, kind: str, entry: Entry) -> bytes:
        """The frame that tells of an entry."""
        key = (kind, entry.key, entry.mod_revision)
        frame = self._made.get(key)
        if frame is None:
            if len(self._made) >= MAX_FRAMES:
                self._made.clear()
            frame = self._made[key] = self.make(kind, entry)
        return frame

    def join(self, told: Sequence[tuple[str, Entry]], columns: bool) -> bytes:
        """The frames of several events; `columns` heads the first, in a table."""
        made = [self.of(kind, entry) for kind, entry in told]
        if columns:
            made[0] = self.make(*told[0], columns=True)
        return b"".join(made)

    def make(self, kind: str, entry: Entry, *, columns: bool = False) -> bytes:
        """A new frame; `columns` heads a table."""
        if self.output.media_type == JSON and not self.output.transform:
            return b'{"type":"%b","object":%b}\n' % (kind.encode(), self.served.body(entry))
        return self.encode(kind, self.served.outward(entry.obj), columns=columns)

    def encode(self, kind: str, obj: Object, *, columns: bool = False) -> bytes:
        """The frame of an object of the served version."""
        output = self.output
        if output.transform == TABLE:
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            obj = transform.table(self.served, [obj], metadata, output.version, self.include, columns=columns)
        elif output.transform:
            obj = transform.partial(obj, output.version)
        return self.frame(kind, obj)

    def frame(self, kind: str, obj: Object) -> bytes:
        """The frame of an object as it is."""
        return watch_event(kind, obj, self.output.media_type)

    def bookmark(self, revision: int, annotations: dict[str, str] | None = None) -> bytes:
        """A frame that says how far the watch has come."""
        metadata: Object = {"resourceVersion": str(revision)}
        if annotations:
            metadata["annotations"] = annotations
        return self.encode("BOOKMARK", self.served.empty(metadata))


def frames_of(served: Served, output: Output, include: str) -> Frames:
    """The shared frames of that form."""
    frames = served.frames.get((output, include))
    if frames is None:
        frames = served.frames[output, include] = Frames(served, output, include)
    return frames


async def watch_response(request: Request, served: Served, options: ListOptions, output: Output) -> Response:
    """The stream that answers a watch. Raises ApiError; a revision that cannot be had is told in the stream."""
    info = request.info
    assert info is not None
    transform.check_single(served, output)
    if output.media_type == YAML:
        raise not_acceptable(STREAM_TYPES)
    include = ""
    if output.transform == TABLE:
        include = transform.include_object(text(parse_query(request.raw_query), "includeObject"))
    frames = frames_of(served, output, include)
    content_type = JSON if output.media_type == JSON else STREAM_TYPES[1]
    try:
        watch = await served.store.watch(info.namespace, options)
    except ApiError as error:
        if error.code not in TOLD:
            raise
        return Response(200, _only(frames.frame("ERROR", error.status)), content_type)
    timeout = options.timeout or served.store.strategy.registry.settings.min_request_timeout * (1 + random.random())
    told = stream(watch, frames, timeout, bookmarks=options.allow_bookmarks)
    from_now = options.send_initial_events or options.resource_version in ("", "0")
    headers = (initial_events(watch).header(),) if from_now else ()
    return Response(200, WatchStream(told, watch.subscription), content_type, headers)


def initial_events(watch: Watch) -> InitialEvents:
    """What the front must know to open this watch again after its worker has died."""
    ended_by_event = watch.initial and not watch.bookmark_initial
    return InitialEvents(watch.revision, watch.initial[-1].mod_revision if ended_by_event else 0)


class WatchStream:
    """The frames of a watch; closing it ends the subscription, even if nothing was read yet."""

    __slots__ = ("_frames", "_subscription")

    def __init__(self, frames: AsyncGenerator[bytes, None], subscription: Subscription) -> None:
        self._frames = frames
        self._subscription = subscription

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._frames.__anext__()

    async def aclose(self) -> None:
        await self._frames.aclose()
        await self._subscription.aclose()


async def _only(frame: bytes) -> AsyncIterator[bytes]:
    yield frame


async def stream(watch: Watch, frames: Frames, timeout: float, *, bookmarks: bool) -> AsyncGenerator[bytes, None]:
    """The frames of a watch until it times out, its client goes away, or its events are lost."""
    subscription = watch.subscription
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    next_bookmark = loop.time() + BOOKMARK_INTERVAL
    # A table's columns stand in its first frame only.
    columns = frames.output.transform == TABLE
    try:
        for start in range(0, len(watch.initial), INITIAL_BATCH):
            yield frames.join([("ADDED", entry) for entry in watch.initial[start : start + INITIAL_BATCH]], columns)
            columns = False
        if watch.bookmark_initial:
            yield frames.bookmark(watch.revision, INITIAL_END)
        while (now := loop.time()) < deadline:
            if bookmarks and now >= next_bookmark:
                next_bookmark = now + BOOKMARK_INTERVAL
                yield frames.bookmark(max(subscription.revision, watch.revision))
            wake = min(deadline, next_bookmark) if bookmarks else deadline
            events = await subscription.next(max(wake - now, 0.0))
            told = list(tell(events, watch.selects, watch.revision))
            if not told:
                continue
            yield frames.join(told, columns)
            columns = False
        if bookmarks:
            yield frames.bookmark(max(subscription.revision, watch.revision))
    except ApiError as error:  # an object that cannot be read
        yield frames.frame("ERROR", error.status)
    except Compacted:
        yield frames.frame("ERROR", resource_expired(TOO_OLD).status)
    except StorageError:
        # The client resumes from the last event it got, or lists anew.
        return
    finally:
        await subscription.aclose()


def tell(events: Sequence[Event], selects: Selects | None, since: int) -> Iterator[tuple[str, Entry]]:
    """What a watcher is told of the events: an object that enters the selection is added, one that leaves is deleted."""
    for event in events:
        entry = event.entry
        if entry.mod_revision <= since:
            continue
        if selects is None:
            yield event.type, entry
            continue
        selected = event.type != "DELETED" and selects(entry.obj)
        was_selected = event.previous is not None and selects(event.previous.obj)
        if selected:
            yield "MODIFIED" if was_selected else "ADDED", entry
        elif was_selected and event.previous is not None:
            yield "DELETED", event.previous.at(entry.mod_revision)
