"""Store: one stored resource, with one file per verb (k8s.io/apiserver/pkg/registry/generic/registry.Store).

Objects are in the stored version; keys are `<prefix>/<resource prefix>/[namespace/]name`. Whatever etcd holds is never
trusted to be current before a write: every write compares the modification revision.
"""

from __future__ import annotations

import copy
import weakref
from typing import Any

from apiserver_workers.apimachinery import errors
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.apimachinery.validation.field import shown
from apiserver_workers.registry import create as creation
from apiserver_workers.registry import delete as deletion
from apiserver_workers.registry import get as getting
from apiserver_workers.registry import list as listing
from apiserver_workers.registry import modify as modifying
from apiserver_workers.registry import update as updating
from apiserver_workers.registry import watch as watching
from apiserver_workers.registry.attributes import CREATE, UPDATE, Admission, Attributes
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.interpret import interpret
from apiserver_workers.registry.strategies.base import Strategy
from apiserver_workers.storage.interface import (
    Dropped,
    Entry,
    Lagging,
    ResourceCache,
    Storage,
    StorageError,
    Subscription,
)

DOTS = (".", "..")
# The options that admission sees: a PUT or a patch that creates has CreateOptions, a patch that changes UpdateOptions.
OPTIONS_OF = {CREATE: "CreateOptions", UPDATE: "UpdateOptions"}


class Store:
    """One stored resource: its keys, its cache, and the verbs. Unless `cached`, clients' reads go to etcd itself; what
    the server looks up for its own ends comes from the cache all the same.

    `kind` is that of its objects, in the stored version.
    """

    def __init__(
        self,
        kind: ServedKind,
        *,
        storage: Storage,
        cache: ResourceCache,
        strategy: Strategy,
        admission: Admission,
        etcd_prefix: str = "/registry",
        cached: bool = True,
    ) -> None:
        self.kind = kind
        self.info = info = kind.info
        self.group = info.group
        self.storage = storage
        self.cache = cache
        self.strategy = strategy
        self.admission = admission
        self.cached = cached
        self.root = f"{etcd_prefix}/{info.storage_prefix}/"
        self._namespaced = info.namespaced
        self._namespaces = info.storage_prefix == "namespaces"
        self._watches: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._ended = False

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

    def key_of_request(self, namespace: str, name: str) -> str:
        """The key of the object that a request's path names. Raises ApiError 400 for what can be no name in a path."""
        if name in DOTS or "%" in name or "/" in name or namespace in DOTS:
            raise _no_path_segment(namespace, name)
        return self.key(namespace, name)

    def prefix(self, namespace: str) -> str:
        """What the keys of a namespace's objects begin with; of all objects for "". Raises ApiError 400."""
        if namespace in DOTS:
            raise _no_path_segment(namespace, "")
        return f"{self.root}{namespace}/" if namespace and self._namespaced else self.root

    def opened(self, subscription: Subscription) -> None:
        """Remember a watch, so that it ends with the store."""
        self._watches.add(subscription)
        if self._ended:
            subscription.end(Dropped())

    def end(self) -> None:
        """The resource is served by this store no more: its watches end, those that are being opened too."""
        self._ended = True
        for subscription in list(self._watches):
            subscription.end(Dropped())

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
        """What admission sees of this write. A namespace lies in itself."""
        name = "" if context.collection else context.name
        return Attributes(
            operation,
            self.kind,
            context.kind or self.kind,
            context.subresource,
            name if self._namespaces else context.namespace,
            name,
            obj,
            old,
            context.user,
            context.dry_run,
            options_of(operation, context.options),
            context.warnings,
            context.annotations,
        )


def options_of(operation: str, options: dict[str, Any]) -> dict[str, Any]:
    """The request's options as admission sees them (patchToUpdateOptions, updateToCreateOptions and so on)."""
    wanted = OPTIONS_OF.get(operation)
    if wanted is None or not options or options.get("kind") == wanted:
        return options
    return {**{field: value for field, value in options.items() if field != "force"}, "kind": wanted}


def _no_path_segment(namespace: str, name: str) -> ApiError:
    """What the key functions of upstream's Store say of a name or namespace that cannot be part of a key."""
    named = name in DOTS or "%" in name or "/" in name
    parameter, text = ("Name", name) if named else ("Namespace", namespace)
    if text in DOTS:
        faults = [f"may not be '{text}'"]
    else:
        faults = [f"may not contain '{part}'" for part in ("/", "%") if part in text]
    return errors.bad_request(f"{parameter} parameter invalid: {shown(text)}: {';'.join(faults)}")
