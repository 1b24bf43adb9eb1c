"""CREATE: system metadata, strategy, admission, and one compare-and-swap that the key must not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver_workers.apimachinery import codec, errors
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.names import generate_name, new_uid
from apiserver_workers.registry.attributes import CREATE
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.interpret import interpret, parse_revision
from apiserver_workers.registry.metadata import match_namespace
from apiserver_workers.registry.result import Result, stored
from apiserver_workers.registry.strategies.base import now
from apiserver_workers.registry.strategies.disabled_fields import drop_disabled
from apiserver_workers.storage.interface import KeyExists, StorageError, TooLarge

if TYPE_CHECKING:
    from apiserver_workers.registry.store import Store

Object = dict[str, Any]
NAME_ATTEMPTS = 8

# The order in which Go writes ObjectMeta; what is not listed follows.
METADATA_ORDER = ("name", "generateName", "namespace", "uid", "resourceVersion", "generation",
                  "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations",
                  "ownerReferences", "finalizers", "managedFields")  # fmt: skip


async def create(store: Store, obj: Object, context: Context) -> Result:
    """Store a new object, which this changes and keeps. Raises ApiError: 409, 422, 500 or what admission says."""
    await store.admission.admit(store.attributes(CREATE, context, obj, None))
    metadata = obj["metadata"]
    generated = bool(metadata.get("generateName")) and not metadata.get("name")
    for attempt in range(1, NAME_ATTEMPTS + 1):
        # Each attempt puts metadata of its own into the object.
        metadata = obj["metadata"]
        fill_system_fields(metadata)
        if generated:
            metadata["name"] = generate_name(metadata["generateName"])
            context.name = metadata["name"]
        try:
            return await create_prepared(store, obj, context)
        except ApiError as error:
            if not generated or error.reason != "AlreadyExists" or attempt == NAME_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def fill_system_fields(metadata: Object) -> None:
    """rest.FillObjectMetaSystemFields: what makes an object a new one."""
    metadata["uid"] = new_uid()
    metadata["creationTimestamp"] = now()


async def create_prepared(store: Store, obj: Object, context: Context) -> Result:
    """From the strategy on: the object has its system fields and mutating admission behind it."""
    strategy = store.strategy
    finish = await strategy.begin_create(obj, context)
    done = False
    try:
        await before_create(store, obj, context)
        await store.admission.validate(store.attributes(CREATE, context, obj, None))
        result = await _insert(store, obj, context)
        done = not context.dry_run
    finally:
        if finish is not None:
            await finish(done)
    if done:
        await strategy.after_create(obj, context)
    return result


async def before_create(store: Store, obj: Object, context: Context) -> None:
    """rest.BeforeCreate. Raises ApiError 422 with all that is wrong."""
    strategy = store.strategy
    match_namespace(obj["metadata"], context.namespace)  # admission may have changed it
    drop_disabled(strategy.disabled, obj, None)
    strategy.prepare_for_create(obj, context)
    metadata = obj["metadata"]
    faults = strategy.validate_create(obj, context)
    if not isinstance(faults, list):
        faults = await faults
    if faults:
        raise errors.invalid(store.info.kind, store.info.group, metadata.get("name", ""), faults)
    context.warnings += strategy.warnings_on_create(obj, context)
    strategy.canonicalize(obj)
    strategy.forget_empty(obj)
    obj["metadata"] = {key: metadata[key] for key in METADATA_ORDER if key in metadata}


async def _insert(store: Store, obj: Object, context: Context) -> Result:
    metadata = obj["metadata"]
    given = metadata.pop("resourceVersion", "")
    if _is_revision(given) and not context.dry_run:  # upstream's storage refuses it, which a dry run does not reach
        raise ApiError(500, "", "resourceVersion should not be set on objects to be created")
    key = store.key(metadata.get("namespace", ""), metadata["name"])
    value = codec.encode(obj)
    try:
        if context.dry_run:
            if await store.latest(key) is not None:
                raise KeyExists
            if not given:
                return Result(value)
            obj["metadata"] = {**metadata, "resourceVersion": given}
            obj["metadata"] = {key: obj["metadata"][key] for key in METADATA_ORDER if key in obj["metadata"]}
            return Result(codec.encode(obj))
        ttl = store.strategy.ttl(obj)
        try:
            revision = await store.storage.create(key, value, ttl=ttl)
        except TooLarge as error:
            value = without_managers(obj, context, error)
            revision = await store.storage.create(key, value, ttl=ttl)
    except KeyExists:
        raise await _already_exists(store, key, metadata) from None
    except StorageError as error:
        raise interpret(error, store.info, "create") from error
    return stored(value, revision)


def without_managers(obj: Object, context: Context, error: TooLarge) -> bytes:
    """An object that etcd has called too large, without its managedFields. Raises the error again if they must stay."""
    if context.applies or obj["metadata"].pop("managedFields", None) is None:
        raise error
    return codec.encode(obj)


def _is_revision(text: str) -> bool:
    """Whether that is a number that storage could have given; what is none is dropped without a word."""
    try:
        return parse_revision(text) != 0
    except ValueError:
        return False


async def _already_exists(store: Store, key: str, metadata: Object) -> ApiError:
    info, name = store.info, metadata["name"]
    error = errors.already_exists(info.resource, store.group, name)
    if metadata.get("generateName"):
        error.message += ", the server was not able to generate a unique name for the object"
        error.details = {**(error.details or {}), "retryAfterSeconds": 1}
        error.headers = [("Retry-After", "1")]
    current = await store.latest(key)
    if current is not None and "deletionTimestamp" in current.obj["metadata"]:
        error.message = f"object is being deleted: {error.message}"
    return error
