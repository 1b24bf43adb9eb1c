"""The strings extension: charAt, indexOf, replace, split, join, substring … Upstream: cel-go ext/strings.go.

Positions count code points. `string.format` is in string_format.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import text as texts
from ..estimates import LARGEST, TRAVERSAL, ZERO, CallEstimate, Operand, Range, Static, times_factor
from ..failures import CostExceeded, Failure
from . import costs, string_format
from .row import Row, Runtime

# Go's unicode.IsSpace; Python's strip() takes the separators 0x1c-0x1f too.
_SPACE = " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
# The cost goes by the text alone, so a replacement could make a result of any length.
_LONGEST_RESULT = 100_000_000
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def _out_of_range(index: int) -> Failure:
    return Failure(f"index out of range: {index}")


def char_at(text: str, index: int) -> str:
    """The character at an index, empty just behind the last. Raises Failure."""
    if not 0 <= index <= len(text):
        raise _out_of_range(index)
    return text[index : index + 1]


def index_of(text: str, part: str, start: int = 0) -> int:
    """The first index of a part from `start` on, -1 if there is none. Raises Failure."""
    if not part:
        return start
    if start < 0:
        raise _out_of_range(start)
    return -1 if start >= len(text) else text.find(part, start)


def last_index_of(text: str, part: str) -> int:
    """The last index of a part, -1 if there is none. Raises Failure."""
    if not part:
        return len(text)
    if len(text.encode("utf-8", "surrogatepass")) < len(part.encode("utf-8", "surrogatepass")):
        return -1
    return last_index_of_from(text, part, len(text) - 1)


def last_index_of_from(text: str, part: str, start: int) -> int:
    """The last index of a part not after `start`, -1 if there is none. Raises Failure."""
    if not part:
        return start
    if start < 0:
        raise _out_of_range(start)
    return -1 if start >= len(text) else text.rfind(part, 0, start + len(part))


def replace(text: str, old: str, new: str, most: int = -1) -> str:
    """The text with the first `most` (all if negative) occurrences replaced. Raises CostExceeded for a giant result."""
    if len(text) * len(new) > _LONGEST_RESULT and text.count(old) * len(new) > _LONGEST_RESULT:
        raise CostExceeded
    return text.replace(old, new, most)


def split(text: str, separator: str, most: int = -1) -> list[str]:
    """The parts between separators, at most `most` if not negative."""
    if most == 0:
        return []
    if not separator:
        return _explode(text, most)
    return text.split(separator, most - 1 if most > 0 else -1)


def _explode(text: str, most: int) -> list[str]:
    if most < 0 or most > len(text):
        return list(text)
    return [*text[: most - 1], text[most - 1 :]]


def substring(text: str, start: int, end: int | None = None) -> str:
    """The text from `start` to before `end`. Raises Failure."""
    if end is not None and start > end:
        raise Failure(f"invalid substring range. start: {start}, end: {end}")
    if not 0 <= start <= len(text):
        raise _out_of_range(start)
    if end is not None and not 0 <= end <= len(text):
        raise _out_of_range(end)
    return text[start:end]


def join(items: Any, separator: str = "") -> str:
    """The strings of a list put together. Raises Failure."""
    parts = list(items)
    for part in parts:
        if type(part) is not str:
            raise Failure(f"join: invalid input: {texts.show(part)}")
    return separator.join(parts)


def quote(text: str) -> str:
    """The text in double quotes, with control characters escaped."""
    return '"' + "".join(_QUOTED.get(character, character) for character in text) + '"'


_QUOTED = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def lower_ascii(text: str) -> str:
    """The text with the letters A-Z in lower case."""
    return text.translate(_LOWER)


def upper_ascii(text: str) -> str:
    """The text with the letters a-z in upper case."""
    return text.translate(_UPPER)


def trim(text: str) -> str:
    """The text without white space at both ends."""
    return text.strip(_SPACE)


# static costs


def _static_replace(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    size = costs.first(target, args).size
    old = args[0].size
    new = args[1].size
    longest = _longest_replacement(size, old, new)
    shortest = _shortest_replacement(size, old, new)
    result = Range(shortest[0], longest[0]).times(new).plus(Range(shortest[1], longest[1]))
    return CallEstimate(size.factor(2 * TRAVERSAL), result)


def _longest_replacement(size: Range, old: Range, new: Range) -> tuple[int, int]:
    """How many replacements the longest result has, and how much of the text stays in it."""
    if old.min == 0:
        return min(size.max + 1, LARGEST), size.max
    if new.max <= old.min:
        return 0, size.max
    return _rounded_up(size.max, old.min), 0


def _shortest_replacement(size: Range, old: Range, new: Range) -> tuple[int, int]:
    if old.max == 0:
        return min(size.min + 1, LARGEST), size.min
    if old.max <= new.min:
        return 0, size.min
    return _rounded_up(size.min, old.max), 0


def _rounded_up(dividend: int, divisor: int) -> int:
    return times_factor(1, float(dividend) / float(divisor))


def _static_split(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    size = costs.first(target, args).size
    most = size.max
    if len(args) > 1 and type(args[1].literal) is int:
        most = args[1].literal % 2**64
    return CallEstimate(size.factor(2 * TRAVERSAL), Range(0, most))


def _static_join(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    items = costs.first(target, args)
    count = items.size
    element = items.element
    size = ZERO if element is None else count.times(element.size)
    if args:
        size = size.plus(args[0].size.times(Range(max(count.min - 1, 0), max(count.max - 1, 0))))
    return CallEstimate(size.factor(TRAVERSAL), size)


def _static_quote(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    size = args[0].size
    return CallEstimate(size.factor(TRAVERSAL), Range(min(size.min + 2, LARGEST), min(size.max * 2 + 2, LARGEST)))


def _row(
    identifier: str,
    name: str,
    args: tuple[str, ...],
    result: str,
    function: Callable[..., Any],
    static: Static | None = None,
    runtime: int | Runtime = 1,
    since: int = 0,
    by_name: bool = True,
    member: bool = True,
) -> Row:
    return Row(
        identifier,
        name,
        args,
        result,
        function,
        member=member,
        static=static,
        runtime=runtime,
        since=since,
        by_name=by_name,
        library="strings",
    )


_TREE = (costs.static_tree, costs.traverse_tree)
_SIZED = (costs.static_traverse(sized=True), costs.traverse_first)
_REPLACE = (_static_replace, costs.traverse_first_twice)
_SPLIT = (_static_split, costs.traverse_first_twice)
_JOIN = (_static_join, costs.traverse_result_twice)

ROWS: tuple[Row, ...] = (
    _row("string_char_at_int", "charAt", ("string", "int"), "string", char_at),
    _row("string_index_of_string", "indexOf", ("string", "string"), "int", index_of, *_TREE),
    _row("string_index_of_string_int", "indexOf", ("string", "string", "int"), "int", index_of, *_TREE),
    _row("string_last_index_of_string", "lastIndexOf", ("string", "string"), "int", last_index_of, *_TREE),
    _row(
        "string_last_index_of_string_int",
        "lastIndexOf",
        ("string", "string", "int"),
        "int",
        last_index_of_from,
        *_TREE,
    ),
    _row("string_lower_ascii", "lowerAscii", ("string",), "string", lower_ascii, *_SIZED),
    _row("string_upper_ascii", "upperAscii", ("string",), "string", upper_ascii, *_SIZED),
    _row("string_trim", "trim", ("string",), "string", trim, *_SIZED),
    _row("string_replace_string_string", "replace", ("string",) * 3, "string", replace, *_REPLACE),
    _row("string_replace_string_string_int", "replace", (*("string",) * 3, "int"), "string", replace, *_REPLACE),
    _row("string_split_string", "split", ("string", "string"), "list(string)", split, *_SPLIT),
    _row("string_split_string_int", "split", ("string", "string", "int"), "list(string)", split, *_SPLIT),
    _row("string_substring_int", "substring", ("string", "int"), "string", substring, *_SIZED),
    _row("string_substring_int_int", "substring", ("string", "int", "int"), "string", substring, *_SIZED),
    _row("list_join", "join", ("list(string)",), "string", join, *_JOIN),
    _row("list_join_string", "join", ("list(string)", "string"), "string", join, *_JOIN),
    _row(
        "strings_quote",
        "strings.quote",
        ("string",),
        "string",
        quote,
        _static_quote,
        costs.traverse_first,
        since=29,
        by_name=False,
        member=False,
    ),
    _row(
        "string_format",
        "format",
        ("string", "list(dyn)"),
        "string",
        string_format.format_string,
        costs.static_traverse(),
        costs.traverse_first,
        since=29,
        by_name=False,
    ),
)
