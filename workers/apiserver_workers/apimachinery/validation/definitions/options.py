"""How strict the validation of a definition is: what was wrong before may stay so (validation.go: validationOptions)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver_workers.apimachinery.structural.model import (
    LIST_KEYS,
    LIST_TYPE,
    MAP_TYPE,
    StructuralError,
    structural_of,
)
from apiserver_workers.apimachinery.validation.definitions.conversion import REVIEW_VERSIONS, bundle_faults
from apiserver_workers.apimachinery.validation.definitions.default_values import has_unpruned
from apiserver_workers.apimachinery.validation.definitions.internal import (
    Object,
    Schema,
    any_node,
    has_everywhere,
    internal_spec,
    nodes,
    schemas,
)
from apiserver_workers.apimachinery.validation.definitions.structure import structure_faults
from apiserver_workers.apimachinery.validation.field import Errors, forbidden, key, required

TYPES = ("array", "boolean", "integer", "number", "object", "string")
MAX_SELECTABLE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Strictness:
    """What is demanded. `rules` and `messages` are expressions that were there before; `unchanged` names the versions whose
    schemas are as they were; `many_fields` those that may keep too many selectable fields ("" is all versions).
    """

    minor: int
    review_version: bool = True
    immutable_names: bool = False
    schema: bool = True
    types: bool = True
    structural: bool = True
    pruned_defaults: bool = True
    atomic_sets: bool = True
    map_keys: bool = True
    any_bundle: bool = True
    rules: frozenset[str] = frozenset()
    messages: frozenset[str] = frozenset()
    unchanged: frozenset[str] = frozenset()
    many_fields: frozenset[str] = field(default_factory=frozenset)


def strictness_of_update(new: Object, old: Object, minor: int) -> Strictness:
    """What is demanded of a change of a definition."""
    spec, before = internal_spec(new["spec"]), internal_spec(old["spec"])
    established = is_established(old)
    versions = (before.get("conversion") or {}).get("conversionReviewVersions") or []
    return Strictness(
        minor=minor,
        review_version=not versions or any(version in REVIEW_VERSIONS for version in versions),
        immutable_names=established,
        schema=has_everywhere(before),
        types=not any_node(before, lambda node: bool(node.get("type")) and node["type"] not in TYPES),
        structural=not any(map(_is_not_structural, schemas(before))),
        pruned_defaults=not any(map(_has_unpruned, schemas(before))),
        atomic_sets=not any_node(before, _is_set_of_parts),
        map_keys=not any_node(before, lambda node: bool(map_key_faults(node, ""))),
        any_bundle=not established or _has_bad_bundle(before),
        rules=_expressions(before, "rule"),
        messages=_expressions(before, "messageExpression"),
        unchanged=frozenset(_unchanged(new["spec"], old["spec"])),
        many_fields=frozenset(_too_many_fields(spec, before)),
    )


def is_established(definition: Object) -> bool:
    """Whether its condition Established is true."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions)


def _is_not_structural(schema: Schema) -> bool:
    try:
        structural_of(schema)
    except StructuralError:
        return True
    return bool(structure_faults(schema, ""))


def _has_unpruned(schema: Schema) -> bool:
    if _is_not_structural(schema):
        return False
    return has_unpruned(structural_of(schema))


def _is_set_of_parts(schema: Schema) -> bool:
    """A set whose items are no units: lists that are not atomic, objects that are not."""
    items = schema.get("items")
    if schema.get(LIST_TYPE) != "set" or not isinstance(items, Mapping):
        return False
    if items.get("type") == "array":
        return items.get(LIST_TYPE) not in (None, "atomic")
    return items.get("type") == "object" and items.get(MAP_TYPE) != "atomic"


def map_key_faults(schema: Schema, path: str) -> Errors:
    """validateMapListKeysMapSet: items of sets and maps are no nulls, and keys of maps are always there."""
    items, list_type = schema.get("items"), schema.get(LIST_TYPE)
    if list_type not in ("set", "map") or not isinstance(items, Mapping):
        return []
    faults: Errors = []
    if items.get("nullable"):
        why = f"cannot be nullable when {LIST_TYPE} is {list_type}"
        faults.append(forbidden(f"{path}.items.nullable", why))
    if list_type == "set":
        return faults
    needed, properties = items.get("required") or (), items.get("properties") or {}
    for name in schema.get(LIST_KEYS) or ():
        if name not in properties:
            continue
        at, known = key(f"{path}.items.properties", name), properties[name]
        if name not in needed and known.get("default") is None:
            why = f"this property is in {LIST_KEYS}, so it must have a default or be a required property"
            faults.append(required(f"{at}.default", why))
        if known.get("nullable"):
            faults.append(forbidden(f"{at}.nullable", f"this property is in {LIST_KEYS}, so it cannot be nullable"))
    return faults


def _has_bad_bundle(spec: Object) -> bool:
    client = (spec.get("conversion") or {}).get("webhookClientConfig") or {}
    bundle = client.get("caBundle")
    return bool(bundle and bundle_faults(bundle, ""))


def _expressions(spec: Object, name: str) -> frozenset[str]:
    rules: list[Any] = []
    for schema in schemas(spec):
        for node in nodes(schema):
            rules += node.get("x-kubernetes-validations") or ()
    return frozenset(rule[name] for rule in rules if rule.get(name))


def _unchanged(new: Object, old: Object) -> list[str]:
    before = {version["name"]: version.get("schema") for version in old.get("versions") or ()}
    missing = object()
    versions = new.get("versions") or ()
    return [one["name"] for one in versions if before.get(one["name"], missing) == one.get("schema")]


def _too_many_fields(new: Object, old: Object) -> list[str]:
    found = [""] if _keeps_too_many(new, old) else []
    before = {version["name"]: version for version in old["versions"]}
    return found + [
        version["name"]
        for version in new["versions"]
        if version["name"] in before and _keeps_too_many(version, before[version["name"]])
    ]


def _keeps_too_many(new: Object, old: Object) -> bool:
    fields = old.get("selectableFields") or ()
    return len(fields) > MAX_SELECTABLE and new.get("selectableFields") == fields
