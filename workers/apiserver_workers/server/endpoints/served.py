"""Served: one resource in one served version, as its endpoints see it.

The Store behind it works in the stored version. Most resources are served as they are stored and nothing is converted;
for the others `inward` and `outward` convert.
"""

from __future__ import annotations

from typing import Any, Protocol

from apiserver_workers.apimachinery import codec, conversion, types
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.registry.store import Store

Object = dict[str, Any]

# Groups whose internal Go package is not the first part of their name.
GO_PACKAGES = {"": "core", "events.k8s.io": "core"}


class Readable(Protocol):
    """An object to answer with: an Entry or a Result."""

    @property
    def body(self) -> bytes: ...

    @property
    def obj(self) -> Object: ...


class View:
    """The objects of one kind as an endpoint reads and answers them: stored or not."""

    def __init__(self, info: ResourceInfo) -> None:
        self.info = info
        self.type = types.model().kind(info.group, info.version, info.kind)
        self.json_only = not self.type.has_numbers
        self.gvk = (info.group, info.version, info.kind)
        package = GO_PACKAGES.get(info.group) or info.group.partition(".")[0]
        self.go_kind = f"{package}.{info.kind}"

    def empty(self, metadata: Object) -> Object:
        """An object that says nothing but its metadata, as bookmarks are."""
        blank = codec.normalise(self.type, {})
        return {"kind": self.info.kind, "apiVersion": self.info.group_version, **blank, "metadata": metadata}


class Served(View):
    """A served resource: its kind and the store of its objects."""

    def __init__(self, info: ResourceInfo, store: Store) -> None:
        super().__init__(info)
        self.store = store
        self.converted = info.stored_as != (info.group, info.version)
        kind = f'"kind":"{info.list_kind}","apiVersion":"{info.group_version}"'
        self.list_head = f'{{{kind},"metadata":{{"resourceVersion":"'.encode()
        self.scale_view: Any = None  # made when first needed
        self.frames: dict[tuple[Any, str], Any] = {}  # of the resource's watches, by form

    def inward(self, obj: Object) -> Object:
        """An object of the served version in the stored one."""
        if not self.converted:
            return obj
        group, version = self.info.stored_as
        return conversion.convert(obj, group, version)

    def outward(self, obj: Object) -> Object:
        """A stored object in the served version; it may be `obj` itself: never change it."""
        return conversion.convert(obj, self.info.group, self.info.version) if self.converted else obj

    def body(self, stored: Readable) -> bytes:
        """A stored object's JSON in the served version."""
        return codec.encode(self.outward(stored.obj)) if self.converted else stored.body
