"""Whether a schema is structural (apiextensions-apiserver/pkg/apiserver/schema/validation.go, complete.go)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver_workers.apimachinery.structural.model import (
    EMBEDDED,
    INT_OR_STRING,
    LIST_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    PRESERVE,
    RULES,
)
from apiserver_workers.apimachinery.structural.values import Pattern
from apiserver_workers.apimachinery.validation.field import Errors, forbidden, invalid, join, key, required

Schema = Mapping[str, Any]

ROOT, ITEM, FIELD = "at the root", "for specified array items", "for specified object fields"
INT_OR_STRING_TYPES = [{"type": "integer"}, {"type": "string"}]
# What may not stand in value validations, with what it must be.
NESTED = (
    ("type", "must be empty to be structural"),
    ("additionalProperties", "must be undefined to be structural"),
    ("default", "must be undefined to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    (PRESERVE, "must be false to be structural"),
    (EMBEDDED, "must be false to be structural"),
    (INT_OR_STRING, "must be false to be structural"),
    (LIST_KEYS, "must be empty to be structural"),
    (LIST_TYPE, "must be undefined to be structural"),
    (MAP_TYPE, "must be undefined to be structural"),
    (RULES, "must be empty to be structural"),
)


def structure_faults(schema: Schema, path: str) -> Errors:
    """What keeps a schema from being structural, sorted as upstream sorts it."""
    faults = _invariants(schema, ROOT, path) + _combined(schema, schema, path, path)
    return sorted(faults, key=str)


def _invariants(schema: Schema, level: str, path: str) -> Errors:
    type_, items = schema.get("type") or "", schema.get("items")
    faults: Errors = []
    if type_ == "array" and items is None:
        faults.append(required(f"{path}.items", "must be specified"))
    if isinstance(items, Mapping):
        faults += _invariants(items, ITEM, f"{path}.items")
    properties = schema.get("properties") or {}
    for name, inside in properties.items():
        faults += _invariants(inside, FIELD, key(f"{path}.properties", name))
    faults += _additional_faults(schema, level, path)
    faults += _extension_faults(schema, path)
    faults += _value_faults(schema, path, skip_any=_says_int_or_string(schema), skip_first=_first_says_so(schema))
    faults += _type_faults(schema, level, path)
    faults += _head_faults(schema, level, path)
    if schema.get(EMBEDDED) and not schema.get(PRESERVE) and not properties:
        why = f"must not be empty if {EMBEDDED} is true without {PRESERVE}"
        faults.append(required(f"{path}.properties", why))
    return faults


def _additional_faults(schema: Schema, level: str, path: str) -> Errors:
    additional = schema.get("additionalProperties")
    if additional is None:
        return []
    at = f"{path}.additionalProperties"
    faults = [forbidden(at, "must not be used at the root")] if level is ROOT else []
    if isinstance(additional, Mapping):
        faults += _invariants(additional, FIELD, at)
    if schema.get(EMBEDDED):
        faults.append(forbidden(at, f"must not be used if {EMBEDDED} is set"))
    return faults


def _extension_faults(schema: Schema, path: str) -> Errors:
    if not schema.get(INT_OR_STRING):
        return []
    why = f"must be false if {INT_OR_STRING} is true"
    return [invalid(f"{path}.{name}", True, why) for name in (PRESERVE, EMBEDDED) if schema.get(name)]


def _type_faults(schema: Schema, level: str, path: str) -> Errors:
    type_, at = schema.get("type") or "", f"{path}.type"
    faults: Errors = []
    if schema.get(EMBEDDED) and type_ != "object":
        why = f"must be object if {EMBEDDED} is true"
        faults.append(invalid(at, type_, why) if type_ else required(at, why))
    elif not type_ and not schema.get(INT_OR_STRING) and not schema.get(PRESERVE):
        faults.append(required(at, f"must not be empty {level}"))
    if level is ROOT and type_ and type_ != "object":
        faults.append(invalid(at, type_, "must be object at the root"))
    return faults


def _head_faults(schema: Schema, level: str, path: str) -> Errors:
    """kind, apiVersion and metadata of resources."""
    checked = level is ROOT or bool(schema.get(EMBEDDED))
    properties = schema.get("properties") or {}
    faults: Errors = []
    for name in ("kind", "apiVersion"):
        if checked and name in properties and (properties[name].get("type") or "") != "string":
            at = f"{key(f'{path}.properties', name)}.type"
            faults.append(invalid(at, properties[name].get("type") or "", "must be string"))
    metadata = properties.get("metadata")
    if metadata is None:
        return faults
    at = key(f"{path}.properties", "metadata")
    if checked and (metadata.get("type") or "") != "object":
        faults.append(invalid(f"{at}.type", metadata.get("type") or "", "must be object"))
    if level is ROOT and not _is_plain_metadata(metadata):
        why = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        faults.append(forbidden(at, why))
    return faults


def _is_plain_metadata(metadata: Schema) -> bool:
    others = {name for name, value in metadata.items() if value not in (None, False, "", [], {})}
    names = set(metadata.get("properties") or {})
    return others <= {"type", "default", "properties"} and names <= {"name", "generateName"}


def _says_int_or_string(schema: Schema) -> bool:
    return schema.get("anyOf") == INT_OR_STRING_TYPES


def _first_says_so(schema: Schema) -> bool:
    first: Sequence[Schema] = schema.get("allOf") or ()
    return bool(first) and first[0].get("anyOf") == INT_OR_STRING_TYPES


def _value_faults(schema: Schema, path: str, *, skip_any: bool = False, skip_first: bool = False) -> Errors:
    faults: Errors = []
    for index, nested in enumerate(() if skip_any else schema.get("anyOf") or ()):
        faults += _nested_faults(nested, f"{path}.anyOf[{index}]")
    for index, nested in enumerate(schema.get("allOf") or ()):
        faults += _nested_faults(nested, f"{path}.allOf[{index}]", skip_any=skip_first and index == 0)
    for index, nested in enumerate(schema.get("oneOf") or ()):
        faults += _nested_faults(nested, f"{path}.oneOf[{index}]")
    if schema.get("not") is not None:
        faults += _nested_faults(schema["not"], f"{path}.not")
    if pattern := schema.get("pattern"):
        if error := Pattern(pattern).error:
            why = f"must be a valid regular expression, but isn't: {error}"
            faults.append(invalid(f"{path}.pattern", pattern, why))
    return faults


def _nested_faults(schema: Schema, path: str, *, skip_any: bool = False) -> Errors:
    faults = _value_faults(schema, path, skip_any=skip_any)
    if isinstance(schema.get("items"), Mapping):
        faults += _nested_faults(schema["items"], f"{path}.items")
    properties = schema.get("properties") or {}
    for name, inside in properties.items():
        faults += _nested_faults(inside, key(f"{path}.properties", name))
    for name, why in NESTED:
        if _is_set(schema, name):
            faults.append(forbidden(f"{path}.{name}", why))
    if "metadata" in properties:
        faults.append(forbidden(key(f"{path}.properties", "metadata"), "must not be specified in a nested context"))
    return faults


def _is_set(schema: Schema, name: str) -> bool:
    value = schema.get(name)
    if name in ("default", LIST_TYPE, MAP_TYPE):
        return value is not None
    return bool(value) or (name == "additionalProperties" and isinstance(value, Mapping))


def _combined(validation: Schema, schema: Schema | None, at: str, named: str) -> Errors:
    """Fields that value validations name must be fields of the schema."""
    if schema is None:
        return [required(at, f"because it is defined in {named}")]
    faults: Errors = []
    if validation.get("not") is not None:
        faults += _nested_combined(validation["not"], schema, at, f"{named}.not")
    for name in ("allOf", "anyOf", "oneOf"):
        for index, nested in enumerate(validation.get(name) or ()):
            faults += _nested_combined(nested, schema, at, f"{named}.{name}[{index}]")
    return faults


def _nested_combined(validation: Schema, schema: Schema | None, at: str, named: str) -> Errors:
    if schema is None:
        return [required(at, f"because it is defined in {named}")]
    faults = _combined(validation, schema, at, named)
    if isinstance(validation.get("items"), Mapping):
        items = schema.get("items")
        faults += _nested_combined(validation["items"], items, join(at, "items"), f"{named}.items")
    own = schema.get("properties") or {}
    for name, inside in (validation.get("properties") or {}).items():
        there, here = key(f"{named}.properties", name), key(f"{at}.properties", name)
        if name in own:
            faults += _nested_combined(inside, own[name], here, there)
        else:
            faults.append(required(here, f"because it is defined in {there}"))
    return faults
