"""A guaranteed update below the strategy: for changes that only the registry itself makes, such as binding a pod."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.registry.interpret import interpret
from apiserver_workers.registry.result import Result, stored
from apiserver_workers.storage.interface import Mismatch, StorageError

if TYPE_CHECKING:
    from apiserver_workers.registry.store import Store

Object = dict[str, Any]
# The changed object; it may share parts with the existing one, which is never changed. Called once per attempt.
Change = Callable[[Object], Object]


async def modify(store: Store, namespace: str, name: str, change: Change, *, dry_run: bool = False) -> Result:
    """Replace an object by what `change` makes of it. Raises ApiError: 404, and what `change` raises."""
    key = store.key(namespace, name)
    entry = await store.latest(key)
    while entry is not None:
        obj = change(entry.obj)
        obj["metadata"] = {field: value for field, value in obj["metadata"].items() if field != "resourceVersion"}
        value = codec.encode(obj)
        if dry_run:
            return stored(value, entry.mod_revision)
        try:
            return stored(
                value, await store.storage.update(key, value, entry.mod_revision, ttl=store.strategy.ttl(obj))
            )
        except Mismatch as lost:
            entry = lost.current
        except StorageError as error:
            raise interpret(error, store.info, "update") from error
    raise store.not_found(name)
