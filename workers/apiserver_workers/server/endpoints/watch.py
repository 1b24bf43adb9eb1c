"""WATCH: events as frames, one a line, each made once and shared by all watchers that want the same form."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from typing import Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.errors import ApiError, not_acceptable, resource_expired
from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.registry.list import Selects
from apiserver_workers.registry.options import ListOptions
from apiserver_workers.registry.watch import Watch
from apiserver_workers.server.endpoints import transform
from apiserver_workers.server.endpoints.negotiation import JSON, STREAM_TYPES, TABLE, YAML, Output
from apiserver_workers.server.endpoints.query import text
from apiserver_workers.server.endpoints.respond import outward_all
from apiserver_workers.server.endpoints.serialize import watch_event
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.internal_headers import Opening
from apiserver_workers.storage.interface import Compacted, Entry, Event, StorageError, Subscription

Object = dict[str, Any]
BOOKMARK_INTERVAL = 60.0
FRAMES_ROOM = 8 << 20  # bytes
INITIAL_BATCH = 100  # initial events that are sent together
TOO_OLD = "The resourceVersion for the provided watch is too old."
# Errors that a watch tells as its only event: it began too far back, or at a revision that does not come.
TOLD = (410, 504)
INITIAL_END = {"k8s.io/initial-events-end": "true"}


# Objects in the served version, by key and revision; only of resources that are not served as they are stored.
Converted = Mapping[tuple[str, int], Object]
NOTHING_CONVERTED: Converted = {}


class Frames:
    """The frames of one resource in one form, each made once."""

    def __init__(self, served: Served, output: Output, include: str) -> None:
        self.served = served
        self.output = output
        self.include = include
        self._made: Kept[tuple[str, str, int], bytes] = Kept(
            size=lambda _, frame: len(frame), longest=FRAMES_ROOM, room=FRAMES_ROOM, expansion=1
        )

    def of(self, event: str, entry: Entry, converted: Converted) -> bytes:
        """The frame that tells of an entry."""
        key = (event, entry.key, entry.mod_revision)
        frame = self._made.get(key)
        if frame is None:
            frame = self.make(event, entry, converted)
            self._made.keep(key, frame)
        return frame

    async def join(self, told: Sequence[tuple[str, Entry]], columns: bool) -> bytes:
        """The frames of several events; `columns` heads the first, in a table. Raises ApiError."""
        converted = NOTHING_CONVERTED if self.served.as_stored else await self._convert(told)
        made = [self.of(event, entry, converted) for event, entry in told]
        if columns:
            made[0] = self.make(*told[0], converted, columns=True)
        return b"".join(made)

    async def _convert(self, told: Sequence[tuple[str, Entry]]) -> Converted:
        """The objects in the served version of those entries whose frames are not made yet."""
        new = [entry for event, entry in told if (event, entry.key, entry.mod_revision) not in self._made]
        objects = await outward_all(self.served, [entry.obj for entry in new])
        return {(entry.key, entry.mod_revision): obj for entry, obj in zip(new, objects, strict=True)}

    def make(self, event: str, entry: Entry, converted: Converted, *, columns: bool = False) -> bytes:
        """A new frame; `columns` heads a table."""
        plain = self.output.media_type == JSON and not self.output.transform
        if plain and self.served.as_stored:
            return b'{"type":"%b","object":%b}\n' % (event.encode(), entry.body)
        obj = entry.obj if self.served.as_stored else converted[entry.key, entry.mod_revision]
        if plain:
            return b'{"type":"%b","object":%b}\n' % (event.encode(), codec.encode(obj))
        return self.encode(event, obj, columns=columns)

    def encode(self, event: str, obj: Object, *, columns: bool = False) -> bytes:
        """The frame of an object of the served version."""
        output = self.output
        if output.transform == TABLE:
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            obj = transform.table(self.served, [obj], metadata, output.version, self.include, columns=columns)
        elif output.transform:
            obj = transform.partial(obj, output.version)
        return self.frame(event, obj)

    def frame(self, event: str, obj: Object) -> bytes:
        """The frame of an object as it is."""
        return watch_event(event, obj, self.output.media_type, self.served.kind.model)

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
        include = transform.include_object(text(request.query, "includeObject"))
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
    header = opening(watch, options, table=output.transform == TABLE).header()
    return Response(200, WatchStream(told, watch.subscription), content_type, (header,))


def opening(watch: Watch, options: ListOptions, *, table: bool) -> Opening:
    """What the front must know to share this watch, and to open it again after its worker has died."""
    from_now = bool(options.send_initial_events) or options.resource_version in ("", "0")
    ended_by_event = watch.initial and not watch.bookmark_initial
    return Opening(
        revision=watch.revision,
        last=watch.initial[-1].mod_revision if ended_by_event else 0,
        initial=from_now,
        shareable=not from_now and not table,  # the first event of a table has the columns
        timeout=max(options.timeout or 0, 0),
    )


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
            yield await frames.join(
                [("ADDED", entry) for entry in watch.initial[start : start + INITIAL_BATCH]], columns
            )
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
            yield await frames.join(told, columns)
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
