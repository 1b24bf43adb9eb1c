"""A value beside what it was before, so that faults of what did not change can be forgiven.

Upstream: apiserver/pkg/cel/common/equality.go (CorrelatedObject), apiextensions validation/ratcheting.go.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.structural.model import Structural


class Correlated:
    """A value, its old value, and the schema of both. Items of a list correspond by the keys of a list of type map."""

    __slots__ = ("_children", "_old_items", "_unchanged", "new", "old", "schema")

    def __init__(self, new: Any, old: Any, schema: Structural) -> None:
        self.new = new
        self.old = old
        self.schema = schema
        self._unchanged: bool | None = None
        self._old_items: dict[Any, Any] | None = None
        self._children: dict[Any, Correlated | None] = {}

    def property(self, name: str) -> Correlated | None:
        """The property beside its old value; None where one of both is missing, or has no schema."""
        if name not in self._children:
            self._children[name] = self._property(name)
        return self._children[name]

    def item(self, index: int) -> Correlated | None:
        """The item beside the old one with the same keys; None where there is none."""
        if index not in self._children:
            self._children[index] = self._item(index)
        return self._children[index]

    def is_unchanged(self) -> bool:
        """Whether the value is what it was. The order of a list of type map does not count."""
        if self._unchanged is None:
            self._unchanged = self._compare()
        return self._unchanged

    def _property(self, name: str) -> Correlated | None:
        new, old = self.new, self.old
        if new.__class__ is not dict or old.__class__ is not dict or name not in new or name not in old:
            return None
        schema = self.schema.child(name)
        return None if schema is None else Correlated(new[name], old[name], schema)

    def _item(self, index: int) -> Correlated | None:
        items = self.schema.items
        if self.new.__class__ is not list or self.old.__class__ is not list or items is None:
            return None
        if self.schema.list_type != "map":
            return None
        new = self.new[index]
        if self._old_items is None:
            self._old_items = by_keys(self.schema, self.old)
        old = self._old_items.get(item_key(self.schema, new))
        return None if old is None else Correlated(new, old, items)

    def _compare(self) -> bool:
        new, old = self.new, self.old
        if new.__class__ is not old.__class__:
            return False
        if new.__class__ is list:
            if len(new) != len(old):
                return False
            if self.schema.list_type != "map" or self.schema.items is None:
                return same(new, old)
            items = [self.item(index) for index in range(len(new))]
            return all(item is not None and item.is_unchanged() for item in items)
        if new.__class__ is dict:
            if len(new) != len(old):
                return False
            properties = [self.property(name) for name in new]
            return all(one is not None and one.is_unchanged() for one in properties)
        return bool(new == old)


def same(one: Any, other: Any) -> bool:
    """reflect.DeepEqual: numbers and booleans of different types differ."""
    if one.__class__ is not other.__class__:
        return False
    if one.__class__ is dict:
        return one.keys() == other.keys() and all(same(inside, other[name]) for name, inside in one.items())
    if one.__class__ is list:
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def by_keys(schema: Structural, items: list[Any]) -> dict[Any, Any]:
    """The items of a list of type map by their keys; of several with the same keys the first one."""
    found: dict[Any, Any] = {}
    if schema.list_type == "map":
        for item in items:
            found.setdefault(item_key(schema, item), item)
        found.pop(None, None)
    return found


def item_key(schema: Structural, item: Any) -> Any:
    """What identifies an item: the values of its keys. None where one is missing or no scalar."""
    if item.__class__ is not dict:
        return None
    values = []
    for name in schema.list_keys:
        value = item.get(name)
        if value is None or value.__class__ is dict or value.__class__ is list:
            return None
        values.append((value.__class__, value))
    return tuple(values)
