"""UPDATE: a guaranteed update (k8s.io/apiserver/pkg/storage.GuaranteedUpdate and registry.Store.Update).

The cached entry is the first suggestion. Whatever a suggestion that may be old leads to (an error, or no change at all)
is believed only once the newest state has been read; a write that loses the race starts again from what won.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apiserver_workers.apimachinery import codec, errors
from apiserver_workers.apimachinery.errors import ApiError, FieldError
from apiserver_workers.registry.attributes import CREATE, UPDATE
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.create import METADATA_ORDER, create_prepared, fill_system_fields, without_managers
from apiserver_workers.registry.interpret import MODIFIED, interpret, parse_revision, parse_uint_error
from apiserver_workers.registry.metadata import match_namespace
from apiserver_workers.registry.result import Result, stored
from apiserver_workers.registry.strategies.disabled_fields import drop_disabled
from apiserver_workers.storage.interface import Entry, Mismatch, StorageError, TooLarge

if TYPE_CHECKING:
    from apiserver_workers.registry.store import Store

Object = dict[str, Any]
# The new object from the existing one (None: there is none). Called once per attempt; returns an object of its own that
# may share parts with the existing one. It may have to wait for a conversion.
Transform = Callable[[Object | None], Awaitable[Object]]

# Fields of metadata that only the registry sets.
SYSTEM_FIELDS = ("deletionTimestamp", "deletionGracePeriodSeconds")
UNCONDITIONAL = FieldError(
    "FieldValueInvalid", "metadata.resourceVersion", "Invalid value: 0: must be specified for an update"
)


@dataclass(slots=True)
class Current:
    """The state an attempt starts from; `newest` once it is known to be no older than the request."""

    entry: Entry | None
    newest: bool


async def update(
    store: Store, transform: Transform, context: Context, *, allow_create: bool = False, uid: str = ""
) -> tuple[Result, bool]:
    """Replace the object `context.name` by what `transform` makes of it; (result, whether it was created).

    `uid` is a precondition; `allow_create` lets a kind be created that PUT does not create. Raises ApiError.
    """
    key = store.key_of_request(context.namespace, context.name)
    current = Current(store.cache.get(key), False)
    if current.entry is None:
        current = Current(await store.latest(key), True)
    warned = len(context.warnings)
    while True:
        try:
            return await _attempt(store, key, current, transform, context, allow_create, uid)
        except Mismatch as lost:
            current = Current(lost.current, True)
        except StorageError as error:
            raise interpret(error, store.info, "update") from error
        except ApiError:
            if current.newest:
                raise
            latest = await store.latest(key)
            if unchanged(latest, current.entry):
                raise
            current = Current(latest, True)
        del context.warnings[warned:]


async def _attempt(
    store: Store, key: str, current: Current, transform: Transform, context: Context, allow_create: bool, uid: str
) -> tuple[Result, bool]:
    entry = current.entry
    old = entry.obj if entry is not None else None
    if uid:
        _check_uid(store, key, old, uid, context.name)
    if old is None or entry is None:
        return await _create(store, transform, context, allow_create), True
    new = await transform(old)
    new = await _admit(store, new, old, context)
    _check_version(store, new, entry)
    finish = await store.strategy.begin_update(new, old, context)
    done = False
    try:
        await before_update(store, new, old, context)
        await _validate(store, new, old, context)
        if _loses_last_finalizer(store, new, old):
            return await _remove(store, key, new, entry, context), False
        result = await _write(store, key, new, current, context)
        done = not context.dry_run
    finally:
        if finish is not None:
            await finish(done)
    if done:
        await store.strategy.after_update(new, old, context)
    return result, False


async def _admit(store: Store, new: Object, old: Object, context: Context) -> Object:
    """The object as mutating admission leaves it."""
    view = context.admitted
    if view is None:
        await store.admission.admit(store.attributes(UPDATE, context, new, old))
        return new
    shown = await view.show(new)
    await store.admission.admit(store.attributes(UPDATE, context, shown, await view.show(old)))
    return await view.carry(shown, new)


async def _validate(store: Store, new: Object, old: Object, context: Context) -> None:
    view = context.admitted
    if view is not None:
        new, old = await view.show(new), await view.show(old)
    await store.admission.validate(store.attributes(UPDATE, context, new, old))


async def _create(store: Store, transform: Transform, context: Context, allow_create: bool) -> Result:
    """PUT or apply of an object that does not exist."""
    if not allow_create and not store.strategy.traits.creates_on_update:
        raise store.not_found(context.name)
    obj = await transform(None)
    await store.admission.admit(store.attributes(CREATE, context, obj, None))
    metadata = obj["metadata"]
    fill_system_fields(metadata)
    metadata.pop("resourceVersion", None)
    for field in SYSTEM_FIELDS:
        metadata.pop(field, None)
    return await create_prepared(store, obj, context)


def _check_uid(store: Store, key: str, old: Object | None, uid: str, name: str) -> None:
    """The precondition that a PUT with a uid sets."""
    if old is None and not store.strategy.traits.creates_on_update:
        raise store.not_found(name)
    actual = old["metadata"].get("uid", "") if old else ""
    if actual != uid:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {actual}"
        error = f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: {why}"
        raise store.conflict(name, error)


def _check_version(store: Store, new: Object, entry: Entry) -> None:
    """Optimistic locking by the object's resourceVersion; sets it where the request left it out."""
    metadata = new["metadata"]
    asked = metadata.get("resourceVersion", "")
    try:
        revision = parse_revision(asked)
    except ValueError:
        raise ApiError(500, "", parse_uint_error(asked)) from None
    info = store.info
    if not revision:
        if not store.strategy.traits.unconditional_update:
            raise errors.invalid(info.resource, info.group, metadata.get("name", ""), [UNCONDITIONAL])
        metadata["resourceVersion"] = str(entry.mod_revision)
    elif revision != entry.mod_revision:
        raise store.conflict(metadata.get("name", ""), MODIFIED)


