"""Objects in the version that a webhook or a policy asks for, and its changes put back (admission.VersionedAttributes).

Versions of one resource share their storage, so a rule about one of them may stand for all (`matchPolicy: Equivalent`).
`Equivalents` knows which versions are served at this moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.attributes import Attributes

Object = dict[str, Any]
Gvk = tuple[str, str, str]


class Equivalents:
    """The served versions of each resource (runtime.EquivalentResourceMapper).

    `served` gives the kinds that the server serves now, always the same tuple while nothing changes.
    """

    def __init__(self) -> None:
        self.served: Callable[[], Sequence[ServedKind]] = tuple
        self._seen: Sequence[ServedKind] = ()
        self._by_storage: dict[ServedKind, list[ServedKind]] = {}

    def of(self, kind: ServedKind, subresource: str = "") -> list[ServedKind]:
        """The other served versions of the kind's resource that have the subresource, in the order of discovery."""
        served = self.served()
        if served is not self._seen:
            self._seen, self._by_storage = served, _by_storage(served)
        return [
            other
            for other in self._by_storage.get(kind.stored_kind, ())
            if other is not kind and (not subresource or subresource in other.info.subresources)
        ]


def _by_storage(served: Sequence[ServedKind]) -> dict[ServedKind, list[ServedKind]]:
    found: dict[ServedKind, list[ServedKind]] = {}
    for kind in served:
        found.setdefault(kind.stored_kind, []).append(kind)
    return found


def body_gvk(info: ResourceInfo, subresource: str) -> Gvk:
    """The kind of what a request to the resource, or to its subresource, brings."""
    sub = info.subresources.get(subresource) if subresource else None
    if sub is None:
        return info.group, info.version, info.kind
    if sub.version:
        return sub.group, sub.version, sub.kind
    return info.group, info.version, sub.kind


class Versioned(NamedTuple):
    """The object and the old object of a write in one version; never change either."""

    obj: Object | None
    old_obj: Object | None


async def versioned(attributes: Attributes, served: ServedKind) -> Versioned:
    """Both objects in the version of a served kind of the resource. Raises ApiError."""
    api_version = served.info.group_version
    obj, old = attributes.obj, attributes.old_obj
    if obj is not None:
        obj = await attributes.in_version(obj, api_version)
    if old is not None:
        old = await attributes.in_version(old, api_version)
    return Versioned(obj, old)


async def put(attributes: Attributes, served: ServedKind, before: Object, document: Any) -> bool:
    """Let a changed document, in the version of `served`, be the object: decoded, pruned and defaulted.

    `before` is the object as `versioned` gave it; true if the new one differs. Raises DecodeError for what is no object of
    the kind, and ApiError.
    """
    body = served.bodies.get(attributes.subresource, served)
    decoded, _ = await body.from_document(document)
    obj = body.head(decoded)
    obj.setdefault("metadata", {})
    pending = body.default(obj)
    if pending is not None:
        await pending
    changed = obj != before
    attributes.replace(await attributes.from_version(obj))
    return changed
