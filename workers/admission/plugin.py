"""What an admission plugin is: which writes it looks at, and what it does with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workers.apimachinery import errors
from workers.apimachinery.errors import ApiError
from workers.registry.attributes import Attributes
from workers.storage.interface import Entry

if TYPE_CHECKING:
    from workers.registry.registry import Registry

Object = dict[str, Any]


class Plugin:
    """A plugin handles `operations` on `resources`: (group, resource, subresource); None means any.

    It has `admit` (may change the object), `validate`, or both; each raises ApiError to refuse the write.
    """

    operations: frozenset[str] = frozenset()
    resources: frozenset[tuple[str, str, str]] | None = None

    def __init__(self, registry: Registry) -> None:
        self.registry = registry

    def entry(self, group: str, resource: str, namespace: str, name: str) -> Entry | None:
        """A stored object as this worker's cache has it."""
        store = self.registry.store(group, resource)
        return store.cache.get(store.key(namespace, name))

    async def latest(self, group: str, resource: str, namespace: str, name: str) -> Entry | None:
        """A stored object; one that the cache lacks is looked for again once the cache is up to date."""
        found = self.entry(group, resource, namespace, name)
        if found is not None:
            return found
        store = self.registry.store(group, resource)
        return await store.latest(store.key(namespace, name))

    def entries(self, group: str, resource: str, namespace: str = "") -> Sequence[Entry]:
        """All stored objects of a resource, of one namespace if given, as the cache has them."""
        store = self.registry.store(group, resource)
        return store.cache.list(store.prefix(namespace))


def on(*names: str) -> frozenset[tuple[str, str, str]]:
    """Resources by name: `pods`, `pods/status`, `ingresses.networking.k8s.io`."""
    found = set()
    for text in names:
        name, _, subresource = text.partition("/")
        resource, _, group = name.partition(".")
        found.add((group, resource, subresource))
    return frozenset(found)


def forbidden(attributes: Attributes, why: str) -> ApiError:
    """admission.NewForbidden: names the object as the request did."""
    info = attributes.info
    name = attributes.name
    if not name and attributes.obj is not None:
        metadata = attributes.obj["metadata"]
        name = metadata.get("name") or metadata.get("generateName") or "Unknown"
    return errors.forbidden(info.resource, info.group, name, why)
