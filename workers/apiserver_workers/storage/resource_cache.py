"""One resource's objects, their latest events and its watchers (interface.py: ResourceCache)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import aclosing

from apiserver_workers.storage import etcdrpc_pb2 as rpc
from apiserver_workers.storage.entry_map import EntryMap, Render, as_item
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.etcd_api import prefix_end
from apiserver_workers.storage.history import History
from apiserver_workers.storage.interface import Compacted, Entry, Event, StorageError
from apiserver_workers.storage.reflector import Reflector
from apiserver_workers.storage.subscription import CacheSubscription, Replay, below

EVERYTHING = b"\x00", b"\x00"  # etcd's key range that holds all keys


class EtcdResourceCache:
    """The cache of all keys below `prefix`, fed by a reflector. A watch may go back `window` events; 0 is without limit."""

    def __init__(
        self, storage: EtcdStorage, prefix: str, reflector: Reflector, *, render: Render = as_item, window: int = 0
    ) -> None:
        self.prefix = prefix
        self._window = window
        self._render = render
        self.history = History(reflector.revision)
        self._storage = storage
        self._reflector = reflector
        self._entries = EntryMap(self._render)
        self.changes = 0
        self._watchers: dict[str, set[CacheSubscription]] = {}

    # for readers

    @property
    def revision(self) -> int:
        """Everything up to this revision is in the cache."""
        return self._reflector.revision

    async def fresh(self) -> int:
        """Wait until the cache holds all that was written before this call. Raises Unavailable."""
        return await self._reflector.fresh()

    async def at_least(self, revision: int, timeout: float = 3.0) -> int:
        """Wait until the cache has reached `revision`. Raises FutureRevision after `timeout` seconds."""
        return await self._reflector.at_least(revision, timeout)

    def get(self, key: str) -> Entry | None:
        """The entry at `key`."""
        return self._entries.get(key)

    def list(self, key_prefix: str) -> Sequence[Entry]:
        """A snapshot of the entries below `key_prefix`, in key order."""
        return self._entries.range(key_prefix)

    def list_body(self, key_prefix: str) -> Sequence[bytes]:
        """The same entries as a list holds them, as a few long segments, commas included."""
        return self._entries.bodies(key_prefix)

    async def watch(self, key_prefix: str, since: int) -> CacheSubscription:
        """All events after revision `since`, or from now on where that is still to come. Raises Compacted, Unavailable."""
        if self._window:
            await self._check_window(since)
        subscription = CacheSubscription(self, key_prefix, since)
        await subscription.start()
        return subscription

    def __len__(self) -> int:
        return len(self._entries)

    async def _check_window(self, since: int) -> None:
        """Raises Compacted if more events follow `since` than the window holds: the same in every worker, whatever its
        memory holds."""
        events = list(self.history.since(since))
        if since < self.history.floor:
            older: list[Event] = []
            floor = self.history.floor
            async with aclosing(self.replay(self.prefix, since + 1)) as steps:
                async for found, reached in steps:
                    older += [event for event in found if event.entry.mod_revision <= floor]
                    if reached >= floor or len(older) > self._window:
                        break
            events = older + events
        if len(events) > self._window:
            raise Compacted(events[-self._window - 1].entry.mod_revision)

    # for the reflector

    def load(self, entries: Iterable[Entry], revision: int) -> None:
        """Start again from a new load. Watchers may have missed events: theirs end, as after a compaction."""
        self._entries = EntryMap(self._render)
        self.changes += 1
        self.adopt(entries)
        self.history = History(revision)
        self.end_watches(Compacted(revision))

    def adopt(self, entries: Iterable[Entry]) -> None:
        """Take entries that were there before anybody watched."""
        self.changes += 1
        for entry in entries:
            self._entries.put(entry)

    def apply(self, changes: Iterable[rpc.Event]) -> None:
        """Take changes of this resource alone."""
        self.deliver([event for change in changes if (event := self.take(change.kv.key.decode(), change))])

    def take(self, key: str, change: rpc.Event) -> Event | None:
        """Take a change; its event, to be delivered with its batch, or None if it is known already."""
        kv = change.kv
        revision = kv.mod_revision
        previous = self._entries.get(key)
        if previous is not None and previous.mod_revision >= revision:
            return None
        self.changes += 1
        if change.type == rpc.Event.PUT:
            entry = self._storage.entry(key, kv.value, revision)
            self._entries.put(entry)
            return Event("ADDED" if previous is None else "MODIFIED", entry, previous)
        if previous is None:
            return None
        self._entries.remove(key)
        return Event("DELETED", previous.at(revision), previous)

    def deliver(self, events: Sequence[Event]) -> None:
        """Remember a batch of events and give each watcher those of its prefix."""
        for event in events:
            self.history.append(event)
        watchers = self._watchers
        if not watchers or not events:
            return
        if len(watchers) == 1 and self.prefix in watchers:
            batches: dict[str, Sequence[Event]] = {self.prefix: events}
        else:
            batches = self._by_prefix(events)
        for prefix, batch in batches.items():
            for watcher in tuple(watchers[prefix]):
                watcher.push(batch)

    def end_watches(self, error: StorageError) -> None:
        """End every subscription with `error`."""
        for watcher in [watcher for group in self._watchers.values() for watcher in group]:
            watcher.end(error)

    # for subscriptions

    def subscribe(self, watcher: CacheSubscription) -> None:
        """Push all further events of the watcher's prefix to it."""
        self._watchers.setdefault(watcher.prefix, set()).add(watcher)

    def unsubscribe(self, watcher: CacheSubscription) -> None:
        """Stop pushing."""
        group = self._watchers.get(watcher.prefix, set())
        group.discard(watcher)
        if not group:
            self._watchers.pop(watcher.prefix, None)

    async def replay(self, prefix: str, start_revision: int) -> Replay:
        """Events of `prefix` from etcd's history, each step with the revision that it completes.

        A quiet prefix would give no sign that its history is through, so the whole key space is read, in which every
        revision shows. Not so when memory has been trimmed: then an event of this resource marks where it begins.
        """
        key, end = EVERYTHING
        if self.history.trimmed:
            key, end = self.prefix.encode(), prefix_end(self.prefix.encode())
        async with aclosing(self._storage.watch_stream(key, end, start_revision, prev_kv=True)) as answers:
            async for answer in answers:
                changes = [change for change in answer.events if below(change.kv.key.decode(), prefix)]
                events = [event for change in changes if (event := self._storage.event(change))]
                if answer.events:
                    yield events, answer.events[-1].kv.mod_revision

    def _by_prefix(self, events: Sequence[Event]) -> dict[str, Sequence[Event]]:
        """The events of each watched prefix: the resource's, each parent folder's, the key itself."""
        found: dict[str, list[Event]] = {}
        watchers = self._watchers
        for event in events:
            key = event.entry.key
            end = len(self.prefix)
            while end:
                if (folder := key[:end]) in watchers:
                    found.setdefault(folder, []).append(event)
                end = key.find("/", end) + 1
            if key in watchers:
                found.setdefault(key, []).append(event)
        return dict(found)
