"""Values that expressions make of types: `Object{…}` and `JSONPatch{…}` of mutating policies.

Upstream: K/cel/mutation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .equality import equal
from .failures import Failure, no_such_overload
from .text import show
from .values import MISSING, View


class ObjectValue(View):
    """An object of a mutating policy: its type (`Object.spec`) and its fields."""

    __slots__ = ("fields", "type_name")

    def __init__(self, type_name: str, fields: dict[str, Any]) -> None:
        self.type_name = type_name
        self.fields = fields

    def raw(self) -> Any:
        return self.fields

    def __len__(self) -> int:
        return len(self.fields)

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def find(self, key: Any) -> Any:
        return self.fields.get(key, MISSING)

    def equals(self, other: Any) -> bool:
        if not isinstance(other, ObjectValue) or other.type_name != self.type_name:
            raise no_such_overload()
        if self.fields.keys() != other.fields.keys():
            return False
        return all(equal(value, other.fields[key]) for key, value in self.fields.items())


class JSONPatch(ObjectValue):
    """One operation of a JSON patch."""

    __slots__ = ()


_WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)


def make(type_name: str, fields: dict[str, Any]) -> Any:
    """The value of `type_name{fields}`. Raises Failure."""
    if type_name == "JSONPatch":
        return JSONPatch(type_name, fields)
    if type_name == "Object" or type_name.startswith("Object."):
        return ObjectValue(type_name, fields)
    if type_name in _WRAPPERS:
        return fields.get("value")
    raise Failure(f"unknown type '{type_name}' with fields {show(fields)}")
