"""Served: one resource in one served version, as its endpoints see it: the kind and the store of its objects.

The Store behind it works in the stored version, or in the served one where the kind has a store of its own. Most resources
are served as they are stored and nothing is converted; for the others `inward`, `outward` and `read` convert, which may have to wait.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.store import Store
from apiserver_workers.storage.entry_map import as_body, as_item

Object = dict[str, Any]


class Readable(Protocol):
    """An object to answer with: an Entry or a Result."""

    @property
    def body(self) -> bytes: ...

    @property
    def obj(self) -> Object: ...


class View:
    """The objects of one kind as an endpoint reads and answers them: stored or not."""

    def __init__(self, kind: ServedKind) -> None:
        self.kind = kind
        self.info = kind.info
        self.type = kind.type
        self.json_only = kind.json_only
        self.requested = kind  # the kind of the path; a view of a subresource may be of another

    @functools.cached_property
    def bodies(self) -> dict[str, View]:
        """The views of the subresources that are sent another kind than the resource's."""
        return {name: View(kind) for name, kind in self.kind.bodies.items()}

    def empty(self, metadata: Object) -> Object:
        """An object that says nothing but its metadata, as bookmarks are."""
        return self.kind.head({**codec.normalise(self.type, {}), "metadata": metadata})


class Served(View):
    """A served resource: its kind and the store of its objects."""

    def __init__(self, kind: ServedKind, store: Store) -> None:
        super().__init__(kind)
        self.store = store
        self.as_stored = kind.as_stored
        self._converts = store.kind is not kind and not kind.as_stored  # between the store's version and this one
        self.item = as_body if kind.full_items else as_item  # what lists show of an entry
        head = f'"kind":"{kind.info.list_kind}","apiVersion":"{kind.info.group_version}"'
        self.list_head = f'{{{head},"metadata":{{"resourceVersion":"'.encode()
        self.scale_view: Any = None  # made when first needed
        self.frames: dict[tuple[Any, str], Any] = {}  # of the resource's watches, by form

    async def inward(self, obj: Object) -> Object:
        """An object of the served version in that of the store."""
        return await self.kind.inward(obj) if self._converts else obj

    async def outward(self, obj: Object) -> Object:
        """An object of the store's version in the served one; it may be `obj` itself: never change it."""
        return await self.kind.outward(obj) if self._converts else obj

    async def read(self, found: Readable) -> Object:
        """What was found or written, in the served version; it is shared: never change it."""
        return found.obj if self.as_stored else await self.kind.outward(found.obj)

    async def body(self, found: Readable) -> bytes:
        """The JSON of what was found or written, in the served version."""
        return found.body if self.as_stored else codec.encode(await self.kind.outward(found.obj))
