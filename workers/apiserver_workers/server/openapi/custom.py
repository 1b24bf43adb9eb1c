"""The schemas of custom resources as OpenAPI publishes them (apiextensions-apiserver/pkg/controller/openapi/builder).

A definition's schema is published nearly as it is. Version 2 cannot say everything: kubectl of old would refuse what it does
not understand, so there nullable values and those that keep unknown fields have no type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver_workers.apimachinery.field_labels import METADATA
from apiserver_workers.apimachinery.served_kind import ServedKind

Schema = dict[str, Any]

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
OBJECT_META, LIST_META = META + "ObjectMeta", META + "ListMeta"
V2, V3 = "#/definitions/", "#/components/schemas/"

CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
HEAD = {
    "apiVersion": (
        "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized"
        f" schemas to the latest internal value, and may reject unrecognized values. More info: {CONVENTIONS}#resources"
    ),
    "kind": (
        "Kind is a string value representing the REST resource this object represents. Servers may infer this from the"
        " endpoint the client submits requests to. Cannot be updated. In CamelCase. More info:"
        f" {CONVENTIONS}#types-kinds"
    ),
}
EMBEDDED_HEAD = {
    "apiVersion": f"apiVersion defines the versioned schema of this representation of an object. More info: {CONVENTIONS}#resources",
    "kind": (
        "kind is a string value representing the type of this object. In CamelCase. More info:"
        f" {CONVENTIONS}#types-kinds"
    ),
}
METADATA_TEXT = f"Standard object's metadata. More info: {CONVENTIONS}#metadata"
LIST_METADATA_TEXT = f"Standard list metadata. More info: {CONVENTIONS}#types-kinds"
GVK = "x-kubernetes-group-version-kind"
PRESERVE, EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
INT_OR_STRING = "x-kubernetes-int-or-string"
EITHER = [{"type": "integer"}, {"type": "string"}]
JUNCTORS = ("allOf", "anyOf", "oneOf", "not")


def model_name(group: str, version: str, kind: str) -> str:
    """The name of a custom kind's definition."""
    return ".".join([*reversed(group.split(".")), version, kind])


def custom_schemas(kind: ServedKind, *, v2: bool) -> dict[str, Schema]:
    """The definitions of a custom kind and its lists, by name."""
    info = kind.info
    prefix = V2 if v2 else V3
    name = model_name(info.group, info.version, info.kind)
    own = _root(kind, prefix, v2=v2)
    listed: Schema = {
        "description": f"{info.list_kind} is a list of {info.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            **_head(HEAD),
            "items": {
                "description": f"List of {info.resource}. More info: {CONVENTIONS}",
                "type": "array",
                "items": {"$ref": prefix + name},
            },
            "metadata": _reference(prefix + LIST_META, LIST_METADATA_TEXT, v2=v2),
        },
        GVK: [{"group": info.group, "kind": info.list_kind, "version": info.version}],
    }
    own[GVK] = [{"group": info.group, "kind": info.kind, "version": info.version}]
    if fields := [{"fieldPath": field} for field in kind.labels.fields if field not in METADATA]:
        own["x-kubernetes-selectable-fields"] = listed["x-kubernetes-selectable-fields"] = fields
    return {name: own, model_name(info.group, info.version, info.list_kind): listed}


def _root(kind: ServedKind, prefix: str, *, v2: bool) -> Schema:
    schema = kind.schema
    if schema is None or (v2 and (schema.get(PRESERVE) or kind.keeps_unknown)):
        return {"type": "object"}
    made = published(schema, prefix, v2=v2)
    head = {**_head(HEAD), "metadata": _reference(prefix + OBJECT_META, METADATA_TEXT, v2=v2)}
    return {**made, "properties": {**(made.get("properties") or {}), **head}}


def published(schema: Mapping[str, Any], prefix: str, *, v2: bool) -> Schema:
    """A schema of a definition as it is published."""
    made = {name: value for name, value in schema.items() if value is not None}
    if made.get(INT_OR_STRING) and not v2:
        _either(made)
    if v2:
        _simplify(made)
    if "properties" in made:
        made["properties"] = {name: published(of, prefix, v2=v2) for name, of in made["properties"].items()}
    for inner in ("items", "additionalProperties"):
        if isinstance(made.get(inner), Mapping):
            made[inner] = published(made[inner], prefix, v2=v2)
    if made.get(EMBEDDED) and not (v2 and made.get(PRESERVE)):
        head = {**_head(EMBEDDED_HEAD), "metadata": _reference(prefix + OBJECT_META, METADATA_TEXT, v2=v2)}
        made["properties"] = {**(made.get("properties") or {}), **head}
        required = list(made.get("required") or ())
        made["required"] = [*required, *(name for name in ("kind", "apiVersion") if name not in required)]
    return made


def _either(schema: Schema) -> None:
    """Say that a value is a number or a text, in place, unless the schema says so already."""
    if schema.get("anyOf") == EITHER:
        return
    first: Schema = next(iter(schema.get("allOf") or ()), {})
    if first.get("anyOf") == EITHER:
        return
    if "anyOf" not in schema:
        schema["anyOf"] = EITHER
    else:
        schema["allOf"] = [{"anyOf": EITHER}, *(schema.get("allOf") or ())]


def _simplify(schema: Schema) -> None:
    """Drop, in place, what version 2 or its readers do not understand."""
    for junctor in JUNCTORS:
        schema.pop(junctor, None)
    nullable, preserves = schema.pop("nullable", False), bool(schema.get(PRESERVE))
    if nullable:
        schema.pop("type", None)
    if nullable or preserves:
        schema.pop("items", None)
        schema.pop("properties", None)
    kind = schema.get("type")
    if (kind == "array" and "items" not in schema) or (kind == "object" and preserves):
        schema.pop("type", None)
    properties = schema.get("properties") or {}
    gone = {name for name, of in properties.items() if of.get("nullable")}
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping) and additional.get("nullable"):
        schema.pop("required", None)
    elif gone and "required" in schema:
        schema["required"] = [name for name in schema["required"] if name not in gone]
        if not schema["required"]:
            del schema["required"]


def _head(texts: Mapping[str, str]) -> Schema:
    return {name: {"description": text, "type": "string"} for name, text in texts.items()}


def _reference(target: str, description: str, *, v2: bool) -> Schema:
    """A described reference; in version 3 it must be wrapped to have siblings."""
    if v2:
        return {"description": description, "$ref": target}
    return {"description": description, "allOf": [{"$ref": target}]}
