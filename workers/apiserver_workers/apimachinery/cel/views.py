"""Plain JSON seen by its schema.

Evaluation works on the decoded JSON itself. A `Shape` knows what the schema makes of a value: a string that is a
timestamp, an integer that is a double, a list that is a set. Where a program selects along declared fields, it walks
the JSON and converts only what it ends at. Where a list or an object leaves that path as a whole (it is compared, put
into a list, passed to a function), a view stands for it and converts what is taken out of it.

Upstream: K/cel/common/valuesunstructured.go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from . import conversions
from .equality import equal
from .failures import Failure, no_such_overload
from .schema import KEYWORDS, Declared
from .types import Form
from .values import MISSING, View, find, is_list, is_map, unwrap

_FORMATS: dict[str, Callable[[str], Any]] = {
    "duration": conversions.schema_duration,
    "date": conversions.schema_date,
    "date-time": conversions.schema_date_time,
    "byte": conversions.schema_bytes,
}


def _to_double(value: Any) -> Any:
    return float(value) if type(value) is int else value


class Shape:
    """What a schema makes of JSON values.

    `convert` makes a CEL value of JSON; None if both are the same. `fields` maps the names that expressions use to the
    JSON's names; None if the value is no object with properties. `element` is the shape of elements or of map values.
    """

    __slots__ = ("_declared", "_element", "_fields", "_reflexive", "convert", "is_struct", "list_keys", "list_type")

    def __init__(self, declared: Declared) -> None:
        self._declared = declared
        self._element: Shape | None = None
        self._fields: dict[str, tuple[str, Shape]] = {}
        self._reflexive: bool | None = None
        self.list_type = declared.list_type
        self.list_keys = declared.list_keys
        self.is_struct = declared.fields is not None
        self.convert = self._conversion()

    def _conversion(self) -> Callable[[Any], Any] | None:
        declared = self._declared
        if self.is_struct:
            return self._struct_view
        if declared.type.form is Form.LIST:
            plain = self.list_type in ("", "atomic") and self.element is not None and self.element.convert is None
            return None if plain else self._list_view
        if declared.type.form is Form.MAP:
            return self._map_view
        if declared.type.name == "double":
            return _to_double
        known = _FORMATS.get(declared.format)
        return None if known is None else _texts(known)

    def _struct_view(self, value: Any) -> Any:
        return StructView(value, self) if type(value) is dict else value

    def _map_view(self, value: Any) -> Any:
        return MapView(value, self) if type(value) is dict else value

    def _list_view(self, value: Any) -> Any:
        return ListView(value, self) if type(value) is list else value

    def wrap(self, value: Any) -> Any:
        """The CEL value of JSON. Raises Failure."""
        return value if self.convert is None or value is None else self.convert(value)

    @property
    def element(self) -> Shape | None:
        """The shape of a list's elements or of a map's values."""
        if self._element is None and self._declared.element is not None:
            self._element = Shape(self._declared.element)
        return self._element

    @property
    def is_list(self) -> bool:
        """Whether values are lists."""
        return self._declared.type.form is Form.LIST

    @property
    def is_reflexive(self) -> bool:
        """Whether a value surely equals itself; upstream compares a set's elements before and after their conversion."""
        if self._reflexive is None:
            self._reflexive = _is_reflexive(self._declared)
        return self._reflexive

    def field(self, name: str) -> tuple[str, Shape] | None:
        """The JSON's name and the shape of an object's field, None if it is not declared."""
        known = self._fields.get(name)
        if known is not None:
            return known
        fields = self._declared.fields or {}
        found = fields.get(name)
        if found is None and name in KEYWORDS:
            found = fields.get(f"__{name}__")
        if found is None:
            return None
        self._fields[name] = (found.name, Shape(found.declared))
        return self._fields[name]

    def names(self) -> list[tuple[str, str]]:
        """The names that expressions use for the fields, with the JSON's names."""
        return [(name, found.name) for name, found in (self._declared.fields or {}).items()]


def _is_reflexive(declared: Declared) -> bool:
    element = declared.element
    if element is not None:
        converted = declared.list_type == "set" and Shape(element).convert is not None
        return not converted and _is_reflexive(element)
    return all(_is_reflexive(inside.declared) for inside in (declared.fields or {}).values())


def _texts(convert: Callable[[str], Any]) -> Callable[[Any], Any]:
    return lambda value: convert(value) if type(value) is str else value


