"""Values as Go prints them: in error messages (`%v`), in `strings.quote` and `string(double)`.

Upstream: Go's fmt and strconv; `String` methods in cel-go common/types.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from apiserver_workers.apimachinery import times

from .values import (
    MISSING,
    SECOND,
    Duration,
    Optional,
    Timestamp,
    TypeValue,
    UInt,
    View,
    is_list,
    is_map,
    type_name,
)

_EPOCH = datetime(1970, 1, 1)
_EXPONENT_FROM = 6
_ESCAPES = {
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


def quote(text: str) -> str:
    """Go's strconv.Quote."""
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def double(value: float) -> str:
    """Go's %g and %v of a float64: the shortest digits, with an exponent below 1e-04 and from 1e+06."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return sign + "0"
    digits, exponent = _shortest(abs(value))
    return sign + _place_point(digits, exponent)


def _shortest(value: float) -> tuple[str, int]:
    """The shortest digits that round to the value, and the exponent of the first of them."""
    _, digits, exponent = Decimal(repr(value)).as_tuple()
    text = "".join(map(str, digits))
    return text.rstrip("0"), int(exponent) + len(text) - 1


def _place_point(digits: str, exponent: int) -> str:
    if exponent < -4 or exponent >= _EXPONENT_FROM:
        head = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{head}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return "0." + "0" * (-exponent - 1) + digits
    if len(digits) <= exponent + 1:
        return digits.ljust(exponent + 1, "0")
    return digits[: exponent + 1] + "." + digits[exponent + 1 :]


def decimal(value: float) -> str:
    """Go's FormatFloat(value, 'f', -1, 64): the shortest digits, never an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(value: Duration) -> str:
    """A duration as `string(d)` gives it: in seconds."""
    return decimal(value.nanoseconds / SECOND) + "s"


def timestamp(value: Timestamp) -> str:
    """A timestamp as `string(t)` gives it: RFC 3339 with its own offset, fractions as far as needed."""
    seconds, nanoseconds = divmod(value.nanoseconds, SECOND)
    moment = _EPOCH + timedelta(seconds=seconds + value.offset)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + fraction + _zone(value.offset)


def _zone(offset: int) -> str:
    if not offset:
        return "Z"
    hours, minutes = divmod(abs(offset) // 60, 60)
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"


def show(value: Any) -> str:
    """A value as upstream's errors print it (%v of the CEL value)."""
    kind = type(value)
    shown = _SHOWN.get(kind)
    if shown is not None:
        return shown(value)
    if is_list(value):
        return "[" + ", ".join(map(show, value)) + "]"
    if is_map(value):
        return "{" + ", ".join(f"{show(key)}: {show(item)}" for key, item in pairs(value)) + "}"
    return str(value)


def pairs(value: Any) -> list[tuple[Any, Any]]:
    """Keys and values of a map."""
    if isinstance(value, View):
        return [(key, value.find(key)) for key in value]
    return list(value.items())


def _show_timestamp(value: Timestamp) -> str:
    text = timestamp(value)
    zone = "+0000 UTC" if text.endswith("Z") else text[-6:].replace(":", "") + " " + text[-6:].replace(":", "")
    return text.replace("T", " ").removesuffix("Z")[: -6 if value.offset else None] + " " + zone


def _show_optional(value: Optional) -> str:
    return "optional.none()" if value.value is MISSING else f"optional({show(value.value)})"


_SHOWN: dict[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    int: str,
    UInt: int.__repr__,
    float: double,
    bytes: lambda value: "[" + " ".join(map(str, value)) + "]",
    type(None): lambda _: "NULL_VALUE",
    Duration: lambda value: times.format_duration(value.nanoseconds),
    Timestamp: _show_timestamp,
    TypeValue: lambda value: value.name,
    Optional: _show_optional,
}


_GO_TYPES = {
    "bool": "types.Bool",
    "bytes": "types.Bytes",
    "double": "types.Double",
    "int": "types.Int",
    "null_type": "types.Null",
    "string": "types.String",
    "uint": "types.Uint",
    "google.protobuf.Duration": "types.Duration",
    "google.protobuf.Timestamp": "types.Timestamp",
    "optional_type": "*types.Optional",
    "type": "*types.Type",
    "list": "*types.baseList",
    "map": "*types.baseMap",
}


def go_type(value: Any) -> str:
    """The name of upstream's Go type of a value."""
    name = type_name(value)
    return _GO_TYPES.get(name, name)


def result(value: Any) -> str:
    """The result of an evaluation as a Go program prints it: strings in JSON's quotes, the rest by %v of the native value."""
    if type(value) is str:
        return json.dumps(value, ensure_ascii=False)
    if type(value) is Optional:
        return "<nil>" if value.value is MISSING else show(value.value)
    if is_list(value):
        return "[" + " ".join(map(show, value)) + "]"
    if is_map(value):
        entries = sorted(pairs(value), key=lambda pair: (type(pair[0]).__name__, pair[0]))
        return "map[" + " ".join(f"{show(key)}:{show(item)}" for key, item in entries) + "]"
    return show(value)
