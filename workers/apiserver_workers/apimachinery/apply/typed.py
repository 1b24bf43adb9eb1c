"""Typed values: checking an applied configuration, merging it into the live object, removing fields from an object.

The results share what they did not touch with their inputs.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.apply.compare import EMPTY, index
from apiserver_workers.apimachinery.apply.fields import MEMBER, Fields, element_text, is_member
from apiserver_workers.apimachinery.apply.plan import DEDUCED, KEYED, LEAF, MAP, OPEN, SET, STRUCT, KeyMissing, Node
from apiserver_workers.apimachinery.goformat import go_syntax, plain, type_name

# The scalars that fields of a form take.
STRING, NUMBER, BOOLEAN, SCALAR = "string", "numeric (int or float)", "boolean", "any scalar"
EXPECTED = {
    "string": (STRING, (str,)),
    "bytes": (STRING, (str,)),
    "time": (STRING, (str,)),
    "microtime": (STRING, (str,)),
    "duration": (STRING, (str,)),
    "integer": (NUMBER, (int, float)),
    "number": (NUMBER, (int, float)),
    "boolean": (BOOLEAN, (bool,)),
    "quantity": (SCALAR, (str, int, float, bool)),
    "intstr": (SCALAR, (str, int, float, bool)),
}
REPEATED = "duplicate entries for key "
CONTAINERS: dict[str, tuple[str, Any]] = {"object": ("map", dict), "list": ("list", list)}


class TypedError(ValueError):
    """A value does not fit its type; the message is upstream's, one line an error."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(errors[0] if len(errors) == 1 else "\n  ".join(["errors:", *errors]))


# --- checking -----------------------------------------------------------------------------------------------------


def check(node: Node, value: Any) -> None:
    """Raises TypedError when the value has fields that the type does not declare, wrong types or repeated keys."""
    errors: list[str] = []
    _check(node, value, "", errors)
    if errors:
        raise TypedError(errors)


def fits(node: Node, value: Any) -> bool:
    """Whether the value could be told apart into fields; lists may repeat keys."""
    errors: list[str] = []
    _check(node, value, "", errors)
    return all(REPEATED in error for error in errors)


def _check(node: Node, value: Any, path: str, errors: list[str]) -> None:
    if value is None:
        return
    if node.kind == DEDUCED:
        if node.fields and isinstance(value, dict):
            _check_members(node, value, path, errors)
        return
    if node.form in CONTAINERS:
        what, container = CONTAINERS[node.form]
        if not isinstance(value, container):
            errors.append(_at(path, f"expected {what}, got &{{{plain(value)}}}"))
        elif node.kind in (STRUCT, MAP, OPEN):
            _check_members(node, value, path, errors)
        elif node.kind in (KEYED, SET):
            _check_items(node, value, path, errors)
        elif node.inner is not None:
            _check_atomic(node.inner, value, path, errors)
    elif node.form in EXPECTED:
        what, classes = EXPECTED[node.form]
        if value.__class__ not in classes:
            errors.append(_at(path, f"expected {what}, got {_shown(what, value)}"))


def _check_atomic(inner: Node, value: Any, path: str, errors: list[str]) -> None:
    """What is owned as a whole is checked as deeply as all else."""
    if isinstance(value, dict):
        _check(inner, value, path, errors)
        return
    for number, item in enumerate(value):
        _check(inner, item, f"{path}[{number}]", errors)


def _check_members(node: Node, value: dict[str, Any], path: str, errors: list[str]) -> None:
    for name, item in value.items():
        known = node.child(name)
        if known is None:
            errors.append(_at(f"{path}.{name}", "field not declared in schema"))
            return
        if item is not None:
            _check(known[1], item, f"{path}.{name}", errors)


def _check_items(node: Node, value: list[Any], path: str, errors: list[str]) -> None:
    seen = set()
    for number, item in enumerate(value):
        try:
            name = _item_name(node, item)
        except KeyMissing as problem:
            errors.append(_at(path, f"element {number}: {problem}"))
            return
        shown = element_text(name)
        if name in seen:
            errors.append(_at(path, f"{REPEATED}{shown}"))
        seen.add(name)
        _check(node.element, item, path + shown, errors)


