"""The server as its own client: reads from the watch cache, writes through the stores that clients' requests use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.apply.managed import apply, track_update
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.authentication.union import LOOPBACK_USER
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.options import DeleteOptions
from apiserver_workers.registry.registry import Registry
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies.base import now

Object = dict[str, Any]
# What an object is to become; None: it is right as it is. The argument is shared and must not be changed.
Change = Callable[[Object], Object | None]

MANAGER = "kube-apiserver"


class Objects:
    """Stored objects by group, resource and name, written as the loopback user."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def get(self, group: str, resource: str, name: str, namespace: str = "") -> Object | None:
        """The object as this worker's cache has it: shared, never change it."""
        store = self._registry.store(group, resource)
        entry = store.cache.get(store.key(namespace, name))
        return entry.obj if entry else None

    def list(self, group: str, resource: str, namespace: str = "") -> Sequence[Object]:
        """The cache's objects: shared, never change them."""
        store = self._registry.store(group, resource)
        return [entry.obj for entry in store.cache.list(store.prefix(namespace))]

    def version(self, group: str, resource: str) -> tuple[int, int]:
        """Something that is another whenever the objects are."""
        store = self._registry.store(group, resource)
        entries = store.cache.list(store.prefix(""))
        return len(entries), max((entry.mod_revision for entry in entries), default=0)

    async def ensure(self, group: str, resource: str, obj: Object) -> None:
        """Create the object unless there is one of its name; the cache has it afterwards. Raises ApiError."""
        metadata = obj["metadata"]
        if self.get(group, resource, metadata["name"], metadata.get("namespace", "")) is None:
            await self.create(group, resource, obj)
            await self.fresh(group, resource)

    async def fresh(self, group: str, resource: str) -> None:
        """Wait until the cache has all that was written before. Raises StorageError."""
        await self._registry.store(group, resource).cache.fresh()

    async def create(self, group: str, resource: str, obj: Object) -> None:
        """Create the object; another server may have been faster. Raises ApiError."""
        store = self._registry.store(group, resource)
        obj = store.kind.head(codec.normalise(store.kind.type, obj))
        pending = store.kind.default(obj)
        if pending is not None:
            await pending
        obj = self._tracked(store, None, obj, "")
        metadata = obj["metadata"]
        context = Context(LOOPBACK_USER, namespace=metadata.get("namespace", ""), name=metadata["name"])
        try:
            await store.create(obj, context)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise

    async def update(
        self, group: str, resource: str, name: str, change: Change, *, namespace: str = "", subresource: str = ""
    ) -> None:
        """Change an object, if `change` wants to; one that is gone stays gone. Raises ApiError."""
        current = self.get(group, resource, name, namespace)
        if current is None or change(current) is None:
            return
        store = self._registry.store(group, resource)

        async def transform(live: Object | None) -> Object:
            assert live is not None, "an update that may not create was given nothing"
            changed = change(live)
            if changed is None:
                return {**live, "metadata": {**live["metadata"]}}
            return self._tracked(store, live, changed, subresource)

        context = Context(LOOPBACK_USER, namespace=namespace, name=name, subresource=subresource)
        try:
            await store.update(transform, context)
        except ApiError as error:
            if error.reason != "NotFound":
                raise

    async def apply_condition(self, group: str, resource: str, name: str, wanted: Object, *, manager: str) -> None:
        """Set a condition as its field manager, unless the object has it already. Raises ApiError."""
        current = self.get(group, resource, name)
        if current is None or condition(current, wanted["type"]).items() >= wanted.items():
            return
        await self._apply_status(group, resource, name, lambda live: {"conditions": [dated(live, wanted)]}, manager)

    async def apply_status(self, group: str, resource: str, name: str, status: Object, *, manager: str) -> None:
        """Set what a field manager says of an object's status; one that is gone stays gone. Raises ApiError."""
        await self._apply_status(group, resource, name, lambda _: status, manager)

    async def _apply_status(
        self, group: str, resource: str, name: str, status: Callable[[Object], Object], manager: str
    ) -> None:
        store = self._registry.store(group, resource)

        async def transform(live: Object | None) -> Object:
            assert live is not None, "an update that may not create was given nothing"
            return self._applied(store, live, status(live), manager)

        context = Context(LOOPBACK_USER, name=name, subresource="status")
        try:
            await store.update(transform, context)
        except ApiError as error:
            if error.reason != "NotFound":
                raise

    async def delete(self, group: str, resource: str, obj: Object, *, unchanged: bool = False) -> None:
        """Delete this very object, if it is still there, and `unchanged` if that is asked for. Raises ApiError."""
        metadata = obj["metadata"]
        context = Context(LOOPBACK_USER, namespace=metadata.get("namespace", ""), name=metadata["name"])
        version = metadata["resourceVersion"] if unchanged else None
        options = DeleteOptions(uid=metadata["uid"], resource_version=version)
        try:
            await self._registry.store(group, resource).delete(context, options)
        except ApiError as error:
            if error.reason not in ("NotFound", "Conflict"):
                raise

    def _applied(self, store: Store, live: Object, status: Object, manager: str) -> Object:
        info = store.info
        kind = store.kind.type
        head = {"kind": info.kind, "apiVersion": info.group_version, "metadata": {"name": live["metadata"]["name"]}}
        applied, _ = apply(
            kind,
            live,
            {**head, "status": status},
            manager=manager,
            api_version=info.group_version,
            kind=info.kind,
            now=now(),
            force=True,
            subresource="status",
            reset=store.kind.resets.get("status"),
        )
        return {**head, **codec.normalise(kind, applied), "metadata": applied["metadata"]}

    def _tracked(self, store: Store, live: Object | None, new: Object, subresource: str) -> Object:
        info = store.info
        return track_update(
            store.kind.type,
            live,
            new,
            manager=MANAGER,
            api_version=info.group_version,
            now=now(),
            subresource=subresource,
            reset=store.kind.resets.get(subresource),
        )


def with_status(obj: Object, **status: Any) -> Object:
    """The object with these fields of its status set."""
    return {**obj, "status": {**obj.get("status", {}), **status}}


def condition(obj: Object, kind: str) -> Object:
    """The object's condition of that type, {} if it has none."""
    for found in obj.get("status", {}).get("conditions") or ():
        if found["type"] == kind:
            return found
    return {}


def with_condition(obj: Object, wanted: Object) -> Object | None:
    """The object with this condition; None if it has it already, whatever its time."""
    if condition(obj, wanted["type"]).items() >= wanted.items():
        return None
    others = [other for other in obj.get("status", {}).get("conditions") or () if other["type"] != wanted["type"]]
    return with_status(obj, conditions=[*others, dated(obj, wanted)])


def dated(obj: Object, wanted: Object) -> Object:
    """The condition with the time of its last transition: now, or when the object's own got this status."""
    current = condition(obj, wanted["type"])
    kept = current.get("lastTransitionTime") if current.get("status") == wanted["status"] else None
    return {**wanted, "lastTransitionTime": kept or now()}
