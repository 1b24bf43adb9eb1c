"""The namespace that a write is in, for plugins whose rules are in its annotations."""

from __future__ import annotations

from apiserver_workers.admission.initializer import Lister
from apiserver_workers.admission.plugin import Object
from apiserver_workers.apimachinery.errors import internal_error, not_found
from apiserver_workers.storage.interface import StorageError


async def find_namespace(lister: Lister, name: str) -> Object:
    """The namespace, also if the cache is late. Raises ApiError 404."""
    found = lister.get(name)
    if found is None:
        try:
            await lister.fresh()
        except StorageError as error:
            raise internal_error(str(error)) from error
        found = lister.get(name)
    if found is None:
        raise not_found("namespaces", "", name)
    return found


def annotation(namespace: Object, key: str) -> str | None:
    """An annotation of the namespace; None if it has none of that key."""
    annotations = namespace["metadata"].get("annotations") or {}
    found: str | None = annotations.get(key)
    return found
