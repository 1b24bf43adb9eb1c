"""Versions and schemas as messages show them: upstream prints its internal structures, every field by its name in Go."""

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

Object = Mapping[str, Any]

# By their names in JSON and in Go, in the order of Go's struct.
SCHEMA_FIELDS = (
    *(("id", "ID"), ("$schema", "Schema"), ("$ref", "Ref"), ("description", "Description"), ("type", "Type")),
    *(("nullable", "Nullable"), ("format", "Format"), ("title", "Title"), ("default", "Default")),
    *(("maximum", "Maximum"), ("exclusiveMaximum", "ExclusiveMaximum"), ("minimum", "Minimum")),
    *(("exclusiveMinimum", "ExclusiveMinimum"), ("maxLength", "MaxLength"), ("minLength", "MinLength")),
    *(("pattern", "Pattern"), ("maxItems", "MaxItems"), ("minItems", "MinItems"), ("uniqueItems", "UniqueItems")),
    *(("multipleOf", "MultipleOf"), ("enum", "Enum"), ("maxProperties", "MaxProperties")),
    *(("minProperties", "MinProperties"), ("required", "Required"), ("items", "Items"), ("allOf", "AllOf")),
    *(("oneOf", "OneOf"), ("anyOf", "AnyOf"), ("not", "Not"), ("properties", "Properties")),
    *(("additionalProperties", "AdditionalProperties"), ("patternProperties", "PatternProperties")),
    *(("dependencies", "Dependencies"), ("additionalItems", "AdditionalItems"), ("definitions", "Definitions")),
    *(("externalDocs", "ExternalDocs"), ("example", "Example"), (PRESERVE, "XPreserveUnknownFields")),
    *((EMBEDDED, "XEmbeddedResource"), (INT_OR_STRING, "XIntOrString"), (LIST_KEYS, "XListMapKeys")),
    *((LIST_TYPE, "XListType"), (MAP_TYPE, "XMapType"), (RULES, "XValidations")),
)
_TEXTS = frozenset(("id", "$schema", "description", "type", "format", "title", "pattern"))
_FLAGS = frozenset(
    ("nullable", "exclusiveMaximum", "exclusiveMinimum", "uniqueItems", EMBEDDED, INT_OR_STRING),
)
_RULE_FIELDS = (
    *(("rule", "Rule", ""), ("message", "Message", ""), ("messageExpression", "MessageExpression", "")),
    *(("reason", "Reason", None), ("fieldPath", "FieldPath", ""), ("optionalOldSelf", "OptionalOldSelf", None)),
)


def shown_versions(versions: Sequence[Object]) -> list[Any]:
    """The versions of an internal spec."""
    return [_version(version) for version in versions]


def _version(version: Object) -> dict[str, Any]:
    holder = version.get("schema")
    return {
        "Name": version.get("name", ""),
        "Served": bool(version.get("served")),
        "Storage": bool(version.get("storage")),
        "Deprecated": bool(version.get("deprecated")),
        "DeprecationWarning": version.get("deprecationWarning"),
        "Schema": None if holder is None else {"OpenAPIV3Schema": _perhaps(holder.get("openAPIV3Schema"))},
        "Subresources": _subresources(version.get("subresources")),
        "AdditionalPrinterColumns": _capitals(version.get("additionalPrinterColumns")),
        "SelectableFields": _capitals(version.get("selectableFields")),
    }


def _subresources(found: Object | None) -> Any:
    if found is None:
        return None
    scale = found.get("scale")
    paths = ("specReplicasPath", "statusReplicasPath", "labelSelectorPath")
    shown = None if scale is None else {name[0].upper() + name[1:]: scale.get(name) for name in paths}
    return {"Status": found.get("status"), "Scale": shown}


def _capitals(items: Sequence[Object] | None) -> Any:
    if not items:
        return None
    return [{name[0].upper() + name[1:]: value for name, value in item.items()} for item in items]


def shown_schema(schema: Object) -> dict[str, Any]:
    """A schema with every field."""
    return {go_name: _value(name, schema.get(name)) for name, go_name in SCHEMA_FIELDS}


def shown_rule(rule: Object) -> dict[str, Any]:
    """A rule with every field."""
    return {go_name: rule.get(name) or empty for name, go_name, empty in _RULE_FIELDS}


def _perhaps(schema: Object | None) -> Any:
    return None if schema is None else shown_schema(schema)


def _value(name: str, value: Any) -> Any:
    if value is None:
        return "" if name in _TEXTS else False if name in _FLAGS else None
    if name in ("properties", "patternProperties", "definitions"):
        return {key: shown_schema(value[key]) for key in sorted(value)} or None
    if name in ("allOf", "anyOf", "oneOf"):
        return [shown_schema(one) for one in value] or None
    if name == "not":
        return shown_schema(value)
    if name == "items":
        many = isinstance(value, list)
        return {
            "Schema": None if many else shown_schema(value),
            "JSONSchemas": [shown_schema(one) for one in value] if many else None,
        }
    if name in ("additionalProperties", "additionalItems"):
        is_schema = isinstance(value, Mapping)
        return {"Allows": is_schema or bool(value), "Schema": shown_schema(value) if is_schema else None}
    if name == RULES:
        return [shown_rule(rule) for rule in value] or None
    return value or (None if isinstance(value, list) else value)
