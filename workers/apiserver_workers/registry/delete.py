"""DELETE and DELETECOLLECTION: at once, gracefully, or when the last finalizer has gone (registry.Store.Delete)."""

from __future__ import annotations

import asyncio
import copy
import datetime
from typing import TYPE_CHECKING, Any

from apiserver_workers.apimachinery import codec, errors
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.attributes import DELETE
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.interpret import interpret
from apiserver_workers.registry.list import Page
from apiserver_workers.registry.options import DeleteOptions, ListOptions
from apiserver_workers.registry.result import Result, stored
from apiserver_workers.registry.strategies.base import count_generation, now
from apiserver_workers.registry.update import unchanged
from apiserver_workers.storage.interface import Entry, Mismatch, StorageError

if TYPE_CHECKING:
    from apiserver_workers.registry.store import Store

Object = dict[str, Any]
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
# What a propagation policy makes of the garbage collector's finalizers.
FINALIZER_OF_POLICY = {"Orphan": ORPHAN, "Foreground": FOREGROUND, "Background": ""}
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


class Deleted(Result):
    """The Status that tells of a deletion."""

    __slots__ = ()


async def delete(store: Store, context: Context, options: DeleteOptions) -> tuple[Result, bool]:
    """Delete the object `context.name`; (the object or a Status, whether it is gone). Raises ApiError."""
    context.warnings += store.strategy.warnings_on_delete(options)
    return await _delete(store, context, options)


async def _delete(store: Store, context: Context, options: DeleteOptions) -> tuple[Result, bool]:
    key = store.key_of_request(context.namespace, context.name)
    entry, newest = store.cache.get(key), False
    if entry is None or context.dry_run or "deletionTimestamp" in entry.obj["metadata"]:
        # Nothing may have to be written, so only the newest state will do.
        entry, newest = await store.latest(key), True
    while entry is not None:
        try:
            return await _attempt(store, key, entry, context, options)
        except Mismatch as lost:
            entry, newest = lost.current, True
        except StorageError as error:
            raise interpret(error, store.info, "delete") from error
        except ApiError:
            latest = entry if newest else await store.latest(key)
            if newest or unchanged(latest, entry):
                raise
            entry, newest = latest, True
    raise store.not_found(context.name)


async def _attempt(
    store: Store, key: str, entry: Entry, context: Context, options: DeleteOptions
) -> tuple[Result, bool]:
    old = entry.obj
    metadata = copy.copy(old["metadata"])
    obj = {**old, "metadata": metadata}
    wanted = copy.copy(options)
    graceful, pending = before_delete(store, obj, wanted, context)
    if pending:
        return _finished(store, Result(entry.body, old)), False
    finalizers = garbage_collection_finalizers(store, metadata, wanted)
    changed = set(finalizers) != set(metadata.get("finalizers") or ())
    if changed:
        metadata["finalizers"] = finalizers
    attributes = store.attributes(DELETE, context, None, old)
    await store.admission.admit(attributes)
    await store.admission.validate(attributes)
    held = bool(metadata.get("finalizers")) or store.strategy.holds(obj)
    if held or graceful:
        if not graceful:
            store.strategy.mark_as_deleting(obj)
        marked = await _update(store, key, obj, entry, context)
        if held or wanted.grace_period:
            return marked, False
        # Without time to end the object goes at once, but watchers are told of both steps.
        if not context.dry_run:
            metadata.pop("resourceVersion", None)
            revision = await store.storage.delete(key, int(marked.obj["metadata"]["resourceVersion"]))
            marked = stored(codec.encode(obj), revision)
            await store.strategy.after_delete(old, context)
        return _finished(store, marked), True
    if context.dry_run:
        return _finished(store, Result(entry.body, old)), True
    revision = await store.storage.delete(key, entry.mod_revision)
    await store.strategy.after_delete(old, context)
    return _finished(store, Result(entry.at(revision).body, old)), True


def before_delete(store: Store, obj: Object, options: DeleteOptions, context: Context) -> tuple[bool, bool]:
    """rest.BeforeDelete: (whether the object gets time to end, whether it is ending already). May change both."""
    _check_preconditions(store, obj, options)
    metadata = obj["metadata"]
    if options.grace_period is not None and options.grace_period < 0:
        options.grace_period = 1
    if "deletionTimestamp" in metadata:
        return _shorten(metadata, options)
    if not store.strategy.check_graceful_delete(obj, options, context):
        return False, False
    period = options.grace_period or 0
    metadata["deletionTimestamp"] = _later(now(), period)
    metadata["deletionGracePeriodSeconds"] = period
    count_generation(metadata)
    return True, False


