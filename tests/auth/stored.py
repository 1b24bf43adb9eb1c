"""Objects as a watch cache holds them, for handlers that an informer would feed."""

from __future__ import annotations

from typing import Any

from apiserver_workers.storage.interface import Event


class StoredEntry:
    """An Entry made from an object."""

    def __init__(self, resource: str, obj: dict[str, Any]) -> None:
        metadata = obj["metadata"]
        self.key = "/".join(filter(None, ["/registry", resource, metadata.get("namespace", ""), metadata["name"]]))
        self.obj = obj
        self.value = self.body = b""
        self.mod_revision = 1


def added(resource: str, obj: dict[str, Any]) -> Event:
    return Event("ADDED", StoredEntry(resource, obj), None)


def deleted(resource: str, obj: dict[str, Any]) -> Event:
    entry = StoredEntry(resource, obj)
    return Event("DELETED", entry, entry)


def named(name: str, namespace: str = "", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"metadata": metadata, **fields}
