"""`'%s is %d'.format([a, b])`. Upstream: cel-go ext/formatting.go."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import conversions
from ..failures import Failure
from ..text import duration, pairs, quote, timestamp
from ..values import Duration, Timestamp, UInt, is_list, is_map, type_name

_DIGITS = frozenset("0123456789")
_PRECISION = 6
_NUMBERS_IN_WORDS = ("NaN", "Infinity", "-Infinity")
_STRINGS = "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps"
_AS_STRING = frozenset(
    {
        "int",
        "uint",
        "double",
        "bool",
        "string",
        "bytes",
        "type",
        "google.protobuf.Timestamp",
        "google.protobuf.Duration",
    }
)


def format_string(template: str, args: Any) -> str:
    """The template with its clauses filled in. Raises Failure."""
    values = list(args)
    parts: list[str] = []
    position = 0
    used = 0
    while True:
        percent = template.find("%", position)
        if percent < 0:
            parts.append(template[position:])
            return "".join(parts)
        parts.append(template[position:percent])
        if template.startswith("%%", percent):
            parts.append("%")
            position = percent + 2
            continue
        if used >= len(values):
            raise Failure(f"index {used} out of range")
        formatter, position = _clause(template, percent + 1)
        parts.append(_formatted(formatter, values[used]))
        used += 1


def _formatted(formatter: Callable[[Any], str], value: Any) -> str:
    try:
        return formatter(value)
    except Failure as failure:
        raise Failure(f"error during formatting: {failure}") from None


def _clause(template: str, position: int) -> tuple[Callable[[Any], str], int]:
    if position >= len(template):
        raise Failure("unexpected end of string")
    precision = None
    if template[position] == ".":
        precision, position = _read_precision(template, position + 1)
    letter = template[position]
    if letter in ("f", "e"):
        wanted = _PRECISION if precision is None else precision
        return _FLOATS[letter](wanted), position + 1
    if letter not in _CLAUSES:
        raise Failure(f'could not parse formatting clause: unrecognized formatting clause "{letter}"')
    return _CLAUSES[letter], position + 1


def _read_precision(template: str, position: int) -> tuple[int, int]:
    end = position
    while end < len(template) and template[end] in _DIGITS:
        end += 1
    fault = "could not parse formatting clause: error while parsing precision: "
    if end >= len(template):
        raise Failure(fault + "could not find end of precision specifier")
    digits = template[position:end]
    if not digits or len(digits) > 18:
        kind = "value out of range" if digits else "invalid syntax"
        raise Failure(
            fault + f"error while converting precision to integer: strconv.Atoi: parsing {quote(digits)}: {kind}"
        )
    return min(int(digits), 10_000), end


def _string(value: Any) -> str:
    if is_list(value):
        return _list(value)
    if is_map(value):
        return _map(value)
    if value is None:
        return "null"
    name = type_name(value)
    if name not in _AS_STRING:
        raise Failure(f"string clause can only be used on {_STRINGS}, was given {name}")
    return conversions.to_string(value)


def _list(value: Any) -> str:
    return "[" + ", ".join(map(_inner, value)) + "]"


def _map(value: Any) -> str:
    entries = sorted((_key(key), _inner(item)) for key, item in pairs(value))
    return "{" + ", ".join(f"{key}:{item}" for key, item in entries) + "}"


def _key(key: Any) -> str:
    if type(key) is str:
        return quote(key)
    if type(key) in (bool, int, UInt):
        return conversions.to_string(key)
    raise Failure(f"no formatting function for map key of type {type_name(key)}")


def _inner(value: Any) -> str:
    """A value within a list or map: strings are quoted, doubles have six digits."""
    kind = type(value)
    if kind is str:
        return quote(value)
    if kind is bytes:
        return "b" + quote(conversions.to_string(value))
    if kind is float:
        return _inner_double(value)
    if kind is Timestamp:
        return f"timestamp({quote(timestamp(value))})"
    if kind is Duration:
        return f"duration({quote(duration(value))})"
    if type_name(value) not in _AS_STRING and value is not None and not is_list(value) and not is_map(value):
        raise Failure(f"no formatting function for {type_name(value)}")
    return _string(value)


def _inner_double(value: float) -> str:
    if math.isnan(value):
        return '"NaN"'
    if math.isinf(value):
        return '"+Inf"' if value > 0 else '"-Inf"'
    return f"{value:.6f}"


def _decimal(value: Any) -> str:
    if type(value) not in (int, UInt):
        raise Failure(f"decimal clause can only be used on integers, was given {type_name(value)}")
    return int.__repr__(value)


def _fixed(precision: int) -> Callable[[Any], str]:
    def clause(value: Any) -> str:
        number = _double(value, "fixed-point")
        return _special(number) or f"{number:,.{precision}f}"

    return clause


def _scientific(width: int) -> Callable[[Any], str]:
    """Upstream takes the precision for a width, so there are always six digits."""

    def clause(value: Any) -> str:
        number = _double(value, "scientific")
        text = _special(number) or _with_power(f"{number:.{_PRECISION}e}")
        return text.rjust(width)

    return clause


_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _with_power(text: str) -> str:
    """In English, as upstream's number printer writes it: 1.5 × 10⁰³."""
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}\u202f×\u202f10{exponent.lstrip('+').translate(_SUPERSCRIPT)}"


def _special(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "∞" if number > 0 else "-∞"
    return ""


def _double(value: Any, clause: str) -> float:
    if type(value) is float or value in _NUMBERS_IN_WORDS:
        return float(value)
    raise Failure(f"{clause} clause can only be used on doubles, was given {type_name(value)}")


def _binary(value: Any) -> str:
    if type(value) is bool:
        return "1" if value else "0"
    if type(value) not in (int, UInt):
        raise Failure(f"only integers and bools can be formatted as binary, was given {type_name(value)}")
    return f"{int(value):b}"


def _octal(value: Any) -> str:
    if type(value) not in (int, UInt):
        raise Failure(f"octal clause can only be used on integers, was given {type_name(value)}")
    return f"{int(value):o}"


def _hexadecimal(value: Any) -> str:
    if type(value) in (int, UInt):
        return f"{int(value):x}"
    if type(value) is bytes:
        return value.hex()
    if type(value) is str:
        return value.encode("utf-8", "surrogatepass").hex()
    raise Failure(f"only integers, byte buffers, and strings can be formatted as hex, was given {type_name(value)}")


_FLOATS: dict[str, Callable[[int], Callable[[Any], str]]] = {"f": _fixed, "e": _scientific}
_CLAUSES: dict[str, Callable[[Any], str]] = {
    "s": _string,
    "d": _decimal,
    "b": _binary,
    "o": _octal,
    "x": _hexadecimal,
    "X": lambda value: _hexadecimal(value).upper(),
}
