"""Field sets, in the form of metav1.FieldsV1: the JSON that managedFields hold is used as it is.

A set is a dict. A key is a path element: `f:<field>`, `k:<keys of a list's item>`, `v:<value in a set>`, `i:<index>`;
the value is the set below it. An empty value, or one with the key ".", says that the element itself is a member.
The functions never change a set, and return the very same one when nothing is different; None stands for empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

Fields = dict[str, Any]

MEMBER: Fields = {}


def is_member(node: Fields) -> bool:
    return not node or "." in node


def union(left: Fields | None, right: Fields | None) -> Fields | None:
    """The fields in either set."""
    if not left or not right:
        return left or right
    return _union(left, right)


def _union(left: Fields, right: Fields) -> Fields:
    if left == right:
        return left
    merged = left.copy()
    for name, node in right.items():
        mine = merged.get(name)
        if mine is None:
            merged[name] = node
        elif mine and node:
            merged[name] = _union(mine, node)
        elif mine or node:
            children = mine or node
            merged[name] = children if "." in children else {".": MEMBER, **children}
    return merged


def difference(left: Fields | None, right: Fields | None, *, recursive: bool = False) -> Fields | None:
    """The fields of `left` that are not in `right`; when recursive, without those below a field in `right` too."""
    if not left or not right:
        return left
    result = None
    for name in right if len(right) < len(left) else left:
        mine, other = left.get(name), right.get(name)
        if mine is None or other is None:
            continue
        rest = None if recursive and is_member(other) else _node_difference(mine, other, recursive)
        if rest is not mine:
            if result is None:
                result = left.copy()
            if rest is None:
                del result[name]
            else:
                result[name] = rest
    return left if result is None else result or None


def _node_difference(mine: Fields, other: Fields, recursive: bool) -> Fields | None:
    """One element's node without what is in the other's; None when nothing is left."""
    if not mine:
        return None if is_member(other) else mine
    if not other:
        if "." not in mine:
            return mine
        return {name: node for name, node in mine.items() if name != "."} or None
    rest = difference(mine, other, recursive=recursive)
    # what is left of {".": {}, child} may be {".": {}}, the same as a bare member
    return MEMBER if rest is not None and len(rest) == 1 and "." in rest else rest


def intersection(left: Fields | None, right: Fields | None) -> Fields | None:
    """The fields in both sets."""
    if not left or not right:
        return None
    both: Fields = {}
    for name, mine in left.items():
        other = right.get(name)
        if other is None:
            continue
        children = {**(intersection(mine, other) or {})}
        children.pop(".", None)
        if is_member(mine) and is_member(other):
            both[name] = {".": MEMBER, **children} if children else MEMBER
        elif children:
            both[name] = children
    both.pop(".", None)
    return both or None


def insert(fields: Fields, path: tuple[str, ...]) -> None:
    """Adds one field, in place: only for sets that are being made."""
    for name in path[:-1]:
        below = fields.get(name)
        if below is None:
            below = fields[name] = {}
        elif not below:
            below = fields[name] = {".": MEMBER}
        fields = below
    name = path[-1]
    if name not in fields:
        fields[name] = {}
    elif fields[name]:
        fields[name] = {".": MEMBER, **fields[name]}


def field_set(*paths: tuple[str, ...]) -> Fields:
    """A set of fields given by the names on their paths: field_set(("spec",), ("metadata", "labels"))."""
    fields: Fields = {}
    for path in paths:
        insert(fields, tuple("f:" + name for name in path))
    return fields


def has(fields: Fields | None, path: tuple[str, ...]) -> bool:
    """Whether the field with that path of elements is a member."""
    node: Fields | None = fields or None
    for name in path:
        if not node:
            return False
        node = node.get(name)
    return node is not None and is_member(node)


def paths(fields: Fields | None, prefix: str = "") -> Iterator[str]:
    """The members as upstream prints them (`.spec.containers[name="c"].image`), those of a level before those below."""
    names = sorted(name for name in fields or () if name != ".")
    for name in names:
        if is_member(fields[name]):  # type: ignore[index]
            yield prefix + element_text(name)
    for name in names:
        yield from paths(fields[name], prefix + element_text(name))  # type: ignore[index]


def element_text(name: str) -> str:
    """A path element as upstream prints it."""
    kind, text = name[:2], name[2:]
    if kind == "f:":
        return "." + text
    if kind == "k:":
        keys = orjson.loads(text)
        return "[" + ",".join(f"{key}={_value_text(keys[key])}" for key in sorted(keys)) + "]"
    return f"[={text}]" if kind == "v:" else f"[{text}]"


def _value_text(value: Any) -> str:
    """A value as structured-merge-diff's ToString shows it."""
    if isinstance(value, dict):
        return "".join(f"{name}={_value_text(of)}" for name, of in value.items())
    if isinstance(value, list):
        return "[" + ",".join(map(_value_text, value)) + "]"
    return orjson.dumps(value).decode()


def in_text_order(fields: Fields) -> Fields:
    """The set with its elements in the order in which upstream writes them (fieldpath.PathElement.Compare).

    Names of fields stand first, then keys of items, values and indexes; clients compare the text.
    """
    ordered = sorted(fields)
    if ordered and ordered[-1] > LAST_FIELD:
        ordered.sort(key=_element_order)
    return {name: in_text_order(below) if (below := fields[name]) else below for name in ordered}


LAST_FIELD = "f;"  # behind every "f:..."
_KINDS = {".": 0, "f": 1, "k": 2, "v": 3, "i": 4}
# The order of values of different kinds (value.Compare).
_VALUE_KINDS: dict[type, int] = {int: 0, float: 0, str: 1, bool: 2, list: 3, dict: 4, type(None): 5}


def _element_order(name: str) -> tuple[int, Any]:
    kind = _KINDS[name[0]]
    if kind < 2:
        return kind, name
    value = orjson.loads(name[2:])
    if kind == 2:
        return kind, [(key, _value_order(value[key])) for key in sorted(value)]
    return kind, _value_order(value)


def _value_order(value: Any) -> tuple[int, Any]:
    kind = _VALUE_KINDS[value.__class__]
    return kind, value if kind < 3 else orjson.dumps(value)


def canonical(fields: Any) -> Fields:
    """A set that came from outside, checked and with its elements in the form that we write.

    Raises ValueError when it is no FieldsV1.
    """
    if not isinstance(fields, dict):
        raise ValueError("error decoding set: expected an object")
    return {_canonical_element(name): canonical(below) for name, below in fields.items()}


def _canonical_element(name: str) -> str:
    kind, text = name[:2], name[2:]
    if name == "." or kind == "f:":
        return name
    if kind == "i:":
        return f"i:{int(text)}"
    if kind not in ("k:", "v:"):
        raise ValueError(f"unknown path element: {name}")
    value = orjson.loads(text)
    if kind == "k:" and not isinstance(value, dict):
        raise ValueError(f"not the keys of an item: {name}")
    return kind + orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
