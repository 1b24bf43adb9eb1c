"""What admission plugins are given: the registry with its cache, storage and options, and an authorizer.

Listers are made when a plugin first asks, so that a server whose cache follows few resources can hold every plugin.
`equivalents` knows the served versions of each resource once the server has set `equivalents.served`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from apiserver_workers.admission.versions import Equivalents
from apiserver_workers.authorization.attributes import Authorizer
from apiserver_workers.storage.interface import Entry, ResourceCache

if TYPE_CHECKING:
    from apiserver_workers.registry.registry import Registry

Object = dict[str, Any]


class Lister:
    """One resource's stored objects, as new as this worker's cache. Never change what it returns."""

    def __init__(self, cache: ResourceCache, root: str) -> None:
        self.cache = cache
        self.root = root
        self.fresh = cache.fresh

    def key(self, namespace: str, name: str) -> str:
        """The object's key in etcd."""
        return f"{self.root}{namespace}/{name}" if namespace else self.root + name

    def get(self, name: str, namespace: str = "") -> Object | None:
        """The object, None if there is none."""
        entry = self.cache.get(self.key(namespace, name))
        return None if entry is None else entry.obj

    def list(self, namespace: str = "") -> Sequence[Entry]:
        """The entries of a namespace, or all, in the order of their names."""
        return self.cache.list(f"{self.root}{namespace}/" if namespace else self.root)


class ForeignResource(NamedTuple):
    """What another server says of a kind."""

    plural: str
    namespaced: bool


class Elsewhere(Protocol):
    """The objects that other servers of the chain serve."""

    async def resource(self, api_version: str, kind: str) -> ForeignResource | None:
        """The resource of a kind; None if nobody serves it. Raises ApiError."""
        ...

    async def read(self, api_version: str, plural: str, namespace: str, name: str) -> list[Object]:
        """The object of that name, if there is one; all of the namespace (or at all) without a name. Raises ApiError."""
        ...


class Initializer:
    """Handed to each plugin. `authorizer` is set once the server has one, before its first request, and `elsewhere` where
    other servers have objects that policies may refer to."""

    authorizer: Authorizer

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.elsewhere: Elsewhere | None = None
        self.equivalents = Equivalents()
        self._listers: dict[str, Lister] = {}

    def lister(self, storage_prefix: str) -> Lister:
        """The lister of `/registry/<storage_prefix>/`. Raises KeyError where the cache does not follow it."""
        found = self._listers.get(storage_prefix)
        if found is None:
            root = f"{self.registry.etcd_prefix}/{storage_prefix}/"
            found = self._listers[storage_prefix] = Lister(self.registry.cache.resource(storage_prefix), root)
        return found