def _item_name(node: Node, item: Any) -> str:
    if node.kind == SET and (item is None or isinstance(item, dict | list)):
        what = {
            dict: "has an element that's a map type",
            list: "",
            type(None): "has an element that's an explicit null",
        }
        if isinstance(item, list):
            raise KeyMissing("not supported: associative list with lists as elements")
        raise KeyMissing("associative list without keys " + what[item.__class__])
    return node.item_name(item)


def _at(path: str, message: str) -> str:
    return f"{path}: {message}" if path else message


def _shown(expected: str, value: Any) -> str:
    """The value as the message for that expectation prints it, Go's internals and all."""
    if expected == NUMBER:
        return type_name(value)
    if expected == STRING:
        return f"&value.valueUnstructured{{Value:{go_syntax(value)}}}"
    return f"&{{{plain(value)}}}"


# --- merging ------------------------------------------------------------------------------------------------------


def merge(node: Node, live: Any, applied: Any) -> Any:
    """The live value with everything that the applied one says; granular lists keep their items and their order."""
    kind = node.kind
    if kind == LEAF:
        return applied if live.__class__ is not applied.__class__ or live != applied else live
    if live == applied:
        return live
    if applied is None:
        return live if live else None
    if not live and not applied:
        return applied
    if kind in (KEYED, SET):
        return _merge_lists(node, live or [], applied)
    if not isinstance(applied, dict) or not isinstance(live or EMPTY, dict):
        return applied
    merged = dict(live or EMPTY)
    for name, value in applied.items():
        known = node.child(name)
        if name in merged and known is not None:
            merged[name] = merge(known[1], merged[name], value)
        else:
            merged[name] = value
    return merged


def _merge_lists(node: Node, live: list[Any], applied: list[Any]) -> list[Any]:
    """Items of both lists: those in both in the applied order, the others near the neighbours they had."""
    ours = [node.item_name(item) for item in live]
    theirs = [node.item_name(item) for item in applied]
    changes = dict(zip(theirs, applied, strict=True))
    # items that the live list repeats are not merged: the applied one replaces them
    known, repeats = index(node, live)
    shared = iter([name for name in theirs if name in known])
    if repeats:
        known = {name: item for name, item in known.items() if ours.count(name) == 1}
    next_shared = next(shared, None)
    taken: set[str] = set()
    merged: list[Any] = []
    left = right = 0
    while left < len(ours) or right < len(theirs):
        name = ours[left] if left < len(ours) else None
        if name is not None:
            if name not in changes:
                merged.append(live[left])
                left += 1
                continue
            if name in taken or (next_shared is not None and name != next_shared):
                left += 1
                if next_shared is not None or right == len(theirs):
                    continue
        name = theirs[right]
        merged.append(merge(node.element, known[name], changes[name]) if name in known else changes[name])
        taken.add(name)
        right += 1
        if name == next_shared:
            next_shared = next(shared, None)
    return merged


# --- removing -----------------------------------------------------------------------------------------------------


def remove(node: Node, value: Any, fields: Fields | None) -> Any:
    """The value without those fields; a container that loses all of its content becomes None."""
    if not fields or node.kind == LEAF:
        return value
    if isinstance(value, list) and node.kind in (KEYED, SET):
        return _remove_items(node, value, fields)
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, item in value.items():
        place, child = node.child(name) or ("", node)
        below = fields.get(place)
        if below is None:
            kept[name] = item
        elif not is_member(below):
            kept[name] = None if child.kind == LEAF and item.__class__ in (dict, list) else remove(child, item, below)
    return kept or None


def _remove_items(node: Node, value: list[Any], fields: Fields) -> list[Any] | None:
    kept = []
    for item in value:
        below = fields.get(node.item_name(item))
        if below is None:
            kept.append(item)
        elif not is_member(below):
            kept.append(remove(node.element, item, below))
    return kept or None


def with_named_fields(node: Node, fields: Fields | None) -> Fields | None:
    """The set with every struct field on the way to a member made a member too."""
    if not fields:
        return fields
    result = {}
    for name, below in fields.items():
        if not below:
            result[name] = below
            continue
        named = name[2:] in node.fields
        child = _below(node, name)
        inner = with_named_fields(child, below) if child is not None else below
        result[name] = {".": MEMBER, **(inner or EMPTY)} if named else inner
    return result


def _below(node: Node, name: str) -> Node | None:
    if name[:2] == "f:":
        known = node.child(name[2:])
        return known[1] if known else None
    return node.element if node.kind in (KEYED, SET) else None
