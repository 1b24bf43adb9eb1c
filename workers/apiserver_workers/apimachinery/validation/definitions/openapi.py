"""Schemas of custom resources: what may be said in them (validation.go: ValidateCustomResourceDefinitionOpenAPISchema).

Upstream walks properties in no order; here they are walked by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from apiserver_workers.apimachinery.structural.field_paths import FieldPathError, field_path
from apiserver_workers.apimachinery.structural.model import (
    EMBEDDED,
    LIST_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    PRESERVE,
    RULES,
    StructuralError,
    structural_of,
)
from apiserver_workers.apimachinery.structural.pruning import META_FIELDS
from apiserver_workers.apimachinery.validation.definitions.internal import Schema
from apiserver_workers.apimachinery.validation.definitions.options import TYPES, Strictness, map_key_faults
from apiserver_workers.apimachinery.validation.definitions.rule_costs import RuleScope, rule_faults
from apiserver_workers.apimachinery.validation.field import Errors, forbidden, invalid, key, not_supported, required

REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
LIST_TYPES, MAP_TYPES = ("atomic", "set", "map"), ("atomic", "granular")
UNSUPPORTED = (*("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"),)
_NEWLINES = re.compile(r"[\n\r]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a schema a schema stands. `uncorrelated` is the path of the one around whose values have no old ones."""

    path: str
    scope: RuleScope | None
    root: bool = False
    defaults: bool = True
    why_no_defaults: str = ""
    in_metadata: bool = False
    uncorrelated: str | None = None

    def inner(self, path: str, scope: RuleScope | None = None) -> Place:
        """The place of a schema inside of this one."""
        return replace(self, path=path, scope=scope, root=False)

    def without_defaults(self, why: str) -> Place:
        return replace(self, defaults=False, why_no_defaults=why)

    def without_old(self) -> Place:
        """Of two such schemas the outer one is named."""
        return self if self.uncorrelated is not None else replace(self, uncorrelated=self.path)


@dataclass(slots=True)
class Found:
    """Faults of schemas and faults of rules: rules are not looked at where schemas at or below them are wrong."""

    schema: Errors
    rules: Errors

    def add(self, other: Found) -> None:
        self.schema += other.schema
        self.rules += other.rules


