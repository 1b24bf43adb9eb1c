"""Reflectors: load a key range, then follow it by one watch, and know up to which revision that is complete.

Two kinds, because a watch on a part of the key space cannot tell whether it is complete: writes elsewhere raise etcd's
revision without a sign on it, and etcd's progress notifications may overtake events (before 3.4.25 and 3.5.8).

- `Reflector` watches the whole key space, in which every revision shows as an event: it is complete when it has seen it.
- `PrefixReflector` watches one resource. When it must know, it asks etcd for the keys that changed since, and their
  number: if it has all of them and no more, it is complete up to the answer's revision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Protocol

from apiserver_workers.storage import etcdrpc_pb2 as rpc
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.etcd_api import RANGE, prefix_end
from apiserver_workers.storage.interface import Compacted, Entry, FutureRevision, Lagging, StorageError, Unavailable

log = logging.getLogger(__name__)

PAGE = 500
FRESH_TIMEOUT = 3.0
RETRY_PAUSE = 0.1
CONFIRM_PAUSE = 0.02
LOG_EVERY = 10_000
MOVING = 3.0  # a watch may take so long to move to another member; reads wait as long for it
NEVER, UP = float("-inf"), float("inf")


class Sink(Protocol):
    """What a reflector feeds."""

    def load(self, entries: Sequence[Entry], revision: int) -> None:
        """Replace everything by these entries, in key order."""
        ...

    def apply(self, changes: Sequence[rpc.Event]) -> None:
        """Take a batch of changes, whole revisions in order."""
        ...


class Reflector:
    """Feeds `sink` (set before start) with all keys below `prefix`."""

    sink: Sink
    quorum = True  # whether a read must see all that was written before it

    def __init__(self, storage: EtcdStorage, prefix: str) -> None:
        self.revision = 0
        self._down_since = NEVER
        self._storage = storage
        self._prefix = prefix
        self._range = (b"\x00", b"\x00")
        self._cluster = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._task: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    async def start(self) -> None:
        """Load and follow; returns when the first load is complete, however long etcd takes to answer."""
        self._task = asyncio.create_task(self._run())
        await self._started.wait()

    async def stop(self) -> None:
        """Stop following."""
        self._down_since = NEVER
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def healthy(self) -> bool:
        """Whether the watch on etcd is established, or was until a moment ago: one that moves is no fault yet."""
        return asyncio.get_running_loop().time() - self._down_since < MOVING

    async def fresh(self) -> int:
        """Wait for all that was written before this call; the revision reached. Raises Unavailable, Lagging."""
        if not self.quorum:
            return self.revision
        target = await self._storage.current_revision()
        before = self.revision
        if before < target and not await self._reach(target, FRESH_TIMEOUT):
            if self.revision == before:
                self._watch_anew()
            raise Lagging(f"the watch cache is at revision {self.revision}, etcd at {target}")
        return self.revision

    async def at_least(self, revision: int, timeout: float) -> int:
        """Wait for `revision`; the revision reached. Raises FutureRevision after `timeout` seconds."""
        if self.revision < revision and not await self._reach(revision, timeout):
            raise FutureRevision(self.revision)
        return self.revision

    async def _reach(self, revision: int, timeout: float) -> bool:
        """Wait until `revision` is reached, for `timeout` seconds at most."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append((revision, waiter))
        timer = loop.call_later(timeout, _release, waiter)
        try:
            await waiter
        finally:
            timer.cancel()
        return self.revision >= revision

    def _advance(self, revision: int) -> None:
        """Everything up to `revision` is in the cache."""
        self.revision = revision
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if waiter[0] <= revision:
                    _release(waiter[1])
                elif not waiter[1].done():
                    self._waiters.append(waiter)

    async def _run(self, loaded: bool = False) -> None:
        while True:
            try:
                loaded = loaded and await self._same_history()
                if not loaded:
                    await self._load()
                    loaded = True
                await self._follow_in_a_task()
            except Compacted:
                log.warning("history of %s since revision %d is compacted: loading again", self._prefix, self.revision)
                loaded = False
            except StorageError as error:
                log.warning("watch of %s: %s", self._prefix, error)
            except Exception:  # never leave a server without its watch
                log.exception("watch of %s failed: loading again", self._prefix)
                loaded = False
            self._down_since = min(self._down_since, asyncio.get_running_loop().time())
            await asyncio.sleep(RETRY_PAUSE)

    async def _same_history(self) -> bool:
        """False when etcd has been restored to an earlier state, so that our revisions are no longer its."""
        return await self._storage.current_revision() >= self.revision

    async def _load(self) -> None:
        page = await self._storage.list(self._prefix, limit=PAGE)
        revision, entries = page.revision, list(page.entries)
        while page.remaining:
            start = entries[-1].key + "\0"
            page = await self._storage.list(self._prefix, start_key=start, limit=PAGE, revision=revision)
            entries += page.entries
            if len(entries) % LOG_EVERY < PAGE:
                log.info("loading %s: %d objects, %d to go", self._prefix, len(entries), page.remaining)
        self.sink.load(entries, revision)
        self._advance(revision)

    async def _follow_in_a_task(self) -> None:
        """Follow until that fails; cancelling the task alone is a failure too."""
        task = self._following = asyncio.create_task(self._follow())
        try:
            await asyncio.wait({task})
        finally:
            self._following = None
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if task.cancelled():
            raise Unavailable("it has fallen silent")
        task.result()

    def _watch_anew(self) -> None:
        """Nothing came while etcd moved on: the member behind the watch may hang, and others not."""
        if self._following is not None:
            self._following.cancel()

    async def _follow(self) -> None:
        """Apply the watch's events; only ever ends with a StorageError."""
        async with aclosing(self._storage.watch_stream(*self._range, self.revision + 1)) as answers:
            async for answer in answers:
                if answer.events:
                    self.sink.apply(answer.events)
                    self._advance(max(self.revision, answer.events[-1].kv.mod_revision))
                elif answer.created:
                    self._check_cluster(answer.header.cluster_id)
                    self._down_since = UP
                    self._started.set()

    def _check_cluster(self, cluster: int) -> None:
        if self._cluster and self._cluster != cluster:
            self._cluster = cluster
            raise Compacted()
        self._cluster = cluster


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class ResourceSink(Sink, Protocol):
    """A sink that can say what it holds."""

    def get(self, key: str) -> Entry | None: ...

    def __len__(self) -> int: ...


class PrefixReflector(Reflector):
    """Feeds one resource only."""

    sink: ResourceSink

    def __init__(self, storage: EtcdStorage, prefix: str) -> None:
        super().__init__(storage, prefix)
        self._range = prefix.encode(), prefix_end(prefix.encode())

    async def _reach(self, revision: int, timeout: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while self.revision < revision:
            self._advance(max(self.revision, await self._confirmed()))
            if self.revision < revision:
                if loop.time() >= deadline:
                    return False
                await asyncio.sleep(CONFIRM_PAUSE)
        return True

    async def _confirmed(self) -> int:
        """The revision at which etcd says that the cache is complete; 0 if it is not (yet)."""
        key, end = self._range
        since = self.revision + 1
        request = rpc.RangeRequest(key=key, range_end=end, keys_only=True, min_mod_revision=since)
        answer = await self._storage.call(RANGE, request)
        changed = ((self.sink.get(kv.key.decode()), kv.mod_revision) for kv in answer.kvs)
        complete = answer.count == len(self.sink) and all(
            entry is not None and entry.mod_revision == revision for entry, revision in changed
        )
        return answer.header.revision if complete else 0
