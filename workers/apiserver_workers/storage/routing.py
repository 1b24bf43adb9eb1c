"""Storage over several etcd clusters: --etcd-servers-overrides gives single resources an etcd of their own.

Each cluster counts revisions of its own, so whoever compares revisions must stay within one resource.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.interface import Entry, Event, Listing, Shape


class RoutedStorage:
    """Storage (interface.py) that finds the cluster of each key. `others` are by key prefix, such as /registry/events/."""

    def __init__(self, default: EtcdStorage, others: Mapping[str, EtcdStorage]) -> None:
        self.default = default
        self.others = dict(others)

    def of(self, key: str) -> EtcdStorage:
        """The cluster that a key lies in."""
        for prefix, storage in self.others.items():
            if key.startswith(prefix):
                return storage
        return self.default

    async def get(self, key: str, revision: int = 0) -> Entry | None:
        return await self.of(key).get(key, revision)

    async def list(self, prefix: str, *, start_key: str = "", limit: int = 0, revision: int = 0) -> Listing:
        return await self.of(prefix).list(prefix, start_key=start_key, limit=limit, revision=revision)

    async def create(self, key: str, value: bytes, *, ttl: float = 0) -> int:
        return await self.of(key).create(key, value, ttl=ttl)

    async def update(self, key: str, value: bytes, mod_revision: int, *, ttl: float = 0) -> int:
        return await self.of(key).update(key, value, mod_revision, ttl=ttl)

    async def delete(self, key: str, mod_revision: int) -> int:
        return await self.of(key).delete(key, mod_revision)

    def stale(self, entry: Entry) -> bool:
        return self.default.stale(entry)

    def shape(self, prefix: str, shape: Shape) -> None:
        self.of(prefix).shape(prefix, shape)

    def forget(self, prefix: str) -> None:
        self.of(prefix).forget(prefix)

    async def current_revision(self) -> int:
        """That of the cluster without overrides."""
        return await self.default.current_revision()

    def watch(self, prefix: str, start_revision: int) -> AsyncIterator[Sequence[Event]]:
        return self.of(prefix).watch(prefix, start_revision)
