"""The strategy of custom resources (apiextensions-apiserver/pkg/registry/customresource/{strategy,status_strategy}.go)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from apiserver_workers.apimachinery.custom.validation import Told
from apiserver_workers.apimachinery.errors import forbidden
from apiserver_workers.apimachinery.served_kind import Faults, FaultsToCome, ServedKind
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Finish, Strategy, take_over
from apiserver_workers.registry.strategies.traits import Traits

if TYPE_CHECKING:
    from apiserver_workers.registry.registry import Registry

Object = dict[str, Any]

CLOSING = "create not allowed while custom resource definition is terminating"
TRAITS = Traits(
    creates_on_update=False,
    unconditional_update=False,
    returns_deleted=False,
    generation=True,
    counts_changes=True,
    keeps_status_on_create=False,
    garbage_collection="Background",
    status_keeps=(),
)


def _telling(faults: FaultsToCome, context: Context) -> FaultsToCome:
    """The faults, after the client was told the warnings that come with them."""
    if not isinstance(faults, list):
        return _telling_later(faults, context)
    if isinstance(faults, Told):
        context.warnings += faults.warnings
    return faults


async def _telling_later(faults: Awaitable[Faults], context: Context) -> Faults:
    found = await faults
    if isinstance(found, Told):
        context.warnings += found.warnings
    return found


class CustomStrategy(Strategy):
    """The behaviour of one custom resource in one version."""

    def __init__(self, kind: ServedKind, registry: Registry) -> None:
        super().__init__(kind, registry)
        self.traits = TRAITS

    async def begin_create(self, obj: Object, context: Context) -> Finish | None:
        info = self.info
        if info.closing:
            name = obj["metadata"].get("name", "")
            raise forbidden(info.resource, info.group, name, CLOSING)
        return None

    def reset_status(self, obj: Object) -> None:
        obj.pop("status", None)

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        if context.subresource == "status":
            self._keep_all_but_status(new, old)
            return
        if self.has_status:
            take_over(new, old, "status")
        if self.changed(new, old):
            new["metadata"]["generation"] = (old["metadata"].get("generation") or 0) + 1

    def validate_create(self, obj: Object, context: Context) -> FaultsToCome:
        return _telling(super().validate_create(obj, context), context)

    def validate_update(self, new: Object, old: Object, context: Context) -> FaultsToCome:
        return _telling(super().validate_update(new, old, context), context)

    def changed(self, new: Object, old: Object) -> bool:
        """Whether anything but metadata differs."""
        return new.keys() != old.keys() or any(new[name] != old[name] for name in new if name != "metadata")

    def _keep_all_but_status(self, new: Object, old: Object) -> None:
        """All of the object is the old one, but for its status and who manages that."""
        metadata = new["metadata"]
        managers, status = metadata.get("managedFields"), new.get("status")
        has_status = "status" in new
        new.clear()
        new.update(old)
        metadata.clear()
        metadata.update(old["metadata"])
        new["metadata"] = metadata
        if managers is None:
            metadata.pop("managedFields", None)
        else:
            metadata["managedFields"] = managers
        if has_status:
            new["status"] = status
        else:
            new.pop("status", None)
