"""JSON text to values, with Go's words for what is wrong with it.

The common case is orjson's. Only when that refuses a body does the slow path look again: Go takes invalid UTF-8 and
lone surrogates (and replaces them), and names the character and the state at which a body stops being JSON.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

MAX_DEPTH = 10_000
MAX_INTEGER = 20  # characters of the longest that fits 64 bits
MIN_INT64 = -(1 << 63)
MAX_UINT64 = 1 << 64
TOO_DEEP = "exceeded max depth"
END_OF_INPUT = "unexpected end of JSON input"

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_STRING_START = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SURROGATE = re.compile("[\ud800-\udfff]")

# What may go on where a number stops: (how the number so far looks, what Go says of the next character).
_BROKEN_NUMBERS = (
    (re.compile(r"-$"), "in numeric literal"),
    (re.compile(r"\.$"), "after decimal point in numeric literal"),
    (re.compile(r"[eE][+-]?$"), "in exponent of numeric literal"),
)
_NUMBER_START = re.compile(r"-?(?:0|[1-9][0-9]*)?(?:(?<=[0-9])\.[0-9]*)?(?:(?<=[0-9])[eE][+-]?[0-9]*)?")


class DecodeError(Exception):
    """A body cannot be decoded; the message is upstream's."""


class Pairs(list[tuple[str, Any]]):
    """An object as its keys and values in the order of the document, repeated keys included."""


def loads(body: bytes) -> Any:
    """The value of a JSON text. Raises DecodeError with Go's message."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body.decode("utf-8", "replace")
        return _loads_slowly(text, object_pairs_hook=None)


def load_pairs(body: bytes) -> Any:
    """The value of a JSON text that is known to be valid, with its objects as Pairs."""
    return _loads_slowly(body.decode("utf-8", "replace"), object_pairs_hook=Pairs)


def may_repeat_keys(body: bytes, value: Any) -> bool:
    """Whether some object of the body may have a key twice; `value` is what the body was decoded to.

    A value that is written again has each key once, so a repeated key shows in the number of keys. A key is a quote
    followed by a colon; that occurs elsewhere only in a string, where the quote is escaped. Bodies with space before a
    colon are said to be suspect, and so is what nests deeper than orjson writes.
    """
    try:
        again = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return _keys(body) != _keys(again) or b'" :' in body


def repeated_keys(value: Any, path: str = "") -> list[str]:
    """The paths of keys that stand twice in an object of a document that load_pairs read."""
    found: list[str] = []
    if isinstance(value, Pairs):
        seen: set[str] = set()
        for key, item in value:
            place = f"{path}.{key}" if path else key
            if key in seen:
                found.append(place)
            seen.add(key)
            found += repeated_keys(item, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found += repeated_keys(item, f"{path}[{index}]")
    return found


def _keys(text: bytes) -> int:
    return text.count(b'":') - text.count(b'\\":')


def _loads_slowly(text: str, *, object_pairs_hook: type[Pairs] | None) -> Any:
    error = syntax_error(text)
    if error is not None:
        raise DecodeError(error)
    try:
        value = json.loads(text, object_pairs_hook=object_pairs_hook, parse_int=_integer, parse_float=_float)
        return _without_surrogates(value)
    except RecursionError:
        raise DecodeError(TOO_DEEP) from None


def _integer(text: str) -> int | float:
    """An integer as orjson reads it: beyond 64 bits it is a double."""
    number = int(text) if len(text) <= MAX_INTEGER else MAX_UINT64
    return number if MIN_INT64 <= number < MAX_UINT64 else _float(text)


def _float(text: str) -> float:
    """Raises DecodeError for a number beyond all doubles."""
    number = float(text)
    if math.isinf(number):
        raise DecodeError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return number


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, Pairs):
        return Pairs((_without_surrogates(key), _without_surrogates(item)) for key, item in value)
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value


def syntax_error(text: str) -> str | None:
    """What Go's scanner says of the text, or None when it is one JSON value."""
    containers: list[str] = []
    position = 0
    expected = "value"
    while True:
        position = _SPACE.match(text, position).end()  # type: ignore[union-attr]
        if position == len(text):
            return None if expected == "nothing" else END_OF_INPUT
        char = text[position]
        if expected in ("key", "key or end"):
            if char == "}" and expected == "key or end":
                containers.pop()
                position, expected = position + 1, _after(containers)
                continue
            if char != '"':
                return _invalid(char, "looking for beginning of object key string")
            end, error = _scan_string(text, position)
            if error:
                return error
            position, expected = end, "colon"
        elif expected == "colon":
            if char != ":":
                return _invalid(char, "after object key")
            position, expected = position + 1, "value"
        elif expected in ("value", "value or end"):
            if char == "]" and expected == "value or end":
                containers.pop()
                position, expected = position + 1, _after(containers)
            elif char in "{[":
                containers.append(char)
                if len(containers) > MAX_DEPTH:
                    return TOO_DEEP
                position, expected = position + 1, "key or end" if char == "{" else "value or end"
            else:
                end, error = _scan_scalar(text, position)
                if error:
                    return error
                position, expected = end, _after(containers)
        elif expected == "nothing":
            return _invalid(char, "after top-level value")
        else:
            closing = "}" if containers[-1] == "{" else "]"
            if char == ",":
                position, expected = position + 1, "key" if closing == "}" else "value"
            elif char == closing:
                containers.pop()
                position, expected = position + 1, _after(containers)
            else:
                return _invalid(char, "after object key:value pair" if closing == "}" else "after array element")


