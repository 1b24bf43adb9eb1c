"""Objects inside of objects, which have kind, apiVersion and metadata of their own.

Upstream: apiextensions-apiserver/pkg/apiserver/schema/objectmeta/{algorithm,coerce,validation}.go.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.codec.jsontext import DecodeError
from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.name_rules import is_dns1035_label
from apiserver_workers.apimachinery.structural.model import Structural
from apiserver_workers.apimachinery.types import Type, meta_model
from apiserver_workers.apimachinery.validation import meta, names
from apiserver_workers.apimachinery.validation.field import invalid, join, key, required

Object = dict[str, Any]

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
FAKE_NAME = "fakename"  # an embedded object needs no name


class EmbeddedError(Exception):
    """An embedded object does not fit."""

    def __init__(self, fault: FieldError) -> None:
        super().__init__(str(fault))
        self.fault = fault


def object_meta() -> Type:
    """The type of metadata."""
    return meta_model().type(OBJECT_META)


def coerce_embedded(obj: Any, schema: Structural, *, drop_invalid: bool = False, collect: bool = False) -> list[str]:
    """Bring metadata of embedded objects into shape, in place; the sorted paths of its unknown fields if they are collected.

    `drop_invalid`: what does not fit is dropped. Raises EmbeddedError.
    """
    coercer = _Coercer(drop_invalid, collect)
    coercer.coerce(obj, schema, "")
    return sorted(coercer.unknown)


def has_embedded(schema: Structural | None) -> bool:
    """Whether objects of the schema can have objects inside."""
    if schema is None:
        return False
    return schema.embedded or any(map(has_embedded, (*schema.properties.values(), schema.items, schema.additional)))


class _Coercer:
    def __init__(self, drop_invalid: bool, collect: bool) -> None:
        self.unknown: list[str] = []
        self._drop_invalid = drop_invalid
        self._collect = collect

    def coerce(self, value: Any, schema: Structural | None, path: str) -> None:
        if schema is None:
            return
        if value.__class__ is dict:
            if schema.embedded:
                self._coerce_head(value, path)
            for name, inside in value.items():
                if inside.__class__ is not dict and inside.__class__ is not list:
                    continue
                if name in schema.properties:
                    self.coerce(inside, schema.properties[name], join(path, name))
                elif schema.additional is not None:
                    self.coerce(inside, schema.additional, key(path, name))
        elif value.__class__ is list:
            for index, item in enumerate(value):
                self.coerce(item, schema.items, f"{path}[{index}]")

    def _coerce_head(self, value: Object, path: str) -> None:
        for name in ("apiVersion", "kind"):
            if name not in value or isinstance(value[name], str):
                continue
            if not self._drop_invalid:
                raise EmbeddedError(invalid(join(path, name), value[name], "must be a string"))
            del value[name]
        if "metadata" in value:
            self._coerce_metadata(value, join(path, "metadata"))

    def _coerce_metadata(self, value: Object, path: str) -> None:
        metadata = value["metadata"]
        try:
            shaped, strict = codec.from_json(object_meta(), {} if metadata is None else metadata)
        except DecodeError as error:
            if not self._drop_invalid:
                raise EmbeddedError(invalid(path, metadata, str(error))) from None
            if not isinstance(metadata, dict):
                return
            shaped, strict = fitting(metadata), []
        if shaped.get("creationTimestamp", "") is None:
            del shaped["creationTimestamp"]
        value["metadata"] = shaped
        if self._collect:
            self.unknown += [f"{path}.{text.partition(chr(34))[2][:-1]}" for text in strict]


def fitting(metadata: Object) -> Object:
    """The fields of metadata that fit their types."""
    kept: Object = {}
    for name, value in metadata.items():
        try:
            kept.update(codec.from_json(object_meta(), {name: value})[0])
        except DecodeError:
            continue
    return kept


def embedded_faults(value: Any, schema: Structural | None, path: str = "") -> list[FieldError]:
    """What is wrong with kind, apiVersion and metadata of embedded objects."""
    if schema is None:
        return []
    faults: list[FieldError] = []
    if value.__class__ is dict:
        if schema.embedded:
            faults += _head_faults(value, path)
        for name, inside in value.items():
            if name in schema.properties:
                faults += embedded_faults(inside, schema.properties[name], join(path, name))
            elif schema.additional is not None:
                faults += embedded_faults(inside, schema.additional, key(path, name))
    elif value.__class__ is list:
        for index, item in enumerate(value):
            faults += embedded_faults(item, schema.items, f"{path}[{index}]")
    return faults


def _head_faults(value: Object, path: str) -> list[FieldError]:
    faults = [required(join(path, name)) for name in ("apiVersion", "kind") if name not in value]
    if "apiVersion" in value:
        faults += _version_faults(value["apiVersion"], join(path, "apiVersion"))
    if "kind" in value:
        faults += _kind_faults(value["kind"], join(path, "kind"))
    if "metadata" in value:
        faults += _metadata_faults(value["metadata"], join(path, "metadata"))
    return faults


def _version_faults(value: Any, path: str) -> list[FieldError]:
    if not isinstance(value, str):
        return [invalid(path, value, "must be a string")]
    if not value:
        return [invalid(path, value, "must not be empty")]
    if value.count("/") > 1:
        return [invalid(path, value, f"unexpected GroupVersion string: {value}")]
    return []


def _kind_faults(value: Any, path: str) -> list[FieldError]:
    if not isinstance(value, str):
        return [invalid(path, value, "must be a string")]
    if not value:
        return [invalid(path, value, "must not be empty")]
    if faults := is_dns1035_label(value.lower()):
        return [invalid(path, value, f"may have mixed case, but should otherwise match: {','.join(faults)}")]
    return []


def _metadata_faults(value: Any, path: str) -> list[FieldError]:
    try:
        metadata, _ = codec.from_json(object_meta(), {} if value is None else value)
    except DecodeError as error:
        return [invalid(path, value, str(error))]
    if not metadata.get("name"):
        metadata["name"] = FAKE_NAME
    namespaced = bool(metadata.get("namespace"))
    return meta.validate_object_meta(metadata, namespaced=namespaced, check_name=names.is_path_segment, path=path)
