"""The storage contract on one page: what the registry asks of etcd and of the watch cache.

An object's value is its JSON without resourceVersion, starting `{"kind":...,"apiVersion":...,"metadata":{"` with a
never-empty metadata; how it lies in etcd (protobuf, encrypted) is formats.py's matter. Revisions are etcd's mod revisions; an object's resourceVersion is the revision that wrote it.
Writes are compare-and-swap on the mod revision, always. Every call has a deadline and raises `Unavailable` past it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Entry(Protocol):
    """One stored object at one revision. Shared by all readers: never change `obj`."""

    key: str
    value: bytes  # read from what is stored when it is first asked for: may raise Unreadable, as may what is made of it
    mod_revision: int

    @property
    def size(self) -> int:
        """Bytes that it takes in etcd."""
        ...

    @property
    def body(self) -> bytes:
        """The object's JSON with its resourceVersion: what a GET answers."""
        ...

    @property
    def item(self) -> bytes:
        """The body without kind and apiVersion, as lists of built-in kinds hold it."""
        ...

    @property
    def obj(self) -> dict[str, Any]:
        """The parsed object with metadata.resourceVersion; parsed at first use and kept. Read-only: copy to change."""
        ...

    def at(self, revision: int) -> Entry:
        """The same state under another revision, as a deletion reports it."""
        ...


Render = Callable[[Entry], bytes]  # what a list shows of an entry: its item, or its body


@dataclass(slots=True)
class Event:
    """A change. ADDED: `previous` is None. DELETED: `entry` is the last state, its revision that of the deletion."""

    type: str  # ADDED, MODIFIED, DELETED
    entry: Entry
    previous: Entry | None


@dataclass(slots=True)
class Listing:
    """A page of entries in key order at `revision`; `remaining` counts the matching keys behind the page."""

    entries: Sequence[Entry]
    revision: int
    remaining: int


class StorageError(Exception):
    """Base of the errors below."""


class KeyExists(StorageError):
    """create: the key is there already."""


class Mismatch(StorageError):
    """update, delete: the key's mod revision is another one. `current` is the present entry, None if the key is gone."""

    def __init__(self, current: Entry | None) -> None:
        super().__init__("mod revision differs")
        self.current = current


class Compacted(StorageError):
    """The revision asked for has been compacted. `revision` is the compact revision (0 if unknown)."""

    def __init__(self, revision: int = 0) -> None:
        super().__init__("required revision has been compacted")
        self.revision = revision


class FutureRevision(StorageError):
    """The revision asked for was not reached in time. `current` is the newest one known."""

    def __init__(self, current: int) -> None:
        super().__init__("revision not reached")
        self.current = current


class TooLarge(StorageError):
    """create, update: etcd does not take a value of that size; the message is etcd's."""


class Unavailable(StorageError):
    """etcd did not answer within the deadline, or has no leader. Whether a write took place is unknown."""


class Lagging(Unavailable):
    """etcd answers, but the watch cache does not keep up with it: what it holds may be old, so read from etcd."""


class Dropped(StorageError):
    """The resource is not served any more."""


MAX_REVISION = (1 << 63) - 1  # what etcd's protocol can say


class Storage(Protocol):
    """etcd, by key. Keys are whole (`/registry/configmaps/ns/name`); prefixes end in `/`."""

    def of(self, key: str) -> Storage:
        """The storage of the cluster that a key lies in: where several are used, each resource has one."""
        ...

    async def get(self, key: str, revision: int = 0) -> Entry | None: ...

    async def list(self, prefix: str, *, start_key: str = "", limit: int = 0, revision: int = 0) -> Listing:
        """Keys below `prefix` from `start_key` on (inclusive), at `revision` (0: now). Raises Compacted, FutureRevision."""
        ...

    async def create(self, key: str, value: bytes, *, ttl: float = 0) -> int:
        """The new revision. `ttl` in seconds attaches a lease (shared by writes of one window). Raises KeyExists."""
        ...

    async def update(self, key: str, value: bytes, mod_revision: int, *, ttl: float = 0) -> int:
        """The new revision. Raises Mismatch."""
        ...

    async def delete(self, key: str, mod_revision: int) -> int:
        """The deletion's revision. Raises Mismatch."""
        ...

    def stale(self, entry: Entry) -> bool:
        """Whether the entry lies in etcd otherwise than it would be written now, so that even an update which changes
        nothing must write."""
        ...

    def forget(self, prefix: str) -> None:
        """Nothing lies below this prefix that is served any more."""
        ...

    async def current_revision(self) -> int:
        """A linearizable revision, read after this call began. Calls that wait at the same time share one probe."""
        ...

    def watch(self, prefix: str, start_revision: int) -> AsyncIterator[Sequence[Event]]:
        """Batches of events from `start_revision` on, whole revisions, in order. Raises Compacted."""
        ...


class Subscription(Protocol):
    """Events of one watcher, in order, without a gap: `async for` or `next`. `aclose` ends it. Raises SlowWatcher when
    the watcher lags too far, Compacted when events were lost to compaction."""

    @property
    def revision(self) -> int:
        """Every event up to this revision has been handed over: what a bookmark may say."""
        ...

    async def next(self, timeout: float | None = None) -> Sequence[Event]:
        """The next batch; empty when `timeout` seconds passed without one."""
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Event]]: ...

    def end(self, error: StorageError) -> None:
        """No more events; what is pending is still read, then `error` raised."""
        ...

    async def aclose(self) -> None: ...


class SlowWatcher(StorageError):
    """The watcher did not take its events in time and was dropped."""


class ResourceCache(Protocol):
    """One resource's objects (all keys below one resource prefix) in this worker's memory.

    A `key_prefix` that ends in `/` stands for everything below it, any other for that key alone. `changes` is another
    number whenever the entries are others, so that what was made of them can be kept.
    """

    changes: int

    @property
    def revision(self) -> int:
        """Everything up to this revision is in the cache (it may be far above the newest object's)."""
        ...

    async def fresh(self) -> int:
        """Wait until the cache holds all that was written before this call; the revision reached. Raises Unavailable,
        Lagging."""
        ...

    async def at_least(self, revision: int, timeout: float = 3.0) -> int:
        """Wait until the cache has reached `revision`. Raises FutureRevision after `timeout` seconds."""
        ...

    def get(self, key: str) -> Entry | None: ...

    def list(self, key_prefix: str) -> Sequence[Entry]:
        """Entries below `key_prefix` in key order; a snapshot that later events do not change."""
        ...

    def list_body(self, key_prefix: str) -> Sequence[bytes]:
        """The same entries' `item`s as a few long segments, commas included: what a LIST puts between [ and ]."""
        ...

    async def watch(self, key_prefix: str, since: int) -> Subscription:
        """All events after revision `since`, from memory, or from etcd's history if older; silent until that revision
        if it is still to come. Raises Compacted."""
        ...


class WatchCache(Protocol):
    """All resources' caches, fed by one watch on the whole prefix."""

    async def start(self) -> None:
        """Load and follow; returns when the first load is complete."""
        ...

    def resource(self, storage_prefix: str) -> ResourceCache:
        """The cache of `/registry/<storage_prefix>/`. Raises KeyError for a resource that is not followed."""
        ...

    async def add(self, storage_prefix: str, *, render: Render = ...) -> ResourceCache:
        """Follow one more resource; returns when it is loaded. `render` is what lists show of an entry."""
        ...

    async def drop(self, storage_prefix: str) -> None:
        """Follow a resource no more and forget its objects; its watches end."""
        ...

    @property
    def healthy(self) -> bool: ...

    async def stop(self) -> None: ...
