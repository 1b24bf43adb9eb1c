"""JSONPath templates evaluated, as k8s.io/client-go/util/jsonpath does it with missing keys allowed.

A path is compiled to steps; a step makes the list of values that follow from a list of values. Most paths are nothing but
names, which one loop answers. `range` and `end` are not known: nobody can use them in one path of a definition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from apiserver_workers.apimachinery.goformat import plain
from apiserver_workers.apimachinery.jsonpaths import jsonpath_fault

Step = Callable[[list[Any]], list[Any]]

MOST_VALUES = 100_000  # that one step of a path may find
_NAMES = re.compile(r"(?:\.[A-Za-z_][A-Za-z0-9_-]*)+")
_TERMINATORS = " \t\r\n.,[]$@{}"
_SLICE = re.compile(r"(-?[0-9]*)(:-?[0-9]*)?(:-?[0-9]*)?")
_DICT_KEY = re.compile(r"'((?:[^']|\\')*)'")
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+)")
_NUMBER = re.compile(r"[+-]?[0-9.]*")
_WORD = re.compile(r"\w+")


class PathError(ValueError):
    """A value cannot be found by the path; who asks for a cell or a field shows none."""


class JSONPath:
    """A path, as definitions have it: without braces. Raises ValueError with upstream's text for one that is none."""

    __slots__ = ("_names", "_steps")

    def __init__(self, path: str) -> None:
        if fault := jsonpath_fault("{" + path + "}"):
            raise ValueError(fault)
        self._names = tuple(path[1:].split(".")) if _NAMES.fullmatch(path) else None
        self._steps: list[Step] = [] if self._names else list(_parse(path))

    def find(self, obj: Any) -> list[Any]:
        """The values that the path leads to. Raises PathError."""
        if self._names is not None:
            return _by_names(self._names, obj)
        found = [obj]
        for step in self._steps:
            found = step(found)
            if len(found) > MOST_VALUES:
                raise PathError("too many values")
        return found


def _by_names(names: tuple[str, ...], value: Any) -> list[Any]:
    for name in names:
        if not isinstance(value, dict) or name not in value:
            return []
        value = value[name]
    return [value]


def as_text(value: Any) -> str:
    """A value as PrintResults shows it."""
    if isinstance(value, dict | list):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
    return "null" if value is None else plain(value)


def _parse(text: str) -> Iterator[Step]:
    at = 0
    while at < len(text):
        char = text[at]
        if text.startswith("[?(", at):
            at, step = _filter(text, at)
        elif text.startswith("..", at):
            step = _recurse
            at += 2
            if (match := _WORD.match(text, at)) is not None:
                yield step
                at, step = _field(text, at)
                del match
        elif char in " @$":
            at += 1
            continue
        elif char == "[":
            at, step = _array(text, at)
        elif char in "\"'":
            end = _quote_end(text, at)
            step = _constant(_unquoted(text[at : end + 1]))
            at = end + 1
        elif char == ".":
            at, step = _field(text, at + 1)
        elif char in "+-" or char.isdigit():
            match = _NUMBER.match(text, at)
            assert match is not None
            step = _constant(float(match[0]) if "." in match[0] else int(match[0]))
            at = match.end()
        else:
            at, step = _word(text, at)
        yield step


def _until_terminator(text: str, at: int) -> int:
    while at < len(text) and text[at] not in _TERMINATORS:
        at += 2 if text[at] == "\\" else 1
    return min(at, len(text))


def _field(text: str, at: int) -> tuple[int, Step]:
    end = _until_terminator(text, at)
    name = text[at:end]
    return end, _wildcard if name == "*" else _named(name.replace("\\", ""))


def _word(text: str, at: int) -> tuple[int, Step]:
    end = _until_terminator(text, at)
    word = text[at:end]
    if word in ("true", "false"):
        return end, _constant(word == "true")
    return max(end, at + 1), _unknown(word)


def _quote_end(text: str, at: int) -> int:
    end = text.find(text[at], at + 1)
    while end > 0 and text[end - 1] == "\\":
        end = text.find(text[at], end + 1)
    return end


def _unquoted(text: str) -> str:
    inside = text[1:-1]
    if "\\" not in inside:
        return inside
    return re.sub(r"\\(['\"\\])", r"\1", inside).encode().decode("unicode_escape") if inside.isascii() else inside


def _array(text: str, at: int) -> tuple[int, Step]:
    end = text.index("]", at)
    inside = text[at + 1 : end]
    parts = inside.split(",")
    if len(parts) > 1:
        return end + 1, _union([list(_parse(f"[{part.strip(' ')}]")) for part in parts])
    if key := _DICT_KEY.fullmatch(inside):
        return end + 1, _sequence(list(_parse(f".{key[1]}")))
    if inside == "*":
        return end + 1, _sliced(None, None, None, derived=False)
    match = _SLICE.fullmatch(inside)
    assert match is not None, "a checked path"
    first, last, step = match[1], match[2], match[3]
    start = int(first) if first else None
    if last is None:
        return end + 1, _sliced(start, (start or 0) + 1, None, derived=True)
    return end + 1, _sliced(start, _bound(last), _bound(step or ""), derived=False)


