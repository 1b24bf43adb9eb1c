"""Conversions between types: int(x), duration(x) …, and of JSON strings whose schema has a format.

`int()` and `float()` of Python take more than Go does (spaces, underscores, other scripts' digits), so the text is
looked at first. Upstream: `ConvertToType` in cel-go common/types.
"""

from __future__ import annotations

import base64
import binascii
import functools
import re
from datetime import date, datetime
from typing import Any

from apiserver_workers.apimachinery import times

from . import text as texts
from .failures import Failure
from .values import (
    INT_MAX,
    INT_MIN,
    SECOND,
    UINT_MAX,
    Duration,
    Timestamp,
    TypeValue,
    UInt,
    type_name,
)

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_MOST_DIGITS = 20
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_HEXADECIMAL = re.compile(r"[+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+", re.ASCII)
_WORDS = re.compile(r"[+-]?(?:inf|infinity)|nan", re.IGNORECASE)
_BOOLS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}
_TIMESTAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)
EARLIEST, LATEST = -62135596800, 253402300799
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_DAY = 86400


def mismatch(value: Any, target: str) -> Failure:
    """The error of a value that has no counterpart of the target type."""
    return Failure(f"type conversion error from '{type_name(value)}' to '{target}'")


def to_int(value: Any) -> int:
    """int(value). Raises Failure."""
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is UInt:
        return _checked_int(int(value))
    if kind is float:
        if not -(2.0**63) < value < 2.0**63:
            raise Failure("integer overflow")
        return int(value)
    if kind is str:
        parsed = _parse_integer(value)
        if parsed is not None and INT_MIN <= parsed <= INT_MAX:
            return parsed
    elif kind is Duration:
        return int(value.nanoseconds)
    elif kind is Timestamp:
        return int(value.nanoseconds // SECOND)
    raise mismatch(value, "int")


def _parse_integer(text: str) -> int | None:
    """The number; None if the text is none, or one of far too many digits (Python refuses to read those)."""
    if not _INTEGER.fullmatch(text):
        return None
    digits = text.lstrip("+-").lstrip("0")
    if len(digits) > _MOST_DIGITS:
        return None
    number = int(digits or "0")
    return -number if text[0] == "-" else number


def _checked_int(value: int) -> int:
    if value > INT_MAX:
        raise Failure("integer overflow")
    return value


def to_uint(value: Any) -> UInt:
    """uint(value). Raises Failure."""
    kind = type(value)
    if kind is UInt:
        return UInt(value)
    if kind is int:
        if value < 0:
            raise Failure("unsigned integer overflow")
        return UInt(value)
    if kind is float:
        if not 0 <= value < 2.0**64:
            raise Failure("unsigned integer overflow")
        return UInt(int(value))
    if kind is str and value.isdigit():
        parsed = _parse_integer(value)
        if parsed is not None and parsed <= UINT_MAX:
            return UInt(parsed)
    raise mismatch(value, "uint")


def to_double(value: Any) -> float:
    """double(value). Raises Failure."""
    if type(value) in (int, UInt, float):
        return float(value)
    if type(value) is str:
        parsed = _parse_double(value)
        if parsed is not None:
            return parsed
    raise mismatch(value, "double")


def _parse_double(text: str) -> float | None:
    if _DECIMAL.fullmatch(text):
        value = float(text)
        return None if value in (float("inf"), float("-inf")) else value
    if _WORDS.fullmatch(text):
        return float(text)
    if _HEXADECIMAL.fullmatch(text):
        return float.fromhex(text)
    return None


def to_bool(value: Any) -> bool:
    """bool(value). Raises Failure."""
    if type(value) is bool:
        return value
    if type(value) is str and value in _BOOLS:
        return _BOOLS[value]
    raise mismatch(value, "bool")


def to_bytes(value: Any) -> bytes:
    """bytes(value). Raises Failure."""
    if type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode("utf-8", "surrogatepass")
    raise mismatch(value, "bytes")


def to_string(value: Any) -> str:
    """string(value). Raises Failure."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bytes:
        return _decode(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is UInt:
        return int.__repr__(value)
    if kind is float:
        return texts.double(value)
    if kind is Duration:
        return texts.duration(value)
    if kind is Timestamp:
        return texts.timestamp(value)
    if kind is TypeValue:
        return str(value.name)
    raise mismatch(value, "string")


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Failure("invalid UTF-8 in bytes, cannot convert to string") from None


def to_duration(value: Any) -> Duration:
    """duration(value). Raises Failure."""
    if type(value) is Duration:
        return value
    if type(value) is str:
        nanoseconds = parse_duration(value)
        if nanoseconds is not None:
            return Duration(nanoseconds)
    raise mismatch(value, "google.protobuf.Duration")


def parse_duration(text: str) -> int | None:
    """The nanoseconds of Go's `1h30m`; None if it is none or does not fit into 64 bits."""
    try:
        nanoseconds = times.parse_duration(text)
    except ValueError:
        return None
    return nanoseconds if INT_MIN <= nanoseconds <= INT_MAX else None


def to_timestamp(value: Any) -> Timestamp:
    """timestamp(value). Raises Failure."""
    if type(value) is Timestamp:
        return value
    if type(value) is int:
        return _in_range(Timestamp(value * SECOND))
    if type(value) is str:
        parsed = parse_timestamp(value)
        if parsed is not None:
            return _in_range(parsed)
    raise mismatch(value, "google.protobuf.Timestamp")


def _in_range(moment: Timestamp) -> Timestamp:
    if not EARLIEST <= moment.nanoseconds // SECOND <= LATEST:
        raise Failure("timestamp overflow")
    return moment


@functools.lru_cache(maxsize=1024)
def parse_timestamp(text: str) -> Timestamp | None:
    """A moment in RFC 3339, None if the text is none."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    days = _days(year, month, day)
    if days is None or hour > 23 or minute > 59 or second > 59:
        return None
    offset = _offset(match[8], match[9], match[10])
    if offset is None:
        return None
    seconds = days * _DAY + hour * 3600 + minute * 60 + second - offset
    return Timestamp(seconds * SECOND + int((match[7] or "")[:9].ljust(9, "0")), offset)


def _days(year: int, month: int, day: int) -> int | None:
    """Days since 1970. The year 0, which Python does not have, is a leap year: 2000 moved by 2000 years."""
    shift = 0
    if year == 0:
        year, shift = 2000, -730485
    try:
        return date(year, month, day).toordinal() - _EPOCH_DAY + shift
    except ValueError:
        return None


def _offset(sign: str | None, hours: str | None, minutes: str | None) -> int | None:
    if sign is None or hours is None or minutes is None:
        return 0
    if int(hours) > 24 or int(minutes) > 59:
        return None
    seconds = int(hours) * 3600 + int(minutes) * 60
    return -seconds if sign == "-" else seconds


# Formats of OpenAPI schemas, which read more than CEL's own conversions.
_LONG_UNITS = {
    "n": 1, "ns": 1, "nano": 1, "nanosecond": 1,
    "us": 10**3, "µs": 10**3, "micro": 10**3, "microsecond": 10**3,
    "ms": 10**6, "milli": 10**6, "millisecond": 10**6,
    "s": SECOND, "sec": SECOND, "second": SECOND,
    "m": 60 * SECOND, "min": 60 * SECOND, "minute": 60 * SECOND,
    "h": 3600 * SECOND, "hr": 3600 * SECOND, "hour": 3600 * SECOND,
    "d": 86400 * SECOND, "day": 86400 * SECOND,
    "w": 7 * 86400 * SECOND, "wk": 7 * 86400 * SECOND, "week": 7 * 86400 * SECOND,
}  # fmt: skip
_LONG_DURATION = re.compile(r"((?:\d+)\s*([A-Za-zµ]+))", re.ASCII)
_DATE_TIMES = ("%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")


def schema_duration(text: str) -> Duration:
    """A value of a schema's format `duration`: Go's, or `3 days`. Raises Failure (kube-openapi strfmt/duration.go)."""
    nanoseconds = parse_duration(text)
    if nanoseconds is not None:
        return Duration(nanoseconds)
    total = 0
    matches = _LONG_DURATION.findall(text)
    if not matches:
        raise Failure(f"Invalid duration {text}: unable to parse {text} as duration")
    for whole, unit in matches:
        factor = _unit(unit)
        if factor is None:
            raise Failure(f"Invalid duration {text}: unable to parse {text} as duration")
        total += int(re.match(r"\d+", whole, re.ASCII)[0]) * factor  # type: ignore[index]
    return Duration(total)


def _unit(name: str) -> int | None:
    lower = name.lower()
    return _LONG_UNITS.get(lower) or _LONG_UNITS.get(lower.removesuffix("s"))


def schema_date(text: str) -> Timestamp:
    """A value of a schema's format `date`. Raises Failure."""
    parsed = parse_timestamp(text + "T00:00:00Z")
    if parsed is None:
        raise Failure(f"Invalid date formatted string {text}: {_time_fault(text)}")
    return parsed


def _time_fault(text: str) -> str:
    return f'parsing time "{text}" as "2006-01-02": cannot parse "{text}" as "2006"'


def schema_date_time(text: str) -> Timestamp:
    """A value of a schema's format `date-time`: the zone may be missing. Raises Failure."""
    if text == "":
        return Timestamp(0)
    parsed = parse_timestamp(text.replace("t", "T").replace("z", "Z"))
    if parsed is not None:
        return parsed
    for layout in _DATE_TIMES:
        try:
            moment = datetime.strptime(text, layout)
        except ValueError:
            continue
        whole = parse_timestamp(moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0"))
        if whole is not None:
            return whole
    raise Failure(f"Invalid date-time formatted string {text}: {_time_fault(text)}")


def schema_bytes(text: str) -> bytes:
    """A value of a schema's format `byte`. Raises Failure."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Failure(f"Invalid byte formatted string {text}: illegal base64 data at input byte 0") from None
