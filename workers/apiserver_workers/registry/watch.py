"""WATCH: the stored events of one resource from a revision on, with initial events where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apiserver_workers.apimachinery.errors import resource_expired
from apiserver_workers.registry.interpret import interpret, parse_revision, unreadable_revision
from apiserver_workers.registry.list import Selects, remembered, selection
from apiserver_workers.registry.options import ListOptions
from apiserver_workers.storage.direct import DirectSubscription
from apiserver_workers.storage.interface import Compacted, Entry, FutureRevision, StorageError, Subscription
from apiserver_workers.storage.subscription import below

if TYPE_CHECKING:
    from apiserver_workers.registry.store import Store


@dataclass(slots=True)
class Watch:
    """An open watch. Events up to `revision` are told by `initial` or have passed; `bookmark_initial` asks for the
    bookmark that ends the initial events.
    """

    initial: Sequence[Entry]
    subscription: Subscription
    revision: int
    selects: Selects | None
    bookmark_initial: bool


async def watch(store: Store, namespace: str, options: ListOptions) -> Watch:
    """Open the watch that the options ask for; the caller closes its subscription. Raises ApiError."""
    opened = await _open(store, namespace, options)
    store.opened(opened.subscription)
    return opened


async def _open(store: Store, namespace: str, options: ListOptions) -> Watch:
    prefix = _narrowest(store, namespace, options)
    selects = selection(store, options)
    since = 0
    try:
        since = parse_revision(options.resource_version)
        if not store.cached:
            return await _uncached(store, prefix, options, selects, since)
        if not options.resource_version:
            await store.cache.fresh()
        if since and not options.send_initial_events:
            # A watch may begin in the future: it is silent until then.
            return Watch((), await store.cache.watch(prefix, since), since, selects, False)
        if since:
            await store.cache.at_least(since)
        return await _from_now(store, prefix, options, selects)
    except ValueError:
        raise unreadable_revision(options.resource_version) from None
    except Compacted as error:
        raise resource_expired(f"too old resource version: {since} ({error.revision})") from error
    except StorageError as error:
        raise interpret(error, store.info, "watch", since) from error


async def _uncached(store: Store, prefix: str, options: ListOptions, selects: Selects | None, since: int) -> Watch:
    """A watch on etcd itself; that it began too far back shows in the stream."""
    storage = store.storage
    if since and not options.send_initial_events:
        return Watch((), DirectSubscription(storage, prefix, since), since, selects, False)
    initial: Sequence[Entry] = ()
    if options.send_initial_events:
        listing = await storage.list(prefix)
        revision = listing.revision
        found = [entry for entry in remembered(store, listing.entries) if below(entry.key, prefix)]
        initial = [entry for entry in found if selects is None or selects(entry.obj)]
    else:
        revision = await storage.current_revision()
    if revision < since:
        raise FutureRevision(revision)
    bookmark = bool(options.send_initial_events) and options.allow_bookmarks
    return Watch(initial, DirectSubscription(storage, prefix, revision), revision, selects, bookmark)


def _narrowest(store: Store, namespace: str, options: ListOptions) -> str:
    """The key prefix of all that the watch may tell of: one object, one namespace, or everything."""
    fields = options.fields
    if fields is None:
        return store.prefix(namespace)
    namespace = namespace or (store.info.namespaced and fields.exact("metadata.namespace")) or ""
    name = fields.exact("metadata.name")
    if name and (namespace or not store.info.namespaced):
        return store.key(namespace, name)
    return store.prefix(namespace)


async def _from_now(store: Store, prefix: str, options: ListOptions, selects: Selects | None) -> Watch:
    cache = store.cache
    revision = cache.revision
    initial: Sequence[Entry] = ()
    if options.send_initial_events:
        initial = [entry for entry in cache.list(prefix) if selects is None or selects(entry.obj)]
    subscription = await cache.watch(prefix, revision)
    bookmark = bool(options.send_initial_events) and options.allow_bookmarks
    return Watch(initial, subscription, revision, selects, bookmark)
