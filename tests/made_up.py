"""Made-up kinds: as the extensions server will make them of a CustomResourceDefinition, with everything that may wait."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from apiserver_workers.apimachinery.apply.tracking import Converter
from apiserver_workers.apimachinery.builtin_kind import builtin
from apiserver_workers.apimachinery.definitions import definitions_of
from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.field_labels import METADATA, Selectable
from apiserver_workers.apimachinery.resources import ResourceInfo, parse_resource
from apiserver_workers.apimachinery.schemas import definitions
from apiserver_workers.apimachinery.served_kind import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, ServedKind
from apiserver_workers.apimachinery.types import ExtendedModel, Type, model

Object = dict[str, Any]
VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
INT = {"type": "integer", "format": "int32"}
TEXT = {"type": "string"}


@functools.cache
def package() -> dict[str, Any]:
    return definitions(model().minor)


def widget_info(group: str, version: str, spec: dict[str, Any]) -> ResourceInfo:
    """A resource whose objects have these fields in their spec."""
    entry = {
        "group": group,
        "version": version,
        "resource": "widgets",
        "kind": "Widget",
        "singular": "widget",
        "shortNames": ["wd"],
        "namespaced": True,
        "verbs": VERBS,
        "storagePrefix": f"{group}/widgets",
        "subresources": [{"subresource": "status", "kind": "Widget", "verbs": ["get", "patch", "update"]}],
        "schema": {
            "properties": {
                "spec": {"type": "object", "properties": spec},
                "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}},
            }
        },
    }
    return parse_resource(entry)


def made_up(group: str, version: str = "v1", **fields: dict[str, Any]) -> ServedKind:
    """A kind of its own types, which no other kind shares."""
    info = widget_info(group, version, fields or {"size": INT})
    own = ExtendedModel(model(), definitions_of(info, package()))
    kind = builtin(own, info)
    labels = Selectable({**METADATA, "spec.colour": lambda obj: obj["spec"].get("colour")})
    return dataclasses.replace(
        kind,
        labels=labels,
        patch_types=(JSON_PATCH, MERGE_PATCH, APPLY_PATCH),
        full_items=True,
        validate_create=functools.partial(validate_later, kind),
    )


async def validate_later(kind: ServedKind, obj: Object) -> list[FieldError]:
    """The kind's own faults, and one that takes its time."""
    await asyncio.sleep(0)
    faults = kind.validate_create(obj)
    assert isinstance(faults, list)
    if (obj.get("spec") or {}).get("size", 0) > 100:
        faults.append(FieldError("FieldValueInvalid", "spec.size", "Invalid value: too big"))
    return faults


class Renaming:
    """A conversion between v1, which has spec.size, and v2, which calls it spec.width. It waits, as a webhook does."""

    now: Converter | None = None

    def __init__(self) -> None:
        self.types: dict[str, Type] = {}
        self.calls: list[tuple[int, str]] = []

    def type_of(self, api_version: str) -> Type | None:
        return self.types.get(api_version)

    async def convert(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        self.calls.append((len(objects), api_version))
        await asyncio.sleep(0)
        return [renamed(obj, api_version) for obj in objects]


def renamed(obj: Object, api_version: str) -> Object:
    if obj["apiVersion"] == api_version:
        return obj
    old, new = ("size", "width") if api_version.endswith("/v2") else ("width", "size")
    spec = {new if name == old else name: value for name, value in (obj.get("spec") or {}).items()}
    return {**obj, "apiVersion": api_version, "metadata": dict(obj["metadata"]), "spec": spec}


def two_versions(group: str) -> tuple[ServedKind, ServedKind, Renaming]:
    """v1, which is stored, and v2 of one resource."""
    conversion = Renaming()
    first = dataclasses.replace(made_up(group, "v1", size=INT, colour=TEXT), conversion=conversion)
    second = dataclasses.replace(
        made_up(group, "v2", width=INT, colour=TEXT), conversion=conversion, storage=first, as_stored=False
    )
    second = dataclasses.replace(second, info=dataclasses.replace(second.info, stored_as=(group, "v1")))
    conversion.types = {kind.info.group_version: kind.type for kind in (first, second)}
    return first, second, conversion