def _bound(text: str) -> int | None:
    return int(text[1:]) if len(text) > 1 else None


def _filter(text: str, at: int) -> tuple[int, Step]:
    start = place = at + 3
    quote, closed = "", False
    while True:
        char = text[place]
        if char in "\"'":
            closed = closed or (char == quote and text[place - 1] != "\\")
            quote = quote or char
        elif char == ")" and bool(quote) == closed:
            break
        place += 1
    inside = text[start:place]
    if (match := _COMPARISON.fullmatch(inside)) is None:
        return place + 2, _existing(list(_parse(inside)))
    return place + 2, _comparing(list(_parse(match[1])), match[2], list(_parse(match[3])))


# --- steps


def _constant(value: Any) -> Step:
    return lambda values: [value] * len(values)


def _unknown(word: str) -> Step:
    def step(values: list[Any]) -> list[Any]:
        raise PathError(f"unrecognized identifier {word}")

    return step


def _named(name: str) -> Step:
    return lambda values: [value[name] for value in values if isinstance(value, dict) and name in value]


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | str) else []


def _wildcard(values: list[Any]) -> list[Any]:
    return [child for value in values for child in _children(value)]


def _recurse(values: list[Any]) -> list[Any]:
    """Every value that has children, each before its own."""
    found: list[Any] = []
    rest = list(reversed(values))
    while rest:
        value = rest.pop()
        children = _children(value) if not isinstance(value, str) else []
        if children:
            found.append(value)
            rest += reversed(children)
        if len(found) > MOST_VALUES:
            raise PathError("too many values")
    return found


def _sequence(steps: list[Step]) -> Step:
    def step(values: list[Any]) -> list[Any]:
        for one in steps:
            values = one(values)
        return values

    return step


def _union(parts: list[list[Step]]) -> Step:
    sequences = [_sequence(part) for part in parts]
    return lambda values: [found for sequence in sequences for found in sequence(values)]


def _sliced(start: int | None, end: int | None, by: int | None, *, derived: bool) -> Step:
    def step(values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if value is not None:
                found += _slice(value, start, end, by, derived)
        return found

    return step


def _slice(value: Any, start: int | None, end: int | None, by: int | None, derived: bool) -> list[Any]:
    if not isinstance(value, list):
        raise PathError("not an array or slice")
    length = len(value)
    first = start or 0
    if first < 0:
        first += length
    last = length if end is None else end
    if last < 0 or (last == 0 and derived):
        last += length
    if first == last:
        return []
    if not 0 <= first < length or not 0 <= last <= length or first > last:
        raise PathError("array index out of bounds")
    if by is not None and by <= 0:
        raise PathError("step must be > 0")
    return value[first : last : by or 1]


def _existing(steps: list[Step]) -> Step:
    condition = _sequence(steps)

    def exists(item: Any) -> bool:
        try:
            return bool(condition([item]))
        except PathError:
            return False

    return lambda values: [item for value in values for item in _items(value) if exists(item)]


def _comparing(left: list[Step], operator: str, right: list[Step]) -> Step:
    lefts, rights = _sequence(left), _sequence(right)

    def holds(item: Any) -> bool:
        one, other = lefts([item]), rights([item])
        if not one or not other:
            return False
        if len(one) > 1 or len(other) > 1:
            raise PathError("can only compare one element at a time")
        return _compare(one[0], operator, other[0])

    return lambda values: [item for value in values for item in _items(value) if holds(item)]


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise PathError("not an array or slice and cannot be filtered")
    return value


def _basic_kind(value: Any) -> str:
    for kind, classes in (("bool", bool), ("int", int), ("float", float), ("string", str)):
        if isinstance(value, classes):
            return kind
    raise PathError("error comparing invalid type")


def _compare(left: Any, operator: str, right: Any) -> bool:
    """As Go's templates compare: two values of one basic kind."""
    if _basic_kind(left) != _basic_kind(right):
        raise PathError("incompatible types for comparison")
    if operator == "==":
        return bool(left == right)
    if operator == "!=":
        return bool(left != right)
    if isinstance(left, bool):
        raise PathError("invalid type for comparison")
    if operator == "<":
        return bool(left < right)
    if operator == "<=":
        return bool(left <= right)
    if operator == ">":
        return bool(left > right)
    if operator == ">=":
        return bool(left >= right)
    raise PathError(f"unrecognized filter operator {operator}")