def _after(containers: list[str]) -> str:
    return "comma or end" if containers else "nothing"


def _scan_scalar(text: str, position: int) -> tuple[int, str | None]:
    char = text[position]
    if char == '"':
        return _scan_string(text, position)
    for literal in ("true", "false", "null"):
        if char == literal[0]:
            return _scan_literal(text, position, literal)
    if char in "-0123456789":
        return _scan_number(text, position)
    return position, _invalid(char, "looking for beginning of value")


def _scan_string(text: str, position: int) -> tuple[int, str | None]:
    match = _STRING.match(text, position)
    if match:
        return match.end(), None
    position = _STRING_START.match(text, position).end()  # type: ignore[union-attr]
    rest = text[position : position + 6]
    if not rest:
        return position, END_OF_INPUT
    if rest[0] != "\\":
        return position, _invalid(rest[0], "in string literal")
    if len(rest) < 2:
        return position, END_OF_INPUT
    if rest[1] != "u":
        return position, _invalid(rest[1], "in string escape code")
    wrong = next((char for char in rest[2:] if char not in "0123456789abcdefABCDEF"), None)
    return position, _invalid(wrong, "in \\u hexadecimal character escape") if wrong else END_OF_INPUT


def _scan_number(text: str, position: int) -> tuple[int, str | None]:
    start = position
    position = _NUMBER_START.match(text, start).end()  # type: ignore[union-attr]
    number = text[start:position]
    if _NUMBER.fullmatch(number):
        return position, None
    if position == len(text):
        return position, END_OF_INPUT
    state = next(state for pattern, state in _BROKEN_NUMBERS if pattern.search(number))
    return position, _invalid(text[position], state)


def _scan_literal(text: str, position: int, literal: str) -> tuple[int, str | None]:
    for offset, expected in enumerate(literal):
        if position + offset == len(text):
            return position, END_OF_INPUT
        if text[position + offset] != expected:
            state = f"in literal {literal} (expecting {_quoted(expected)})"
            return position, _invalid(text[position + offset], state)
    return position + len(literal), None


def _invalid(char: str, state: str) -> str:
    # Go looks at bytes: of a character beyond ASCII it shows the first byte.
    first = char if char.isascii() else chr(char.encode("utf-8", "replace")[0])
    return f"invalid character {_quoted(first)} {state}"


def _quoted(char: str) -> str:
    if char == "'":
        return r"'\''"
    if char == '"':
        return "'\"'"
    escapes = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\", "\a": r"\a", "\b": r"\b", "\f": r"\f", "\v": r"\v"}
    shown = escapes.get(char) or (char if char.isprintable() else f"\\x{ord(char):02x}")
    return f"'{shown}'"
