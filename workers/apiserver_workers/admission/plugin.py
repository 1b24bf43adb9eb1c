"""Plugin: what every admission plugin says of itself, and the refusal that they share.

`operations`, `resources` and `subresources` decide which writes a plugin sees; the chain reads them once per kind of write.
`admit` may change the object, `validate` may not. Either returns None, or something to await where the plugin has to
wait. On an update the object may share its parts with the stored one: replace parts, never change them in place.

`admit` may run twice for one write: a webhook or a policy that changed the object asks for a second round of all mutating
plugins (`Attributes.rounds`). A plugin that would add something a second time looks whether it is there already.

A plugin that keeps an index of stored objects names their storage prefixes in `follows` and fills the index in `start`,
which every worker awaits before its first request: no request is answered by an index that is not complete.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, ClassVar

from apiserver_workers.admission.initializer import Initializer, Lister
from apiserver_workers.apimachinery import errors
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes

Object = dict[str, Any]
Pending = Awaitable[None] | None

PODS, NODES = ("", "pods"), ("", "nodes")
CLAIMS, VOLUMES = ("", "persistentvolumeclaims"), ("", "persistentvolumes")


class Plugin:
    """Base of all plugins. A plugin defines `admit`, `validate` or both."""

    name: ClassVar[str]
    operations: ClassVar[frozenset[str]] = frozenset((CREATE, UPDATE))
    resources: ClassVar[frozenset[tuple[str, str]] | None] = None  # (group, resource); None: all
    subresources: ClassVar[frozenset[str] | None] = frozenset(("",))  # None: all
    follows: ClassVar[tuple[str, ...]] = ()  # storage prefixes that the cache of every server with this plugin has

    def __init__(self, initializer: Initializer) -> None:
        self.initializer = initializer

    async def start(self) -> None:
        """Returns when the plugin is ready for requests; the cache is full already."""

    async def stop(self) -> None:
        """Let go of what `start` began."""

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        """Whether the plugin has anything to do with such a write."""
        return (
            operation in cls.operations
            and (cls.resources is None or (group, resource) in cls.resources)
            and (cls.subresources is None or subresource in cls.subresources)
        )

    def lister(self, storage_prefix: str) -> Lister:
        """Stored objects of a resource."""
        return self.initializer.lister(storage_prefix)


def forbidden(attributes: Attributes, why: str) -> ApiError:
    """admission.NewForbidden: names the object as far as it has a name yet."""
    name = attributes.name
    if not name:
        metadata = (attributes.obj or {}).get("metadata") or {}
        name = metadata.get("name") or metadata.get("generateName") or "Unknown"
    return errors.forbidden(attributes.info.resource, attributes.info.group, name, why)


def aggregate(faults: list[str]) -> str:
    """Several messages as one: repeated ones once, more than one in brackets."""
    unique = list(dict.fromkeys(faults))
    return unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]"


def own_spec(obj: Object) -> Object:
    """The object's spec, made its own so that its fields may be set."""
    spec: Object = dict(obj.get("spec") or {})
    obj["spec"] = spec
    return spec
