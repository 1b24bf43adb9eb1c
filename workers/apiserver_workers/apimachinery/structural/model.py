"""Structural: a schema of a CustomResourceDefinition as the code that works on custom resources sees it.

Upstream: apiextensions-apiserver/pkg/apiserver/schema/structural.go, convert.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Schema = Mapping[str, Any]

MAX_DEPTH = 250  # levels of a schema; bounds all recursion over schemas and the values they describe

# What a structural schema cannot have, with the names that messages use.
UNSUPPORTED = {
    "id": "id",
    "$schema": "schema",
    "$ref": "$ref",
    "patternProperties": "patternProperties",
    "dependencies": "dependencies",
    "additionalItems": "additionalItems",
    "definitions": "definitions",
}
PRESERVE, EMBEDDED = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource"
INT_OR_STRING, RULES = "x-kubernetes-int-or-string", "x-kubernetes-validations"
LIST_TYPE, LIST_KEYS, MAP_TYPE = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"


class StructuralError(ValueError):
    """The schema cannot be read as a structural one; the text is upstream's."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Structural:
    """One node of a schema.

    `additional` is the schema of all other properties; `allows_additional` says that there may be others without a schema.
    `rules` are the node's x-kubernetes-validations; `raw` is the schema in JSON, with the value validations.
    """

    type: str = ""
    nullable: bool = False
    default: Any = None
    properties: Mapping[str, Structural] = field(default_factory=dict)
    items: Structural | None = None
    additional: Structural | None = None
    allows_additional: bool = False
    preserve: bool = False
    embedded: bool = False
    int_or_string: bool = False
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    map_type: str = ""
    rules: Sequence[Schema] = ()
    raw: Schema = field(default_factory=dict, repr=False)

    def as_root(self) -> Structural:
        """The node as the root of a resource, which has kind, apiVersion and metadata."""
        return self if self.embedded else replace(self, embedded=True)

    def child(self, name: str) -> Structural | None:
        """The schema of a property: its own, else that of all others."""
        found = self.properties.get(name)
        return self.additional if found is None else found


NOTHING = Structural()
ROOT = NOTHING.as_root()


def structural_of(schema: Schema, depth: int = 0) -> Structural:
    """A JSONSchemaProps, as JSON, as a structural schema. Raises StructuralError."""
    if depth > MAX_DEPTH:
        raise StructuralError(f"OpenAPIV3Schema must not be nested deeper than {MAX_DEPTH} levels")
    for name, shown in UNSUPPORTED.items():
        if schema.get(name):
            raise StructuralError(f"OpenAPIV3Schema '{shown}' is not supported")
    if schema.get(PRESERVE) is False:
        raise StructuralError(f"internal error: '{PRESERVE}' must be true or undefined")
    items, additional = schema.get("items"), schema.get("additionalProperties")
    if isinstance(items, list):
        raise StructuralError("OpenAPIV3Schema 'items' must be a schema, but is an array")
    return Structural(
        type=schema.get("type") or "",
        nullable=bool(schema.get("nullable")),
        default=schema.get("default"),
        properties={name: structural_of(of, depth + 1) for name, of in (schema.get("properties") or {}).items()},
        items=None if items is None else structural_of(items, depth + 1),
        additional=structural_of(additional, depth + 1) if isinstance(additional, Mapping) else None,
        allows_additional=additional is not None and additional is not False,
        preserve=bool(schema.get(PRESERVE)),
        embedded=bool(schema.get(EMBEDDED)),
        int_or_string=bool(schema.get(INT_OR_STRING)),
        list_type=schema.get(LIST_TYPE) or "",
        list_keys=tuple(schema.get(LIST_KEYS) or ()),
        map_type=schema.get(MAP_TYPE) or "",
        rules=schema.get(RULES) or (),
        raw=schema,
    )