def _shorten(metadata: Object, options: DeleteOptions) -> tuple[bool, bool]:
    """A second deletion may only shorten the time that the first one gave."""
    before = metadata.get("deletionGracePeriodSeconds")
    if not before:
        return False, False
    period = options.grace_period
    if period is None or period >= before:
        return False, True
    metadata["deletionTimestamp"] = _later(metadata["deletionTimestamp"], period - before)
    metadata["deletionGracePeriodSeconds"] = period
    return True, False


def _check_preconditions(store: Store, obj: Object, options: DeleteOptions) -> None:
    info, metadata = store.info, obj["metadata"]
    name = metadata["name"]
    if options.uid is not None and options.uid != metadata.get("uid"):
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata.get('uid')}). "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(info.kind, info.group, name, why)
    if options.resource_version is not None and options.resource_version != metadata.get("resourceVersion"):
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match the ResourceVersion "
            f"in record ({metadata.get('resourceVersion')}). The object might have been modified"
        )
        raise errors.conflict(info.kind, info.group, name, why)


def garbage_collection_finalizers(store: Store, metadata: Object, options: DeleteOptions) -> list[str]:
    """The object's finalizers, with those of the garbage collector as the options or defaults want them."""
    present: list[str] = metadata.get("finalizers") or []
    default = store.strategy.traits.garbage_collection
    if not default or not store.strategy.registry.settings.enable_garbage_collector:
        return present
    if options.orphan_dependents is not None:
        added = ORPHAN if options.orphan_dependents else ""
    elif options.propagation_policy is not None:
        added = FINALIZER_OF_POLICY[options.propagation_policy]
    else:
        held = [name for name in present if name in (ORPHAN, FOREGROUND)]
        added = held[0] if held else FINALIZER_OF_POLICY[default]
    kept = [name for name in present if name not in (ORPHAN, FOREGROUND)]
    return [*kept, added] if added else kept


def _later(moment: str, seconds: int) -> str:
    parsed = datetime.datetime.strptime(moment, TIME_FORMAT)
    return (parsed + datetime.timedelta(seconds=seconds)).strftime(TIME_FORMAT)


async def _update(store: Store, key: str, obj: Object, entry: Entry, context: Context) -> Result:
    """Store that the object is being deleted; no write if that is no news."""
    metadata = obj["metadata"]
    revision = entry.mod_revision
    if obj == entry.obj:
        return Result(entry.body, entry.obj)
    metadata.pop("resourceVersion", None)
    value = codec.encode(obj)
    if not context.dry_run:
        revision = await store.storage.update(key, value, revision, ttl=store.strategy.ttl(obj))
    return stored(value, revision)


def _finished(store: Store, deleted: Result) -> Result:
    """The deleted object for the kinds that answer with it, a Status that names it for the others."""
    if store.strategy.traits.returns_deleted:
        return deleted
    metadata, info = deleted.obj["metadata"], store.info
    details = {"name": metadata["name"], "group": store.group, "kind": info.resource, "uid": metadata.get("uid", "")}
    details = {key: value for key, value in details.items() if value}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return Deleted(codec.encode(status), status)


async def delete_collection(store: Store, context: Context, options: DeleteOptions, selection: ListOptions) -> Page:
    """Delete what the selection lists, `--delete-collection-workers` at a time; the page that was listed.

    Raises ApiError: that of the first deletion that fails, after which none is begun.
    """
    context.warnings += store.strategy.warnings_on_delete(options)
    page = await store.list(context.namespace, selection)
    entries = store.cache.list(page.prefix) if page.prefix else page.entries
    waiting = iter(entries)

    async def work() -> None:
        for entry in waiting:
            await _delete_one(store, entry, context, options)

    workers = max(store.strategy.registry.settings.delete_collection_workers, 1)
    if workers == 1 or len(entries) < 2:
        await work()
    else:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(workers, len(entries))):
                    group.create_task(work())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
    return Page(entries, page.revision, page.continue_token, page.remaining)


async def _delete_one(store: Store, entry: Entry, context: Context, options: DeleteOptions) -> None:
    """Delete an object of a collection; that it is gone already is no failure."""
    metadata = entry.obj["metadata"]
    one = copy.copy(context)
    one.namespace, one.name, one.collection = metadata.get("namespace", ""), metadata["name"], True
    try:
        await _delete(store, one, options)
    except ApiError as error:
        if error.code != 404:
            raise
