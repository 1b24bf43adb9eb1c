"""Store: one stored resource, with one file per verb (k8s.io/apiserver/pkg/registry/generic/registry.Store).

Objects are in the stored version; keys are `<prefix>/<resource prefix>/[namespace/]name`. Whatever etcd holds is never
trusted to be current before a write: every write compares the modification revision.
"""

from __future__ import annotations

import copy
from typing import Any

from apiserver_workers.apimachinery import errors
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.registry import create as creation
from apiserver_workers.registry import delete as deletion
from apiserver_workers.registry import get as getting
from apiserver_workers.registry import list as listing
from apiserver_workers.registry import modify as modifying
from apiserver_workers.registry import update as updating
from apiserver_workers.registry import watch as watching
from apiserver_workers.registry.attributes import Admission, Attributes
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.interpret import interpret
from apiserver_workers.registry.strategies.base import Strategy
from apiserver_workers.storage.interface import Entry, Lagging, ResourceCache, Storage, StorageError


class Store:
    """One stored resource: its keys, its cache, and the verbs. Unless `cached`, clients' reads go to etcd itself; what
    the server looks up for its own ends comes from the cache all the same."""

    def __init__(
        self,
        info: ResourceInfo,
        *,
        storage: Storage,
        cache: ResourceCache,
        strategy: Strategy,
        admission: Admission,
        etcd_prefix: str = "/registry",
        cached: bool = True,
    ) -> None:
        self.info = info
        self.group = info.group
        self.storage = storage
        self.cache = cache
        self.strategy = strategy
        self.admission = admission
        self.cached = cached
        self.root = f"{etcd_prefix}/{info.storage_prefix}/"
        self._namespaced = info.namespaced

    create = creation.create
    get = getting.get
    list = listing.list_page
    update = updating.update
    modify = modifying.modify
    delete = deletion.delete
    delete_collection = deletion.delete_collection
    watch = watching.watch

    def seen_from(self, group: str) -> Store:
        """The same store for requests of another group, which errors name."""
        view = copy.copy(self)
        view.group = group
        return view

    def key(self, namespace: str, name: str) -> str:
        """An object's key. A request for a Namespace has the namespace too, which is no part of its key."""
        return f"{self.root}{namespace}/{name}" if namespace and self._namespaced else self.root + name

    def prefix(self, namespace: str) -> str:
        """What the keys of a namespace's objects begin with; of all objects for ""."""
        return f"{self.root}{namespace}/" if namespace and self._namespaced else self.root

    async def latest(self, key: str) -> Entry | None:
        """The entry as it is after this call began. Raises ApiError when etcd does not answer."""
        try:
            if await self.catch_up():
                return self.cache.get(key)
            return await self.storage.get(key)
        except StorageError as error:
            raise interpret(error, self.info, "get") from error

    async def catch_up(self) -> bool:
        """Wait until the cache holds all that was written before this call; false if etcd itself must be read.

        Raises Unavailable.
        """
        if not self.cached:
            return False
        try:
            await self.cache.fresh()
        except Lagging:
            return False
        return True

    def not_found(self, name: str) -> ApiError:
        return errors.not_found(self.info.resource, self.group, name)

    def conflict(self, name: str, why: str) -> ApiError:
        return errors.conflict(self.info.resource, self.group, name, why)

    def attributes(
        self, operation: str, context: Context, obj: dict[str, Any] | None, old: dict[str, Any] | None
    ) -> Attributes:
        """What admission sees of this write."""
        return Attributes(
            operation,
            self.info,
            context.subresource,
            context.namespace,
            context.name,
            obj,
            old,
            context.user,
            context.dry_run,
            context.options,
            context.warnings,
        )
