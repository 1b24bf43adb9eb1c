"""The stored objects that tokens name, read from etcd: a server need not keep accounts, pods and secrets in its cache.

A token's answer is kept for a while, so this costs little.
"""

from __future__ import annotations

from typing import Any, Protocol

from apiserver_workers.apimachinery import codec
from apiserver_workers.storage.interface import Mismatch, Storage

PREFIXES = {"nodes": "minions"}

Object = dict[str, Any]


class NamedObjects(Protocol):
    """What authenticators need to know of stored objects."""

    async def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """The object, None if there is none. Raises StorageError."""
        ...

    async def label(self, resource: str, namespace: str, name: str, label: str, value: str) -> None:
        """Set a label of an object that is there. Raises StorageError."""
        ...


class StoredObjects:
    """Objects in etcd; `prefix` is config.etcd_prefix."""

    def __init__(self, storage: Storage, prefix: str) -> None:
        self._storage = storage
        self._prefix = prefix

    async def get(self, resource: str, namespace: str, name: str) -> Object | None:
        key = self._key(resource, namespace, name)
        entry = await self._storage.get(key) if key else None
        return entry.obj if entry else None

    async def label(self, resource: str, namespace: str, name: str, label: str, value: str) -> None:
        key = self._key(resource, namespace, name)
        entry = await self._storage.get(key)
        if entry is None:
            return
        metadata = {field: found for field, found in entry.obj["metadata"].items() if field != "resourceVersion"}
        metadata["labels"] = {**(metadata.get("labels") or {}), label: value}
        try:
            await self._storage.update(key, codec.encode({**entry.obj, "metadata": metadata}), entry.mod_revision)
        except Mismatch:
            pass  # whoever was quicker may well have set it; if not, the next one does

    def _key(self, resource: str, namespace: str, name: str) -> str:
        """ "" for what cannot be a name: it would lead elsewhere."""
        if not name or "/" in namespace or "/" in name:
            return ""
        parts = (self._prefix, PREFIXES.get(resource, resource), *((namespace,) if namespace else ()), name)
        return "/".join(parts)
