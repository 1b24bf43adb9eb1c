"""OpenAPI schemas as CEL types: what a rule may select, and how large values of the schema can be.

A schema becomes a Declared. A schema without a type, or with a part without one, becomes nothing: rules cannot see it.
Sizes are upper bounds for the static cost; they count what a request of 3 MiB can hold at most.

Upstream: apiserver/pkg/cel/common/schemas.go, apiserver/pkg/cel/types.go, apiserver/pkg/cel/escaping.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, Type, list_of, map_of, struct

Schema = Mapping[str, Any]

LARGEST_REQUEST = 3 * 1024 * 1024
SELF_TYPE = "selfType"

_STRING_FORMATS = {
    "duration": (DURATION, 32, 3),
    "date": (TIMESTAMP, 12, 12),
    "date-time": (TIMESTAMP, 32, 21),
}
_SCALARS = {"boolean": (BOOL, 4), "number": (DOUBLE, 1), "integer": (INT, 1)}


@dataclass(slots=True)
class DeclaredField:
    """A field of an object: its name in JSON (not escaped) and what it holds."""

    name: str
    declared: Declared


@dataclass(slots=True)
class Declared:
    """A type with what its schema says.

    `largest` is the greatest size (characters, bytes, items, entries), 0 for scalars and objects with properties;
    `smallest` is the least number of bytes in JSON. `fields` (by their escaped names) is None for what is no object with
    properties; `element` is set for lists and maps, `key` for maps. `entries` says that a path names the map's entries as if
    they were fields. `format`, `list_type` and `list_keys` are the schema's.
    """

    type: Type
    smallest: int
    largest: int = 0
    fields: dict[str, DeclaredField] | None = None
    key: Declared | None = None
    element: Declared | None = None
    entries: bool = False
    format: str = ""
    list_type: str = ""
    list_keys: tuple[str, ...] = ()
    structs: dict[str, Declared] = field(default_factory=dict, repr=False)

    def at(self, path: tuple[str, ...]) -> Declared | None:
        """What a path of field names, `@items`, `@values` and `@keys` leads to; None if nothing is declared there."""
        node: Declared | None = self
        for name in path:
            if node is None:
                return None
            node = node.step(name)
        return node

    def step(self, name: str) -> Declared | None:
        """What one part of a path leads to."""
        if name == "@items" or name == "@values":
            return self.element
        if name == "@keys":
            return self.key
        if self.fields is None or name not in self.fields:
            return self.element if self.entries else None
        return self.fields[name].declared


def declare(schema: Schema, *, root: bool = False, name: str = SELF_TYPE) -> Declared | None:
    """The type of a schema's values; None if rules cannot see them.

    `root` says that the schema is the root of a resource: apiVersion, kind and metadata are visible without being
    declared. `name` is the type's name, from which the names of the objects inside are made. The result's `structs`
    has every object type by its name.
    """
    structs: dict[str, Declared] = {}
    declared = _declare(schema, root, name, structs)
    if declared is not None:
        declared.structs = structs
    return declared


def _declare(schema: Schema, root: bool, name: str, structs: dict[str, Declared]) -> Declared | None:
    if schema.get("x-kubernetes-int-or-string"):
        return Declared(DYN, smallest=1, largest=_longest_int_or_string(schema))
    maker = _MAKERS.get(schema.get("type") or "")
    if root or schema.get("x-kubernetes-embedded-resource"):
        schema = _with_metadata(schema)
        maker = _MAKERS.get(schema.get("type") or "")
    if maker is None:
        return None
    return maker(schema, name, structs)


def _longest_int_or_string(schema: Schema) -> int:
    if schema.get("maxLength") is not None:
        return _count(schema["maxLength"]) * 4
    return LARGEST_REQUEST - 2


def _count(number: Any) -> int:
    return max(int(number), 0)


def _with_metadata(schema: Schema) -> Schema:
    """The schema with what every resource has; what it says itself of metadata is kept if it has all of that."""
    properties = dict(schema.get("properties") or {})
    if _has_metadata(properties):
        return schema
    text = {"type": "string"}
    properties["kind"] = text
    properties["apiVersion"] = text
    properties["metadata"] = {"type": "object", "properties": {"name": text, "generateName": text}}
    return {**schema, "properties": properties}


def _has_metadata(properties: Schema) -> bool:
    metadata = properties.get("metadata") or {}
    inside = metadata.get("properties") or {}
    texts = [properties.get("kind"), properties.get("apiVersion"), inside.get("name"), inside.get("generateName")]
    return metadata.get("type") == "object" and all(text and text.get("type") == "string" for text in texts)


def _array(schema: Schema, name: str, structs: dict[str, Declared]) -> Declared | None:
    items = schema.get("items")
    if items is None:
        return None
    element = _declare(items, False, f"{name}.@idx", structs)
    if element is None:
        return None
    largest = (LARGEST_REQUEST - 2) // (element.smallest + 1)
    if schema.get("maxItems") is not None:
        largest = _count(schema["maxItems"])
    return Declared(
        list_of(element.type),
        smallest=2,
        largest=largest,
        element=element,
        list_type=schema.get("x-kubernetes-list-type") or "",
        list_keys=tuple(schema.get("x-kubernetes-list-map-keys") or ()),
    )


def _object(schema: Schema, name: str, structs: dict[str, Declared]) -> Declared | None:
    additional = schema.get("additionalProperties")
    if isinstance(additional, Mapping):
        return _map(schema, additional, name, structs)
    required = set(schema.get("required") or ())
    fields: dict[str, DeclaredField] = {}
    smallest = 2
    for property_name, inside in (schema.get("properties") or {}).items():
        escaped = escape(property_name)
        declared = _declare(inside, False, f"{name}.{escaped}", structs)
        if declared is None:
            continue
        if escaped is not None:
            fields[escaped] = DeclaredField(property_name, declared)
        if property_name in required and inside.get("default") is None:
            smallest += len(property_name.encode()) + declared.smallest + 4
    made = Declared(struct(name), smallest, fields=fields)
    structs[name] = made
    return made


def _map(schema: Schema, values: Schema, name: str, structs: dict[str, Declared]) -> Declared | None:
    element = _declare(values, False, f"{name}.@elem", structs)
    if element is None:
        return None
    largest = (LARGEST_REQUEST - 2) // (element.smallest + 6)
    if schema.get("maxProperties") is not None:
        largest = _count(schema["maxProperties"])
    # Keys have no bound of their own: upstream counts them as empty.
    key = Declared(STRING, smallest=2)
    return Declared(map_of(STRING, element.type), smallest=2, largest=largest, key=key, element=element)


def _string(schema: Schema, name: str, structs: dict[str, Declared]) -> Declared:
    text_format = schema.get("format") or ""
    known = _STRING_FORMATS.get(text_format)
    if known is not None:
        return Declared(known[0], smallest=known[2], largest=known[1], format=text_format)
    longest = schema.get("maxLength")
    if text_format == "byte":
        largest = LARGEST_REQUEST - 2 if longest is None else _count(longest)
        return Declared(BYTES, smallest=2, largest=largest, format=text_format)
    return Declared(STRING, smallest=2, largest=_longest_string(schema), format=text_format)


def _longest_string(schema: Schema) -> int:
    if schema.get("maxLength") is not None:
        # A character takes four bytes at most.
        return _count(schema["maxLength"]) * 4
    values = schema.get("enum")
    if values:
        return max((len(value.encode()) for value in values if isinstance(value, str)), default=0)
    return LARGEST_REQUEST - 2


def _scalar(schema: Schema, name: str, structs: dict[str, Declared]) -> Declared:
    scalar, smallest = _SCALARS[schema["type"]]
    return Declared(scalar, smallest)


_MAKERS = {
    "array": _array,
    "object": _object,
    "string": _string,
    "boolean": _scalar,
    "number": _scalar,
    "integer": _scalar,
}


# Names

KEYWORDS = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_UNESCAPES = {"underscores": "__", "dot": ".", "dash": "-", "slash": "/"}
_NAME = re.compile(r"[A-Za-z_.\-/][A-Za-z0-9_.\-/]*")
_ESCAPED = re.compile(r"__|[.\-/]")
_UNESCAPED = re.compile(r"__([^_]+)__")


def escape(name: str) -> str | None:
    """A property's name as a CEL identifier; None if it has characters that have no escape."""
    if name in KEYWORDS:
        return f"__{name}__"
    if _NAME.fullmatch(name) is None:
        return None
    return _ESCAPED.sub(lambda found: _ESCAPES[found.group()], name)


def unescape(name: str) -> str | None:
    """The property's name that an identifier stands for; None if it has an unknown escape."""
    parts: list[str] = []
    done = 0
    for found in _UNESCAPED.finditer(name):
        inside = found[1]
        text = _UNESCAPES.get(inside)
        if text is None and inside in KEYWORDS and found[0] == name:
            text = inside
        if text is None:
            return None
        parts.append(name[done : found.start()] + text)
        done = found.end()
    return "".join(parts) + name[done:]