class StructView(View):
    """An object with properties. A field that is null is not there."""

    __slots__ = ("_shape", "value")

    def __init__(self, value: dict[str, Any], shape: Shape) -> None:
        self.value = value
        self._shape = shape

    def raw(self) -> Any:
        return self.value

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, in_json in self._shape.names() if in_json in self.value])

    def find(self, key: Any) -> Any:
        if type(key) is not str:
            raise no_such_overload()
        field = self._shape.field(key)
        if field is None:
            return MISSING
        value = self.value.get(field[0])
        return MISSING if value is None else field[1].wrap(value)

    def equals(self, other: Any) -> bool:
        if not is_map(other):
            raise no_such_overload()
        if len(self) != len(other):
            return False
        if type(other) is StructView and self._shape.is_reflexive and same_text(self.value, other.value):
            return True
        declared = {in_json: name for name, in_json in self._shape.names()}
        return all(self._same(key, value, declared.get(key), other) for key, value in self.value.items())

    def _same(self, key: str, value: Any, name: str | None, other: Any) -> bool:
        """Whether a field is the same; of one that is not declared only if both have it."""
        if name is not None:
            mine, theirs = self.find(name), find(other, name)
            if mine is MISSING or theirs is MISSING:
                return mine is theirs
            return equal(mine, theirs)
        if not isinstance(other, View):
            raise no_such_overload()
        theirs = other.raw().get(key, MISSING)
        return theirs is MISSING or same_json(value, theirs)


class MapView(View):
    """An object whose properties all have one schema."""

    __slots__ = ("_shape", "value")

    def __init__(self, value: dict[str, Any], shape: Shape) -> None:
        self.value = value
        self._shape = shape

    def raw(self) -> Any:
        return self.value

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[str]:
        return iter(self.value)

    def find(self, key: Any) -> Any:
        if type(key) is not str:
            raise no_such_overload()
        value = self.value.get(key, MISSING)
        element = self._shape.element
        return value if value is MISSING or element is None else element.wrap(value)

    def equals(self, other: Any) -> bool:
        if not is_map(other):
            raise no_such_overload()
        if len(self) != len(other):
            return False
        for key in self.value:
            theirs = find(other, key)
            if theirs is MISSING or not equal(self.find(key), theirs):
                return False
        return True


class ListView(View):
    """A list. As a set, order does not count and `+` is a union; as a map, elements are known by their keys."""

    __slots__ = ("_shape", "value")
    is_list = True

    def __init__(self, value: list[Any], shape: Shape) -> None:
        self.value = value
        self._shape = shape

    def raw(self) -> Any:
        return self.value

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        element = self._shape.element
        if element is None or element.convert is None:
            return iter(self.value)
        return map(element.wrap, self.value)

    def at(self, index: int) -> Any:
        """An element that is there."""
        element = self._shape.element
        return self.value[index] if element is None else element.wrap(self.value[index])

    def contains(self, element: Any) -> bool:
        """Whether an element equals this one. Raises Failure if none does and some cannot be compared."""
        fault: Failure | None = None
        for item in self:
            try:
                if equal(item, element):
                    return True
            except Failure as failure:
                fault = failure
        if fault is not None:
            raise fault
        return False

    def equals(self, other: Any) -> bool:
        if not is_list(other):
            raise no_such_overload()
        if len(self) != len(other):
            return False
        if self._shape.list_type == "set":
            known = {_hashable(item) for item in self.value}
            return all(_hashable(unwrap(item)) in known for item in other)
        if self._shape.list_type == "map":
            return self._same_entries(other)
        return all(equal(mine, theirs) for mine, theirs in zip(self, other, strict=True))

    def _same_entries(self, other: Any) -> bool:
        entries = {self._key(item): position for position, item in enumerate(self.value)}
        for theirs in other:
            position = entries.get(self._key(unwrap(theirs)))
            if position is None or not equal(self.at(position), theirs):
                return False
        return True

    def _key(self, item: Any) -> Any:
        if type(item) is not dict:
            return _hashable(item)
        return tuple(_hashable(item.get(key)) for key in self._shape.list_keys)

    def plus(self, other: Any) -> ListView:
        if not is_list(other):
            raise no_such_overload()
        items = list(self.value)
        if self._shape.list_type == "set":
            _add_to_set(items, other)
        elif self._shape.list_type == "map":
            self._add_to_map(items, other)
        else:
            items += map(unwrap, other)
        return ListView(items, self._shape)

    def _add_to_map(self, items: list[Any], other: Any) -> None:
        positions = {self._key(item): position for position, item in enumerate(items)}
        for item in map(unwrap, other):
            position = positions.get(self._key(item))
            if position is None:
                items.append(item)
            else:
                items[position] = item


def _add_to_set(items: list[Any], other: Any) -> None:
    known = {_hashable(item) for item in items}
    for item in map(unwrap, other):
        key = _hashable(item)
        if key not in known:
            known.add(key)
            items.append(item)


def _hashable(item: Any) -> Any:
    if isinstance(item, dict | list):
        return json.dumps(item, sort_keys=True)
    return (type(item), item)


def same_text(left: Any, right: Any) -> bool:
    """Whether two JSON values are written alike; a quick look before they are compared part by part."""
    return left is right or orjson.dumps(left) == orjson.dumps(right)


def same_json(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same; 1, 1.0 and true are not."""
    if type(left) is not type(right):
        return False
    if type(left) is dict:
        return left.keys() == right.keys() and all(same_json(value, right[key]) for key, value in left.items())
    if type(left) is list:
        return len(left) == len(right) and all(map(same_json, left, right))
    return bool(left == right)