async def before_update(store: Store, new: Object, old: Object, context: Context) -> None:
    """rest.BeforeUpdate. Raises ApiError 422 with all that is wrong."""
    strategy = store.strategy
    metadata, before = new["metadata"], old["metadata"]
    match_namespace(metadata, context.namespace)  # admission may have changed it
    if "generation" in before:
        metadata["generation"] = before["generation"]
    else:
        metadata.pop("generation", None)
    drop_disabled(strategy.disabled, new, old)
    strategy.prepare_for_update(new, old, context)
    if not metadata.get("uid"):
        metadata["uid"] = before.get("uid", "")
    if "creationTimestamp" in before:
        metadata["creationTimestamp"] = before["creationTimestamp"]
    if "deletionTimestamp" in before:
        metadata["deletionTimestamp"] = before["deletionTimestamp"]
    if "deletionGracePeriodSeconds" in before:
        metadata.setdefault("deletionGracePeriodSeconds", before["deletionGracePeriodSeconds"])
    faults = strategy.validate_update(new, old, context)
    if not isinstance(faults, list):
        faults = await faults
    if faults:
        raise errors.invalid(store.info.kind, store.info.group, metadata.get("name", ""), faults)
    context.warnings += strategy.warnings_on_update(new, old, context)
    strategy.canonicalize(new)
    strategy.forget_empty(new)
    new["metadata"] = {key: metadata[key] for key in METADATA_ORDER if key in metadata}


async def _write(store: Store, key: str, new: Object, current: Current, context: Context) -> Result:
    """Compare-and-swap; an update that changes nothing writes nothing."""
    entry = current.entry
    assert entry is not None
    metadata = new["metadata"]
    metadata.pop("resourceVersion", None)
    value = codec.encode(new)
    if (value == entry.value or _same(new, entry.obj)) and not store.storage.stale(entry):
        if not current.newest and not unchanged(latest := await store.latest(key), entry):
            raise Mismatch(latest)
        return Result(entry.body, entry.obj)
    if context.dry_run:
        return stored(value, entry.mod_revision)
    ttl = store.strategy.ttl(new)
    try:
        revision = await store.storage.update(key, value, entry.mod_revision, ttl=ttl)
    except TooLarge as error:
        value = without_managers(new, context, error)
        revision = await store.storage.update(key, value, entry.mod_revision, ttl=ttl)
    return stored(value, revision)


def unchanged(latest: Entry | None, entry: Entry | None) -> bool:
    """Whether the newest state is the one that a decision was based on."""
    return latest is not None and entry is not None and latest.mod_revision == entry.mod_revision


def _same(new: Object, old: Object) -> bool:
    """Whether nothing changed but, perhaps, times in managedFields."""
    if new.keys() != old.keys() or any(new[field] != old[field] for field in new if field != "metadata"):
        return False
    metadata, before = new["metadata"], old["metadata"]
    names = (metadata.keys() | before.keys()) - {"resourceVersion", "managedFields"}
    if any(metadata.get(name) != before.get(name) for name in names):
        return False
    return _untimed(metadata.get("managedFields")) == _untimed(before.get("managedFields"))


def _untimed(entries: list[Object] | None) -> list[Object]:
    return [{key: value for key, value in entry.items() if key != "time"} for entry in entries or ()]


def _loses_last_finalizer(store: Store, new: Object, old: Object) -> bool:
    """ShouldDeleteDuringUpdate: nothing holds an object any more that is to be deleted."""
    before = old["metadata"]
    if new["metadata"].get("finalizers") or "deletionTimestamp" not in before:
        return False
    if before.get("deletionGracePeriodSeconds"):
        return False
    return store.strategy.should_delete_during_update(new, old)


async def _remove(store: Store, key: str, new: Object, entry: Entry, context: Context) -> Result:
    """Delete instead of updating; the answer is the object as it would have been stored."""
    new["metadata"].pop("resourceVersion", None)
    if not context.dry_run:
        await store.storage.delete(key, entry.mod_revision)
        await store.strategy.after_delete(new, context)
    return stored(codec.encode(new), entry.mod_revision)
