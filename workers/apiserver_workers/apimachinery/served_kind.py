"""ServedKind: everything that a handler asks about a kind in one version, resolved when the kind is installed.

Built-in kinds and custom resources are two builders of this one object: `builtin_kind.py` makes it of a ResourceInfo and
the type model, the extensions server of a CustomResourceDefinition. Nothing above asks tables or models by names, so a
kind may come, change and go while the server runs: what belongs to it goes with it.

Whatever may have to wait (a conversion webhook, a schema or a CEL rule too long for the event loop) is a coroutine or may
return one. For built-in kinds none of them ever waits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from apiserver_workers.apimachinery.apply.reset import Reset
from apiserver_workers.apimachinery.apply.tracking import Converter
from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.field_labels import Selectable
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.scale_paths import ScalePaths
from apiserver_workers.apimachinery.types import Type, TypeModel

# Media types of patches.
JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"

Object = dict[str, Any]
Faults = list[FieldError]
# What is wrong with an object, or something to await that tells it.
FaultsToCome = Faults | Awaitable[Faults]


class Decode(Protocol):
    """A body to an object of the kind, and the warnings about its unknown and repeated fields."""

    async def __call__(self, body: bytes, media_type: str, field_validation: str) -> tuple[Object, list[str]]:
        """The object is normalised or pruned, not defaulted. Raises ApiError 400 or 415."""
        ...


class FromDocument(Protocol):
    """A value, such as a patched one, to an object of the kind, and its strict errors."""

    async def __call__(self, document: Any) -> tuple[Object, list[str]]:
        """The object is normalised or pruned, not defaulted. Raises DecodeError."""
        ...


class Conversion(Protocol):
    """Objects of one resource between its versions.

    `now` converts for field managers at once: (object, apiVersion) to (type, object), None for a version that is not
    there. It is None where a conversion may have to wait.
    """

    now: Converter | None

    def type_of(self, api_version: str) -> Type | None:
        """The type of the kind in a version; None for a version that objects cannot be in."""
        ...

    async def convert(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        """The objects in another version, or as that is read from the storage; none of those given is changed.

        Raises ApiError.
        """
        ...


def joined(own: Faults, others: FaultsToCome) -> FaultsToCome:
    """What a strategy finds itself, before what a validation finds, now or later."""
    return own + others if isinstance(others, list) else _after(own, others)


async def _after(own: Faults, others: Awaitable[Faults]) -> Faults:
    return own + await others


def no_warnings(*_: object) -> list[str]:
    """Of a kind that never warns."""
    return []


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ServedKind:
    """A kind in one version. Validation and warnings see objects in the stored version, everything else in this one.

    `go_kind` is how messages name the kind (`apps.Deployment`), `deprecation` what clients of this version are warned of.
    `as_stored` says that what lies in the storage is the object as it is served, byte for byte; `full_items` that items
    of lists have kind and apiVersion. `bodies` are the kinds of subresources that are sent something else than the object.
    `own_store` says that validation, warnings and admission see objects in this version, whichever is stored. `read_stored`
    brings what lies in the storage, as it was read, into shape, in place; it may raise ValueError. `routed` says that
    upstream's router knows the kind's paths and methods, so that it refuses what it does not know; else the kind's handlers do.
    `as_sent`: kind and apiVersion of a body are what validation judges. `from_applied` is from_document for what server-side
    apply makes, where that is read in another way.
    `schema` is that of a custom kind's definition, for OpenAPI; `keeps_unknown` says that nothing is pruned from its objects.
    `compiled` is what others have worked out for the kind, which goes when the kind does.
    """

    info: ResourceInfo
    model: TypeModel
    type: Type
    go_kind: str

    decode: Decode
    from_document: FromDocument
    default: Callable[[Object], Awaitable[None] | None]  # in place
    validate_create: Callable[[Object], FaultsToCome]
    validate_update: Callable[[Object, Object, str], FaultsToCome]  # new, old, subresource
    warn_on_create: Callable[[Object], list[str]] = no_warnings
    warn_on_update: Callable[[Object, Object, str], list[str]] = no_warnings  # new, old, subresource

    columns: Sequence[Object]
    rows: Callable[[Iterable[Object], float], list[Object] | None]  # objects, Unix time; None is null in the answer
    labels: Selectable
    resets: Mapping[str, Reset] = field(default_factory=dict)  # by subresource
    scale: ScalePaths | None = None
    patch_types: tuple[str, ...]
    conversion: Conversion | None = None  # None where there is one version only
    bodies: Mapping[str, ServedKind] = field(default_factory=dict)

    storage: ServedKind | None = None  # the version that is stored; None: this one
    own_store: bool = False
    read_stored: Callable[[Object], None] | None = None
    as_stored: bool = True
    full_items: bool = False
    deprecation: str = ""
    routed: bool = True
    as_sent: bool = False
    schema: Mapping[str, Any] | None = None
    keeps_unknown: bool = False
    from_applied: FromDocument | None = None
    compiled: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def stored_kind(self) -> ServedKind:
        """The kind in the version in which objects are stored."""
        return self.storage or self

    @property
    def json_only(self) -> bool:
        """Whether protobuf cannot say the kind."""
        return not self.type.has_numbers

    @property
    def gvk(self) -> tuple[str, str, str]:
        return self.info.group, self.info.version, self.info.kind

    def head(self, obj: Object) -> Object:
        """The object with the kind and apiVersion of this version in front."""
        return {"kind": self.info.kind, "apiVersion": self.info.group_version, **obj}

    async def outward(self, obj: Object) -> Object:
        """A stored object in this version; it may be `obj` itself: never change it."""
        if self.as_stored or self.conversion is None:
            return obj
        return (await self.conversion.convert([obj], self.info.group_version))[0]

    async def inward(self, obj: Object) -> Object:
        """An object of this version in the stored one; it may be `obj` itself."""
        if self.storage is None or self.conversion is None:
            return obj
        return (await self.conversion.convert([obj], self.storage.info.group_version))[0]