class OpenAPIValidation:
    """The validation of one schema. `any_cost`: its rules were there before."""

    def __init__(self, strictness: Strictness, *, any_cost: bool) -> None:
        self._strictness = strictness
        self._any_cost = any_cost

    def faults(self, schema: Schema, path: str, scope: RuleScope | None) -> Errors:
        """All faults; `scope` is None where rules are not to be looked at."""
        found = self._look(schema, Place(path, scope, root=True))
        return found.schema + found.rules

    def _look(self, schema: Schema, place: Place) -> Found:
        found = Found(self._standard_faults(schema, place), [])
        if schema.get("uniqueItems"):
            why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
            found.schema.append(forbidden(f"{place.path}.uniqueItems", why))
        self._look_at_additional(schema, place, found)
        self._look_at_properties(schema, place, found)
        self._look_at_combined(schema, place, found)
        self._look_at_items(schema, place, found)
        found.schema += self._extension_faults(schema, place.path)
        if self._strictness.map_keys:
            found.schema += map_key_faults(schema, place.path)
        for index, rule in enumerate(schema.get(RULES) or ()):
            found.schema += _rule_text_faults(rule, schema, f"{place.path}.{RULES}[{index}]")
        if schema.get(RULES) and not found.schema and place.scope is not None:
            found.rules += rule_faults(
                place.scope, place.path, self._strictness, any_cost=self._any_cost, uncorrelated=place.uncorrelated
            )
        return found

    def _look_at_additional(self, schema: Schema, place: Place, found: Found) -> None:
        additional = schema.get("additionalProperties")
        if additional is None:
            return
        path = f"{place.path}.additionalProperties"
        if schema.get("properties") and additional is not True:
            found.schema.append(forbidden(path, "additionalProperties and properties are mutual exclusive"))
        if not isinstance(additional, Mapping):
            return
        inner = place.inner(path)
        if place.scope is not None and place.scope.structural.additional is not None:
            inner = place.inner(path, place.scope.element(place.scope.structural.additional))
        if place.in_metadata:
            inner = inner.without_defaults("inside additionalProperties applying to object metadata")
        found.add(self._look(additional, inner))

    def _look_at_properties(self, schema: Schema, place: Place, found: Found) -> None:
        properties = schema.get("properties") or {}
        outer = place
        if schema.get(MAP_TYPE) not in (None, *MAP_TYPES):
            outer = place.without_old()
        resource = place.root or bool(schema.get(EMBEDDED))
        for name in sorted(properties):
            scope = None if place.scope is None else place.scope.property(name)
            inner = outer.inner(key(f"{place.path}.properties", name), scope)
            if resource and name in META_FIELDS:
                inner = replace(inner, in_metadata=True)
                if place.root:
                    inner = inner.without_defaults(f"in top-level {name}")
            found.add(self._look(properties[name], inner))

    def _look_at_combined(self, schema: Schema, place: Place, found: Found) -> None:
        """Rules are not compiled here: structural schemas have none."""
        if isinstance(schema.get("not"), Mapping):
            found.add(self._look(schema["not"], place.inner(f"{place.path}.not")))
        for name in ("allOf", "oneOf", "anyOf"):
            for index, nested in enumerate(schema.get(name) or ()):
                found.add(self._look(nested, place.inner(f"{place.path}.{name}[{index}]")))
        for name, nested in sorted((schema.get("definitions") or {}).items()):
            found.add(self._look(nested, place.inner(key(f"{place.path}.definitions", name))))
        for name, nested in sorted((schema.get("dependencies") or {}).items()):
            if isinstance(nested, Mapping):
                found.add(self._look(nested, place.inner(key(f"{place.path}.dependencies", name))))

    def _look_at_items(self, schema: Schema, place: Place, found: Found) -> None:
        items = schema.get("items")
        if items is None:
            return
        outer = place if schema.get(LIST_TYPE) == "map" else place.without_old()
        if isinstance(items, Mapping):
            inner = outer.inner(f"{place.path}.items")
            if place.scope is not None and place.scope.structural.items is not None:
                inner = outer.inner(f"{place.path}.items", place.scope.element(place.scope.structural.items))
            found.add(self._look(items, inner))
            return
        for index, one in enumerate(items):
            found.add(self._look(one, outer.inner(f"{place.path}.items[{index}]")))

    def _standard_faults(self, schema: Schema, place: Place) -> Errors:
        """specStandardValidatorV3.validate."""
        path, type_ = place.path, schema.get("type") or ""
        faults: Errors = []
        if self._strictness.types and type_ and type_ not in TYPES:
            faults.append(not_supported(f"{path}.type", type_, TYPES))
        if schema.get("default") is not None and not place.defaults:
            faults.append(forbidden(f"{path}.default", f"must not be set {place.why_no_defaults}".rstrip()))
        for name in UNSUPPORTED:
            if _is_given(schema, name):
                faults.append(forbidden(f"{path}.{name}", f"{name} is not supported"))
        if type_ == "null":
            faults.append(forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative"))
        if isinstance(schema.get("items"), list) and schema["items"]:
            faults.append(forbidden(f"{path}.items", "items must be a schema object and not an array"))
        if place.in_metadata and schema.get(EMBEDDED):
            faults.append(forbidden(f"{path}.{EMBEDDED}", "must not be used inside of resource meta"))
        return faults

    def _extension_faults(self, schema: Schema, path: str) -> Errors:
        faults: Errors = []
        if schema.get(PRESERVE) is False:
            faults.append(invalid(f"{path}.{PRESERVE}", False, "must be true or undefined"))
        map_type, list_type = schema.get(MAP_TYPE), schema.get(LIST_TYPE)
        if map_type is not None:
            faults += _needs_type(schema, "object", MAP_TYPE, path)
            if map_type not in MAP_TYPES:
                faults.append(not_supported(f"{path}.{MAP_TYPE}", map_type, MAP_TYPES))
        if list_type is not None:
            wrong = _needs_type(schema, "array", LIST_TYPE, path)
            faults += wrong
            if not wrong and list_type == "set" and self._strictness.atomic_sets:
                faults += _set_faults(schema, path)
            if list_type not in LIST_TYPES:
                faults.append(not_supported(f"{path}.{LIST_TYPE}", list_type, LIST_TYPES))
        if schema.get(LIST_KEYS):
            why = f"must be map if {LIST_KEYS} is non-empty"
            if list_type is None:
                faults.append(required(f"{path}.{LIST_TYPE}", why))
            elif list_type != "map":
                faults.append(invalid(f"{path}.{LIST_TYPE}", list_type, why))
        return faults + (_map_faults(schema, path) if list_type == "map" else [])


def _is_given(schema: Schema, name: str) -> bool:
    value = schema.get(name)
    return value is not None if name in ("additionalItems", "$ref", "dependencies") else bool(value)


def _needs_type(schema: Schema, wanted: str, extension: str, path: str) -> Errors:
    type_ = schema.get("type") or ""
    if type_ == wanted:
        return []
    why = f"must be {wanted} if {extension} is specified"
    return [invalid(f"{path}.type", type_, why) if type_ else required(f"{path}.type", why)]


def _set_faults(schema: Schema, path: str) -> Errors:
    """Items of sets are units."""
    items = schema.get("items")
    if not isinstance(items, Mapping):
        return []
    why = f"must be atomic as item of a list with {LIST_TYPE}=set"
    type_, list_type = items.get("type"), items.get(LIST_TYPE)
    if type_ == "array" and list_type not in (None, "atomic"):
        return [invalid(f"{path}.items.{LIST_TYPE}", list_type, why)]
    if type_ == "object" and items.get(MAP_TYPE) != "atomic":
        return [invalid(f"{path}.items.{MAP_TYPE}", list_type, why)]  # upstream shows the list's type
    return []


def _map_faults(schema: Schema, path: str) -> Errors:
    keys, items = schema.get(LIST_KEYS) or [], schema.get("items")
    faults: Errors = []
    if not keys:
        faults.append(required(f"{path}.{LIST_KEYS}", f"must not be empty if {LIST_TYPE} is map"))
    if items is None:
        return [*faults, required(f"{path}.items", f"must have a schema if {LIST_TYPE} is map")]
    if not isinstance(items, Mapping):
        return [*faults, invalid(f"{path}.items", items, f"must only have a single schema if {LIST_TYPE} is map")]
    type_ = items.get("type") or ""
    if type_ != "object":
        return [*faults, invalid(f"{path}.items.type", type_, f"must be object if parent array's {LIST_TYPE} is map")]
    properties = items.get("properties") or {}
    seen: set[str] = set()
    for name in keys:
        if name not in properties:
            faults.append(invalid(f"{path}.{LIST_KEYS}", keys, "entries must all be names of item properties"))
        elif properties[name].get("type") in ("array", "object"):
            at = f"{key(f'{path}.items.properties', name)}.type"
            faults.append(invalid(at, type_, f"must be a scalar type if parent array's {LIST_TYPE} is map"))
        if name in seen:
            faults.append(invalid(f"{path}.{LIST_KEYS}", keys, "must not contain duplicate entries"))
        seen.add(name)
    return faults


def _rule_text_faults(rule: Schema, schema: Schema, path: str) -> Errors:
    """Faults that need no compiler."""
    given: dict[str, str] = {
        name: rule.get(name) or "" for name in ("rule", "message", "messageExpression", "fieldPath")
    }
    text, message = given["rule"].strip(), given["message"].strip()
    faults: Errors = []
    if not text:
        faults.append(required(f"{path}.rule", "rule is not specified"))
    elif given["message"] and not message:
        faults.append(invalid(f"{path}.message", given["message"], "must be non-empty if specified"))
    elif _NEWLINES.search(message):
        faults.append(invalid(f"{path}.message", given["message"], "must not contain line breaks"))
    elif _NEWLINES.search(text) and not message:
        faults.append(required(f"{path}.message", "message must be specified if rule contains line breaks"))
    if given["messageExpression"] and not given["messageExpression"].strip():
        faults.append(required(f"{path}.messageExpression", "messageExpression must be non-empty if specified"))
    reason = rule.get("reason")
    if reason is not None and reason not in REASONS:
        faults.append(not_supported(f"{path}.reason", reason, REASONS))
    return faults + _field_path_faults(given["fieldPath"], schema, f"{path}.fieldPath")


def _field_path_faults(text: str, schema: Schema, path: str) -> Errors:
    faults: Errors = []
    if text and not text.strip():
        faults.append(invalid(path, text, "must be non-empty if specified"))
    if _NEWLINES.search(text):
        faults.append(invalid(path, text, "must not contain line breaks"))
    if text and not _leads_somewhere(text, schema):
        faults.append(invalid(path, text, "must be a valid path"))
    return faults


def _leads_somewhere(text: str, schema: Any) -> bool:
    try:
        structural = structural_of(schema)
    except StructuralError:
        return True
    try:
        field_path(text, structural)
    except FieldPathError:
        return False
    return True
