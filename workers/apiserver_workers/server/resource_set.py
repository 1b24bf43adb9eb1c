"""ResourceSet: what a server serves at one moment. It never changes; a server that serves something else has another one.

Whoever needs to know what is served (routing, discovery, OpenAPI, metrics) reads the server's present set, and may keep
what it made of it for as long as that set is the present one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from apiserver_workers.apimachinery.resources import Key, ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.store import Store
from apiserver_workers.server.endpoints.routes import Route, routes_of
from apiserver_workers.server.endpoints.served import Served, View


@dataclass(frozen=True, slots=True, eq=False)
class Mounted:
    """One resource in one version with its handlers by (subresource, verb), which are called with the view."""

    view: View
    routes: Mapping[tuple[str, str], Route]

    @property
    def store(self) -> Store | None:
        """Where its objects are; None for what is not stored."""
        return self.view.store if isinstance(self.view, Served) else None


def mounted_store(kind: ServedKind, store: Store) -> Mounted:
    """A stored resource with all its verbs and subresources; `store` is that of the stored version."""
    served = Served(kind, store)
    return Mounted(served, routes_of(served))


class ResourceSet:
    """Resources by group, version and plural name, in the order in which discovery shows them."""

    __slots__ = ("_mounted", "groups", "infos", "kinds", "routed_groups", "stores")

    def __init__(self, mounted: Iterable[Mounted] = ()) -> None:
        """Of several with the same names the last one counts."""
        self._mounted: dict[Key, Mounted] = {key_of(one.view.info): one for one in mounted}
        self.groups = frozenset(group for group, _, _ in self._mounted)
        self.infos = tuple(one.view.info for one in self)
        self.routed_groups = frozenset(one.view.info.group for one in self if one.view.kind.routed)
        self.kinds = tuple(one.view.kind for one in self)
        # versions of one resource share their store
        self.stores = frozenset(one.store for one in self if one.store is not None)

    def find(self, group: str, version: str, resource: str) -> Mounted | None:
        """The resource of these names, if it is served."""
        return self._mounted.get((group, version, resource))

    def __iter__(self) -> Iterator[Mounted]:
        return iter(self._mounted.values())

    def having(self, mounted: Iterable[Mounted]) -> ResourceSet:
        """A set with these besides, each in the place of the one that has its names."""
        return ResourceSet([*self, *mounted])

    def without(self, keys: Iterable[Key]) -> ResourceSet:
        """A set without the resources of these names."""
        gone = set(keys)
        return ResourceSet(one for key, one in self._mounted.items() if key not in gone)


def key_of(info: ResourceInfo) -> Key:
    """The names under which a resource is served."""
    return info.group, info.version, info.resource
