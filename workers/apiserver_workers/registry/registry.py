"""Registry: the stores of one server, each made when it is first asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.attributes import Admission, Permits
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies import strategy_for
from apiserver_workers.registry.strategies.base import Strategy
from apiserver_workers.storage.factory import is_cached
from apiserver_workers.storage.interface import Storage, WatchCache

# Group, plural name, and the version of a store that is not that of the stored version.
StoreKey = tuple[str, str, str]


class Registry:
    """All stored resources over one storage and one watch cache.

    `settings` are the completed options that strategies read (service ranges, event TTL, ...). `admission` makes the chain
    that every store is given: its plugins look things up in this registry, once there are requests.
    """

    permits: Permits | None = None  # None: nobody is asked, everything is permitted
    # The plural name of a kind in an apiVersion, None for one that nobody serves; of all servers' kinds. Raises ApiError.
    plural_of: Callable[[str, str], Awaitable[str | None]] | None = None

    def __init__(
        self,
        *,
        kinds: BuiltinKinds,
        storage: Storage,
        cache: WatchCache,
        settings: Any,
        admission: Callable[[Registry], Admission],
        etcd_prefix: str = "/registry",
    ) -> None:
        self.kinds = kinds
        self.storage = storage
        self.cache = cache
        self.settings = settings
        self.etcd_prefix = etcd_prefix
        self._stores: dict[StoreKey, Store] = {}
        self.admission = admission(self)

    def store(self, group: str, name: str) -> Store:
        """The store of a resource by its plural name: one that was added, or a built-in one. Raises KeyError."""
        found = self._stores.get((group, name, ""))
        return found if found is not None else self.store_of(self.kinds.stored(group, name))

    def store_of(self, kind: ServedKind, strategy: Callable[[ServedKind, Registry], Strategy] = strategy_for) -> Store:
        """The store behind a served kind: that of the version that is stored, as seen from the served group. It takes the
        place of a store that the resource had with another kind. Raises KeyError unless the cache follows the resource
        (WatchCache.add)."""
        group = kind.info.group
        kind = _kind_of_store(kind)
        found = self._stores.get(_key(kind))
        if found is None or found.kind is not kind:
            found = self._make(kind, strategy(kind, self))
        return found if group == kind.info.group else found.seen_from(group)

    def known(self, kind: ServedKind) -> ServedKind | None:
        """The kind of the store that the resource of a stored kind has now."""
        found = self._stores.get(_key(kind))
        return None if found is None else found.kind

    def _make(self, kind: ServedKind, strategy: Strategy) -> Store:
        info = kind.info
        made = self._stores[_key(kind)] = Store(
            kind,
            storage=self.storage.of(f"{self.etcd_prefix}/{info.storage_prefix}/"),
            cache=self.cache.resource(info.storage_prefix),
            strategy=strategy,
            admission=self.admission,
            etcd_prefix=self.etcd_prefix,
            cached=is_cached(self.settings, info.group, info.resource),
        )
        return made

    def resources(self) -> list[ResourceInfo]:
        """The resources that have a store, in the stored version."""
        return [store.info for (_, _, version), store in self._stores.items() if not version]

    def forget(self, kind: ServedKind) -> None:
        """Let go of the store of a kind that is served no more; a newer store of the same resource stays."""
        kind = _kind_of_store(kind)
        name = _key(kind)
        if name in self._stores and self._stores[name].kind is kind:
            del self._stores[name]


def _kind_of_store(kind: ServedKind) -> ServedKind:
    """The kind of the objects of the store behind a served kind."""
    return kind if kind.own_store else kind.stored_kind


def _key(kind: ServedKind) -> StoreKey:
    info = kind.info
    return info.group, info.resource, info.version if kind.storage is not None else ""
