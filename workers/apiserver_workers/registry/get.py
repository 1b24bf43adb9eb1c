"""GET: one object from the cache, as fresh as the request asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver_workers.registry.interpret import interpret, parse_revision, unreadable_revision
from apiserver_workers.storage.interface import Entry, FutureRevision, StorageError

if TYPE_CHECKING:
    from apiserver_workers.registry.store import Store


async def get(store: Store, namespace: str, name: str, resource_version: str = "") -> Entry:
    """The object's entry. Raises ApiError: 404, 504 for a revision that does not exist yet, 500 for no number."""
    cache = store.cache
    key = store.key_of_request(namespace, name)
    revision = 0
    try:
        if not store.cached:
            revision = parse_revision(resource_version)
            return await _from_etcd(store, key, name, revision)
        if not resource_version:
            if not await store.catch_up():
                return await _from_etcd(store, key, name, 0)
        elif resource_version != "0":
            revision = parse_revision(resource_version)
            await cache.at_least(revision)
    except ValueError:
        raise unreadable_revision(resource_version) from None
    except StorageError as error:
        raise interpret(error, store.info, "get", revision) from error
    entry = cache.get(key)
    if entry is None:
        raise store.not_found(name)
    return entry


async def _from_etcd(store: Store, key: str, name: str, revision: int) -> Entry:
    """The newest entry, which must not be older than `revision`."""
    if revision and (newest := await store.storage.current_revision()) < revision:
        raise FutureRevision(newest)
    entry = await store.storage.get(key)
    if entry is None:
        raise store.not_found(name)
    return entry
