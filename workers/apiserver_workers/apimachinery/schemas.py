"""What the schema package says of a minor version: kinds, properties and their extensions, without the prose.

The package ships Kubernetes' own definitions, 1.6 MB a version and mostly descriptions; they are read once and only
what the type model needs is kept.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from apiserver_workers.apimachinery.definitions import own_definitions

_REF = "#/$defs/"
_FORMATS = {"int32": "int32", "int64": "int64", "double": "double", "byte": "bytes"}
_TYPES = {"string": "string", "integer": "int64", "number": "double", "boolean": "bool"}
_NOTHING: dict[str, Any] = {}


class Schemas:
    """One minor version's definitions, trimmed."""

    def __init__(self, definitions: dict[str, dict[str, Any]]) -> None:
        self.kinds: dict[tuple[str, str, str], str] = {}
        self.groups: dict[str, str] = {}
        self._properties: dict[str, dict[str, str]] = {}
        self._extensions: dict[tuple[str, str], dict[str, Any]] = {}
        self._required: dict[str, frozenset[str]] = {}
        self._map_types: dict[str, str] = {}
        for name, definition in definitions.items():
            self.add(name, definition)

    def properties(self, name: str) -> dict[str, str] | None:
        """The type of each property of a definition in the type model's notation; None: no such definition."""
        return self._properties.get(name)

    def extensions(self, name: str, property_name: str) -> dict[str, Any]:
        """The x-kubernetes- extensions of a property."""
        return self._extensions.get((name, property_name), _NOTHING)

    def is_required(self, name: str, property_name: str) -> bool:
        return property_name in self._required.get(name, ())

    def map_type(self, name: str) -> str:
        return self._map_types.get(name, "")

    def add(self, name: str, definition: dict[str, Any]) -> None:
        """One definition more."""
        properties = definition.get("properties")
        if properties is not None:
            self._properties[name] = {key: notation(schema) for key, schema in properties.items()}
            for key, schema in properties.items():
                extensions = {word: value for word, value in schema.items() if word.startswith("x-kubernetes-")}
                if extensions:
                    self._extensions[name, key] = extensions
        if "required" in definition:
            self._required[name] = frozenset(definition["required"])
        if "x-kubernetes-map-type" in definition:
            self._map_types[name] = definition["x-kubernetes-map-type"]
        kinds = definition.get("x-kubernetes-group-version-kind", ())
        for entry in kinds:
            self.kinds.setdefault((entry["group"], entry["version"], entry["kind"]), name)
        if len(kinds) == 1:
            self.groups.setdefault(name.split(".")[-3], kinds[0]["group"])


def notation(schema: dict[str, Any]) -> str:
    """A property's type as the type model writes it: `string`, `[]int32`, `{}io.k8s...Quantity`."""
    if "$ref" in schema:
        return schema["$ref"].removeprefix(_REF)
    if "items" in schema:
        return "[]" + notation(schema["items"])
    if "additionalProperties" in schema:
        return "{}" + notation(schema["additionalProperties"])
    types = schema.get("type", ())
    name = types if isinstance(types, str) else next((word for word in types if word != "null"), "")
    return _FORMATS.get(schema.get("format", "")) or _TYPES.get(name, "raw")


def closure(roots: Iterable[str], of: Mapping[str, dict[str, Any]]) -> list[str]:
    """The names of these definitions, and of all that they refer to, in order; unknown ones are left out."""
    found: set[str] = set()
    waiting = [root for root in roots if root in of]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [ref for ref in _references(of[name]) if ref not in found]
    return sorted(found)


def _references(schema: dict[str, Any]) -> Iterator[str]:
    """The definitions that a schema refers to."""
    for value in (schema, *schema.get("properties", {}).values()):
        yield from _references_of(value)


def _references_of(value: dict[str, Any]) -> Iterator[str]:
    if "$ref" in value:
        yield value["$ref"].removeprefix(_REF)
    for inner in ("items", "additionalProperties"):
        if isinstance(value.get(inner), dict):
            yield from _references_of(value[inner])


def schema_folder(minor: str) -> Path:
    """The folder of the schema package for that minor version. Raises LookupError when it ships none."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise LookupError("the package kubernetes-validate is not installed")
    folder = Path(spec.origin).parent / "kubernetes-json-schema" / f"v{minor}.0-local"
    if not folder.is_dir():
        raise LookupError(f"no schemas of Kubernetes {minor}: the schema package has no {folder.name}")
    return folder


def shipped_minors() -> list[str]:
    """The minor versions that the schema package knows, the oldest first."""
    folders = schema_folder("1.36").parent.glob("v1.*.0-local")
    return sorted((folder.name[1:].partition(".0-")[0] for folder in folders), key=lambda minor: int(minor[2:]))


def definitions(minor: str) -> dict[str, dict[str, Any]]:
    """All definitions of a minor version by name: the schema package's, and those of our own kinds. Raises LookupError."""
    package: dict[str, dict[str, Any]] = orjson.loads((schema_folder(minor) / "_definitions.json").read_bytes())[
        "$defs"
    ]
    return {**package, **own_definitions(package)}


def load_schemas(minor: str) -> Schemas:
    """The trimmed definitions of a minor version."""
    return Schemas(definitions(minor))
