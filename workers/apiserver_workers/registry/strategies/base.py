"""Strategy: what a kind does that data cannot say (k8s.io/apiserver/pkg/registry/rest strategies).

The base behaves as most kinds do, from the tables in traits.py: status belongs to the status subresource, generation
counts changes of everything but metadata and status. A kind with more to say subclasses this and is listed in
`STRATEGIES` (strategies/__init__.py). Objects are in the stored version. `old` and everything inside it is shared: take
parts of it over, never change it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.served_kind import FaultsToCome, ServedKind
from apiserver_workers.apimachinery.types import Type, once_per_type
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.options import DeleteOptions
from apiserver_workers.registry.strategies.disabled_fields import disabled_fields
from apiserver_workers.registry.strategies.traits import Traits, traits_of

if TYPE_CHECKING:
    from apiserver_workers.registry.registry import Registry

Object = dict[str, Any]
# Called once the write's outcome is known: true if it was stored. Releases what begin_create or begin_update allocated.
Finish = Callable[[bool], Awaitable[None]]

NOT_COUNTED = frozenset(("kind", "apiVersion", "metadata", "status"))


class Strategy:
    """The behaviour of one stored kind."""

    def __init__(self, kind: ServedKind, registry: Registry) -> None:
        self.kind = kind
        self.info = info = kind.info
        self.registry = registry
        self.traits: Traits = traits_of(info)
        self.disabled = disabled_fields(info)
        self.has_status = "status" in info.subresources
        fields = kind.type.fields
        status = fields.get("status")
        self._status_type = status.type if status else None
        self._null_lists = null_lists(kind.type)

    # create

    async def begin_create(self, obj: Object, context: Context) -> Finish | None:
        """Allocate what the object needs, before it is prepared and validated."""
        return None

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        """Drop or set what clients may not choose, in place."""
        if self.has_status and not self.traits.keeps_status_on_create:
            self.reset_status(obj)
        if self.traits.generation:
            obj["metadata"]["generation"] = 1

    def validate_create(self, obj: Object, context: Context) -> FaultsToCome:
        return self.kind.validate_create(obj)

    def warnings_on_create(self, obj: Object, context: Context) -> list[str]:
        return self.kind.warn_on_create(obj)

    async def after_create(self, obj: Object, context: Context) -> None:
        """After the object was stored."""

    # update

    async def begin_update(self, new: Object, old: Object, context: Context) -> Finish | None:
        """As begin_create, for an update of the object itself."""
        return None

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        """Undo in `new` what this request may not change; `context.subresource` says which part it addresses."""
        if context.subresource == "status":
            self.keep_all_but_status(new, old)
            return
        if self.has_status:
            take_over(new, old, "status")
        if self.traits.counts_changes and self.changed(new, old):
            metadata = new["metadata"]
            metadata["generation"] = metadata.get("generation", 0) + 1

    def validate_update(self, new: Object, old: Object, context: Context) -> FaultsToCome:
        return self.kind.validate_update(new, old, context.subresource)

    def warnings_on_update(self, new: Object, old: Object, context: Context) -> list[str]:
        return self.kind.warn_on_update(new, old, context.subresource)

    async def after_update(self, new: Object, old: Object, context: Context) -> None:
        """After the object was stored."""

    # delete

    def check_graceful_delete(self, obj: Object, options: DeleteOptions, context: Context) -> bool:
        """Whether the object gets time to end; sets `options.grace_period` if so."""
        return False

    def holds(self, obj: Object) -> bool:
        """Whether the object stays after its deletion for reasons of its own, besides metadata.finalizers."""
        return False

    def mark_as_deleting(self, obj: Object) -> None:
        """The object, with metadata of its own, waits for its finalizers and for nothing else."""
        metadata, moment = obj["metadata"], now()
        if "deletionTimestamp" not in metadata:
            count_generation(metadata)
        if metadata.get("deletionTimestamp", "9") > moment:
            metadata["deletionTimestamp"] = moment
        metadata["deletionGracePeriodSeconds"] = 0

    def should_delete_during_update(self, new: Object, old: Object) -> bool:
        """Asked when the last finalizer of an object that is being deleted has gone."""
        return True

    def warnings_on_delete(self, options: DeleteOptions) -> list[str]:
        """What clients are told of a deletion, whatever becomes of it."""
        return []

    async def after_delete(self, obj: Object, context: Context) -> None:
        """After the object was removed."""

    # both

    def canonicalize(self, obj: Object) -> None:
        """Bring a valid object into its canonical form, in place."""

    def ttl(self, obj: Object) -> float:
        """Seconds after which the stored object expires; 0: never."""
        return 0

    def forget_empty(self, obj: Object) -> None:
        """Storage does not tell an empty list from none: what Go always writes is null there."""
        for path, field in self._null_lists:
            forget_empty_list(obj, path, field)

    # helpers for subclasses

    def reset_status(self, obj: Object) -> None:
        """The status of a new object: empty, as its type writes it."""
        if self._status_type is None:
            obj.pop("status", None)
        else:
            obj["status"] = codec.normalise(self._status_type, {})

    def keep_all_but_status(self, new: Object, old: Object) -> None:
        """A status update: everything else stays, of metadata what `traits.status_keeps` names."""
        for field in (new.keys() | old.keys()) - NOT_COUNTED:
            take_over(new, old, field)
        for field in self.traits.status_keeps:
            take_over(new["metadata"], old["metadata"], field)

    def changed(self, new: Object, old: Object) -> bool:
        """Whether anything that generation counts differs; an empty list is none."""
        fields = (new.keys() | old.keys()) - NOT_COUNTED
        return any(new.get(field) != old.get(field) for field in fields) and not _same(new, old, fields)


@once_per_type
def null_lists(kind: Type) -> tuple[tuple[tuple[str, ...], str], ...]:
    """The lists that Go always writes and that a kind reaches by structs alone: the path of the struct, and the field."""
    return tuple(_null_lists(kind, (), ()))


def _null_lists(type: Type, path: tuple[str, ...], outer: tuple[Type, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, field in type.fields.items():
        if field.form == "list" and not field.omitempty:
            yield path, name
        elif field.form == "object" and field.type is not None and field.type not in outer:
            yield from _null_lists(field.type, (*path, name), (*outer, type))


def forget_empty_list(obj: Object, path: tuple[str, ...], field: str) -> None:
    """Make an empty list null. Structs on the way are replaced: an update may share them with what is stored."""
    part: Any = obj
    for name in path:
        part = part.get(name)
        if not part:
            return
    if part.get(field) != []:
        return
    part = obj
    for name in path:
        part[name] = dict(part[name])
        part = part[name]
    part[field] = None


def now() -> str:
    """The current time as metav1.Time."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def count_generation(metadata: Object) -> None:
    """Being deleted is a change that generation counts."""
    if metadata.get("generation"):
        metadata["generation"] += 1


def _same(new: Object, old: Object, fields: set[str]) -> bool:
    """apiequality.Semantic.DeepEqual of fields whose values differ: empty lists and maps are as good as none."""
    return all(_without_empty(new.get(field)) == _without_empty(old.get(field)) for field in fields)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: kept for name, part in value.items() if (kept := _without_empty(part)) not in (None, [])}
    if isinstance(value, list):
        return [_without_empty(item) for item in value] or None
    return value


def take_over(new: Object, old: Object, field: str) -> None:
    """Make `new[field]` what it is in `old`, absent if it is absent there."""
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)
