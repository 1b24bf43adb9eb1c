"""Registry: the stores of one server, each made when it is first asked for."""

from __future__ import annotations

import functools
from typing import Any

from apiserver_workers.apimachinery.resources import ResourceInfo, catalogue, resource
from apiserver_workers.registry.attributes import Admission, Permits
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies import strategy_for
from apiserver_workers.storage.factory import is_cached
from apiserver_workers.storage.interface import Storage, WatchCache


class Registry:
    """All stored resources over one storage and one watch cache.

    `settings` are the completed options that strategies read (service ranges, event TTL, ...), `admission` the chain:
    since its plugins look things up here, it may be set afterwards, before the first store is asked for.
    """

    admission: Admission
    permits: Permits | None = None  # None: nobody is asked, everything is permitted

    def __init__(
        self,
        *,
        storage: Storage,
        cache: WatchCache,
        settings: Any,
        admission: Admission | None = None,
        etcd_prefix: str = "/registry",
    ) -> None:
        self.storage = storage
        self.cache = cache
        if admission is not None:
            self.admission = admission
        self.settings = settings
        self.etcd_prefix = etcd_prefix
        self._stores: dict[ResourceInfo, Store] = {}

    def store(self, group: str, name: str) -> Store:
        """The store of a built-in resource by its plural name. Raises KeyError."""
        return self.store_of(_stored_info(group, name))

    def store_of(self, info: ResourceInfo) -> Store:
        """The store behind a served resource: that of the version that is stored, as seen from the served group."""
        group = info.group
        info = resource(*info.stored_as, info.resource) or info
        found = self._stores.get(info)
        if found is None:
            found = self._stores[info] = Store(
                info,
                storage=self.storage.of(f"{self.etcd_prefix}/{info.storage_prefix}/"),
                cache=self.cache.resource(info.storage_prefix),
                strategy=strategy_for(info, self),
                admission=self.admission,
                etcd_prefix=self.etcd_prefix,
                cached=is_cached(self.settings, info.group, info.resource),
            )
        return found if group == info.group else found.seen_from(group)


@functools.cache
def _stored_info(group: str, name: str) -> ResourceInfo:
    for info in catalogue().values():
        if info.group == group and info.resource == name and info.stored_as == (info.group, info.version):
            return info
    raise KeyError((group, name))
