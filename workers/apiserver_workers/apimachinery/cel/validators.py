"""Checks of literals that the type check cannot see: durations, timestamps, patterns, mixed lists, format strings.

They run only on an expression that is otherwise right. Mixed lists are refused in every version, the rest from 1.29 on.

Upstream: cel-go cel/validator.go, ext/formatting.go (stringFormatValidator).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .ast import Call, Checked, Expr, List, Literal, Map, children, walk
from .faults import Fault
from .formats import FormatFault, read_clauses
from .library import patterns
from .library.row import Row
from .types import STRING, Form, Type

_TIMES = ("duration", "timestamp")
# Arguments of these may be lists of mixed types.
_MIXED = frozenset({"format"})


def validate(checked: Checked, rows: Mapping[str, Row], *, literals: bool) -> list[Fault]:
    """The faults of an expression's literals.

    `rows` has the functions of the overloads of duration() and timestamp() by id; `literals` says whether more is checked
    than mixed lists and maps.
    """
    faults: list[Fault] = []
    if literals:
        for node in walk(checked.expression):
            if type(node) is Call:
                faults.extend(_check_call(node, checked, rows))
    mixed = _MIXED if literals else frozenset()
    faults.extend(_check_aggregates(checked.expression, checked.types, mixed))
    return faults


def _check_call(node: Call, checked: Checked, rows: Mapping[str, Row]) -> Iterator[Fault]:
    first = node.args[0] if node.args else None
    if node.function == "format" and type(node.target) is Literal and type(first) is List:
        yield from _check_format(node, first, checked)
    if type(first) is not Literal:
        return
    if node.function == "matches" and first.type is STRING and patterns.fault(str(first.value)):
        yield Fault(first.position, "invalid matches argument")
    if node.function in _TIMES:
        row = rows[checked.references[node.id].overloads[0]]
        if row.function is not None and not _accepts(row.function, first.value):
            yield Fault(first.position, f"invalid {node.function} argument")


def _accepts(conversion: Callable[[Any], Any], value: Any) -> bool:
    try:
        conversion(value)
    except Exception:
        return False
    return True


# Lists and maps of one type


def _check_aggregates(root: Expr, types: Mapping[int, Type], mixed: frozenset[str]) -> Iterator[Fault]:
    """Faults of lists and maps whose elements have several types, outside of arguments that may be mixed."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if type(node) is List:
            yield from _check_list(node, types)
        elif type(node) is Map:
            yield from _check_map(node, types)
        if type(node) is not Call or node.function not in mixed:
            waiting.extend(children(node))


def _check_list(node: List, types: Mapping[int, Type]) -> Iterator[Fault]:
    expected: Type | None = None
    for index, element in enumerate(node.elements):
        found = _inner(types[element.id], index in node.optional_indices)
        if expected is None:
            expected = found
        elif not _is_equivalent(expected, found):
            yield _mismatch(element, expected, found)
            return


def _check_map(node: Map, types: Mapping[int, Type]) -> Iterator[Fault]:
    expected: tuple[Type, Type] | None = None
    for entry in node.entries:
        key = types[entry.key.id]
        value = _inner(types[entry.value.id], entry.optional)
        if expected is None:
            expected = (key, value)
            continue
        if not _is_equivalent(expected[0], key):
            yield _mismatch(entry.key, expected[0], key)
        if not _is_equivalent(expected[1], value):
            yield _mismatch(entry.value, expected[1], value)


def _inner(t: Type, optional: bool) -> Type:
    return t.parameters[0] if optional and t.parameters else t


def _is_equivalent(one: Type, other: Type) -> bool:
    """The same type; a scalar and its wrapper count as the same."""
    if one.name != other.name or len(one.parameters) != len(other.parameters):
        return False
    return all(_is_equivalent(a, b) for a, b in zip(one.parameters, other.parameters, strict=True))


def _mismatch(node: Expr, expected: Type, found: Type) -> Fault:
    return Fault(node.position, f"expected type '{expected}' but found '{found}'")


# Format strings

_TEXTS = frozenset(
    {"list", "map", "int", "uint", "double", "bool", "string", "bytes", "type", "null_type"}
    | {"google.protobuf.Timestamp", "google.protobuf.Duration"}
)
_CLAUSES: dict[str, tuple[frozenset[str], str]] = {
    "d": (frozenset({"int", "uint"}), "decimal clause can only be used on integers, was given "),
    "f": (frozenset({"double", "string"}), "fixed-point clause can only be used on doubles, was given "),
    "e": (frozenset({"double", "string"}), "scientific clause can only be used on doubles, was given "),
    "b": (frozenset({"int", "uint", "bool"}), "only integers and bools can be formatted as binary, was given "),
    "x": (
        frozenset({"int", "uint", "string", "bytes"}),
        "only integers, byte buffers, and strings can be formatted as hex, was given ",
    ),
    "o": (frozenset({"int", "uint"}), "octal clause can only be used on integers, was given "),
}
_STRING_FAULT = (
    "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and"
    " timestamps, was given "
)


def _check_format(node: Call, arguments: List, checked: Checked) -> Iterator[Fault]:
    target = node.target
    if type(target) is not Literal or target.type is not STRING:
        return
    used = 0
    try:
        for clause in read_clauses(str(target.value)):
            if used >= len(arguments.elements):
                yield Fault(node.position, f"index {used} out of range")
                return
            if isinstance(clause, FormatFault):
                yield Fault(node.position, f"could not parse formatting clause: {clause}")
                return
            fault = _check_clause(clause, arguments.elements[used], checked.types)
            if fault is not None:
                yield fault
                return
            used += 1
    except FormatFault as error:
        yield Fault(node.position, str(error))
        return
    count = len(arguments.elements)
    if count > used:
        message = f"too many arguments supplied to string.format (expected {used}, got {count})"
        yield Fault(node.position, message)


def _check_clause(clause: str, argument: Expr, types: Mapping[int, Type]) -> Fault | None:
    if clause == "s":
        wrong = _unprintable(argument, types)
        message = _STRING_FAULT
    else:
        allowed, message = _CLAUSES[clause]
        wrong = None if _is_one_of(types[argument.id], allowed) else argument
    if wrong is None:
        return None
    return Fault(wrong.position, f"error during formatting: {message}{types[wrong.id].name}")


def _is_one_of(t: Type, names: frozenset[str]) -> bool:
    return t.form is Form.DYN or (t.form is not Form.OPAQUE and t.name in names)


def _unprintable(node: Expr, types: Mapping[int, Type]) -> Expr | None:
    """The first node that `%s` cannot print; elements of written lists and maps count too."""
    if not _is_one_of(types[node.id], _TEXTS):
        return node
    if type(node) is List or type(node) is Map:
        for inside in children(node):
            wrong = _unprintable(inside, types)
            if wrong is not None:
                return wrong
    return None
