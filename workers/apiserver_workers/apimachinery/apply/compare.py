"""What differs between two objects of a type, as field sets. This is the hot part: every write runs it.

Equal parts are skipped by comparing them as a whole, which Python does in C; only where something differs is the plan
walked. Nothing is built for what did not change.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.apply.fields import MEMBER, Fields
from apiserver_workers.apimachinery.apply.plan import DEDUCED, KEYED, LEAF, SET, STRUCT, Node

EMPTY: dict[str, Any] = {}
NOTHING: list[Any] = []
MISSING = object()

# Changed and removed fields; None stands for an empty set.
Difference = tuple[Fields | None, Fields | None]

CHANGED: Difference = (MEMBER, None)


def compare(node: Node, old: Any, new: Any) -> Difference:
    """The fields of `new` that are not in `old` or differ, and the fields of `old` that are not in `new`."""
    kind = node.kind
    if kind == LEAF or (not old and not new):
        return CHANGED
    # a value that does not fit its type is owned as a whole, until validation refuses it
    if kind in (KEYED, SET):
        if not (isinstance(old or NOTHING, list) and isinstance(new or NOTHING, list)):
            return CHANGED
        return _compare_lists(node, old or (), new or ())
    if not (isinstance(old or EMPTY, dict) and isinstance(new or EMPTY, dict)):
        return CHANGED
    return _compare_objects(node, old or EMPTY, new or EMPTY)


def _compare_objects(node: Node, old: dict[str, Any], new: dict[str, Any]) -> Difference:
    changed: Fields = {}
    removed: Fields = {}
    fields = node.fields if node.kind == STRUCT else None
    for name, value in new.items():
        before = old.get(name, MISSING)
        if before is value or before == value:
            continue
        if fields is None:
            place, child = node.child(name) or ("", node)
        elif name in fields:
            place, child = fields[name]
        else:
            continue
        if before is MISSING:
            changed[place] = all_fields(child, value)
        else:
            more, less = compare(child, before, value)
            if more is not None:
                changed[place] = more
            if less is not None:
                removed[place] = less
    for name in old:
        if name not in new:
            known = node.child(name)
            if known is not None:
                removed[known[0]] = all_fields(known[1], old[name])
    return changed or None, removed or None


def _compare_lists(node: Node, old: Any, new: Any) -> Difference:
    before, repeated_before = index(node, old)
    after, repeated_after = index(node, new)
    if repeated_before or repeated_after:
        return _compare_repeated(node, old, new)
    changed: Fields = {}
    removed: Fields = {}
    for name, item in after.items():
        previous = before.get(name, MISSING)
        if previous is MISSING:
            changed[name] = all_fields(node.element, item)
        elif previous != item:
            more, less = compare(node.element, previous, item)
            if more is not None:
                changed[name] = more
            if less is not None:
                removed[name] = less
    for name, item in before.items():
        if name not in after:
            removed[name] = all_fields(node.element, item)
    return changed or None, removed or None


def _compare_repeated(node: Node, old: Any, new: Any) -> Difference:
    """Lists in which several items have the same keys: such items are compared as one value."""
    before, after = _grouped(node, old), _grouped(node, new)
    changed: Fields = {}
    removed: Fields = {}
    for name in {**before, **after}:
        was, now = before.get(name, []), after.get(name, [])
        if was == now:
            continue
        more: Fields | None = None
        less: Fields | None = None
        if len(was) > 1 and len(now) > 1:
            more = MEMBER
        elif len(was) > 1:
            more = all_fields(node.element, now[0]) if now else None
            less = MEMBER
        elif len(now) > 1:
            more = MEMBER
            less = all_fields(node.element, was[0]) if was else None
        elif was and now:
            more, less = compare(node.element, was[0], now[0])
        elif now:
            more = all_fields(node.element, now[0])
        else:
            less = all_fields(node.element, was[0])
        if more is not None:
            changed[name] = more
        if less is not None:
            removed[name] = less
    return changed or None, removed or None


def index(node: Node, items: Any) -> tuple[dict[str, Any], bool]:
    """The items of a list by their names in FieldsV1, and whether a name occurs twice (the first counts)."""
    found: dict[str, Any] = {}
    name_of = node.item_name
    for item in items:
        found.setdefault(name_of(item), item)
    return found, len(found) != len(items)


def _grouped(node: Node, items: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(node.item_name(item), []).append(item)
    return found


def all_fields(node: Node, value: Any) -> Fields:
    """The node of a value that is wholly new (or gone): each field on the way to a leaf is a member itself."""
    kind = node.kind
    if kind == LEAF or not value:
        return MEMBER
    if kind in (KEYED, SET):
        if not isinstance(value, list):
            return MEMBER
        children = {name: all_fields(node.element, item) for name, item in index(node, value)[0].items()}
        return {".": MEMBER, **children}
    if not isinstance(value, dict):
        return MEMBER
    children = {".": MEMBER}
    for name, item in value.items():
        known = node.child(name)
        if known is not None:
            children[known[0]] = all_fields(known[1], item)
    return children if len(children) > 1 else MEMBER


def to_field_set(node: Node, value: Any) -> Fields | None:
    """The fields that an applied configuration owns: leaves, items of lists and of maps, but not the structs between.

    None when there are none.
    """
    kind = node.kind
    if kind == LEAF:
        return MEMBER
    if kind in (KEYED, SET):
        return _list_field_set(node, value or ()) or None
    if kind == DEDUCED and not isinstance(value, dict):
        return MEMBER
    fields: Fields = {}
    for name, item in (value or EMPTY).items():
        known = node.child(name)
        if known is None:
            continue
        place, child = known
        below = to_field_set(child, item)
        if item is None or item == EMPTY or name not in node.fields:
            below = {".": MEMBER, **below} if below else MEMBER
        if below is not None:
            fields[place] = below
    return fields or None


def _list_field_set(node: Node, items: Any) -> Fields:
    fields: Fields = {}
    for name, group in _grouped(node, items).items():
        below = to_field_set(node.element, group[0]) if len(group) == 1 else None
        fields[name] = {".": MEMBER, **below} if below else MEMBER
    return fields
