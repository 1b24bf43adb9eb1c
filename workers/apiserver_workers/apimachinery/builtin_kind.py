"""The builder of built-in kinds: a ServedKind from a ResourceInfo and the type model.

Here the tables that are keyed by names are asked, once for each kind: defaults, validation, warnings, printers, field
labels, fields that are reset, conversions.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from apiserver_workers.apimachinery import codec, conversion, tables, warnings
from apiserver_workers.apimachinery.apply.reset import Reset, reset_fields
from apiserver_workers.apimachinery.apply.tracking import Converter
from apiserver_workers.apimachinery.defaults import set_defaults
from apiserver_workers.apimachinery.deprecation import deprecation
from apiserver_workers.apimachinery.field_labels import selectable
from apiserver_workers.apimachinery.resources import ResourceInfo, SubresourceInfo, catalogue, resource
from apiserver_workers.apimachinery.scale_paths import ScalePaths
from apiserver_workers.apimachinery.served_kind import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_PATCH,
    Decode,
    FromDocument,
    ServedKind,
)
from apiserver_workers.apimachinery.types import Type, TypeModel
from apiserver_workers.apimachinery.validation import objects

Object = dict[str, Any]

# Groups whose internal Go package is not the first part of their name.
GO_PACKAGES = {"": "core", "events.k8s.io": "core"}
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


class BuiltinConversion:
    """The conversion (served_kind.Conversion) of a built-in resource: functions that never wait."""

    def __init__(self, model: TypeModel, versions: Mapping[str, Type]) -> None:
        """`versions` are the types by apiVersion."""
        self._model = model
        self._versions = versions
        self.now: Converter | None = self._now

    def type_of(self, api_version: str) -> Type | None:
        return self._versions.get(api_version)

    async def convert(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        return [self._convert(obj, api_version) for obj in objects]

    def _convert(self, obj: Object, api_version: str) -> Object:
        group, _, version = api_version.rpartition("/")
        return conversion.convert(obj, group, version, types=self._model)

    def _now(self, obj: Object, api_version: str) -> tuple[Type, Object] | None:
        type = self._versions.get(api_version)
        return None if type is None else (type, self._convert(obj, api_version))


class BuiltinKinds:
    """The kinds of the built-in resources of one minor version; each is made when it is first asked for, and kept."""

    def __init__(self, model: TypeModel) -> None:
        self.model = model
        self._made: dict[ResourceInfo, ServedKind] = {}
        self._conversions: dict[tuple[str, tuple[str, str]], BuiltinConversion | None] = {}

    def of(self, info: ResourceInfo) -> ServedKind:
        """The kind of a resource. Raises KeyError when the model has no such kind."""
        found = self._made.get(info)
        if found is None:
            found = self._made[info] = self._make(info)
        return found

    def stored(self, group: str, name: str) -> ServedKind:
        """The kind of the built-in resource of that plural name in the version that is stored. Raises KeyError."""
        return self.of(_stored_info(group, name))

    def preload(self, infos: Iterable[ResourceInfo]) -> None:
        """Compile the types of these resources now."""
        for info in infos:
            self.of(info).type.fields  # noqa: B018

    def _make(self, info: ResourceInfo) -> ServedKind:
        stored = resource(*info.stored_as, info.resource)
        storage = None if stored is None or info.stored_as == (info.group, info.version) else self.of(stored)
        return builtin(self.model, info, storage=storage, conversion=self._conversion(info))

    def _conversion(self, info: ResourceInfo) -> BuiltinConversion | None:
        key = (info.storage_prefix, info.stored_as)
        if key not in self._conversions:
            versions = {
                other.group_version: self.model.kind(other.group, other.version, other.kind)
                for other in catalogue().values()
                if (other.storage_prefix, other.stored_as) == key and self._exists(other)
            }
            self._conversions[key] = BuiltinConversion(self.model, versions) if len(versions) > 1 else None
        return self._conversions[key]

    def _exists(self, info: ResourceInfo) -> bool:
        """Whether objects can be in that version: it is one of this Kubernetes version, or the one that is stored."""
        kind = (info.group, info.version, info.kind)
        return kind in self.model.schemas.kinds or info.stored_as == kind[:2]


@functools.cache
def _stored_info(group: str, name: str) -> ResourceInfo:
    for info in catalogue().values():
        if info.group == group and info.resource == name and info.stored_as == (info.group, info.version):
            return info
    raise KeyError((group, name))


def builtin(
    model: TypeModel,
    info: ResourceInfo,
    *,
    storage: ServedKind | None = None,
    conversion: BuiltinConversion | None = None,
) -> ServedKind:
    """The kind of a resource whose type the model has. Raises KeyError when it has not."""
    type = model.kind(info.group, info.version, info.kind)
    package = GO_PACKAGES.get(info.group) or info.group.partition(".")[0]
    return ServedKind(
        info=info,
        model=model,
        type=type,
        go_kind=f"{package}.{info.kind}",
        decode=_decode(type, (info.group, info.version, info.kind)),
        from_document=_from_document(type),
        default=functools.partial(set_defaults, info.group, info.version, info.kind),
        validate_create=functools.partial(objects.validate_create, info),
        validate_update=functools.partial(objects.validate_update, info),
        warn_on_create=functools.partial(warnings.warn_on_create, info),
        warn_on_update=functools.partial(warnings.warn_on_update, info),
        columns=tables.columns(info, kind=info.kind),
        rows=functools.partial(tables.rows, info, kind=info.kind, printer=tables.printer_of(info, info.kind)),
        labels=selectable(info),
        resets=_resets(info),
        scale=ScalePaths() if "scale" in info.subresources else None,
        patch_types=PATCH_TYPES,
        conversion=conversion,
        bodies=_bodies(model, info),
        storage=storage,
        as_stored=storage is None,
        deprecation=deprecation(info, model.minor),
    )


def _decode(type: Type, gvk: tuple[str, str, str]) -> Decode:
    async def decode(body: bytes, media_type: str, field_validation: str) -> tuple[Object, list[str]]:
        return codec.decode(body, media_type, type=type, default_gvk=gvk, field_validation=field_validation)

    return decode


def _from_document(type: Type) -> FromDocument:
    async def from_document(document: Any) -> tuple[Object, list[str]]:
        return codec.from_json(type, document)

    return from_document


def _resets(info: ResourceInfo) -> dict[str, Reset]:
    resets = {name: reset_fields(info, name) for name in ("", *info.subresources)}
    return {name: reset for name, reset in resets.items() if reset is not None}


def _bodies(model: TypeModel, info: ResourceInfo) -> dict[str, ServedKind]:
    """The kinds of subresources that are of another kind than the resource."""
    bodies = {}
    for name, sub in info.subresources.items():
        seen = _body_info(info, sub)
        if sub.kind != info.kind and model.find(seen.group, seen.version, seen.kind) is not None:
            bodies[name] = builtin(model, seen)
    return bodies


def _body_info(info: ResourceInfo, sub: SubresourceInfo) -> ResourceInfo:
    """The resource as it would be with the kind of a subresource."""
    group, version = (sub.group, sub.version) if sub.version else (info.group, info.version)
    return replace(info, group=group, version=version, kind=sub.kind, stored_as=(group, version), subresources={})
