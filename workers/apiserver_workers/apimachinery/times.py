"""Timestamps and durations as Go reads and writes them: RFC 3339, UTC, seconds or microseconds; `1h0m0s`.

Parsing follows a layout element by element, because the message of a bad timestamp says which element failed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from apiserver_workers.apimachinery.integers import INT64, natural
from apiserver_workers.apimachinery.memo import memoized

RFC3339 = "2006-01-02T15:04:05Z07:00"
RFC3339_MICRO = "2006-01-02T15:04:05.000000Z07:00"

MAX_TERMS = 1000
FRACTION_DIGITS = 18  # of a duration; the others are less than a nanosecond

ZERO_TIME = "0001-01-01T00:00:00Z"

# Well-formed and canonical: nothing to convert but what fromisoformat has to say about the calendar.
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_CANONICAL_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

MAX_DURATION = (1 << 63) - 1
MAX_DIGITS = 19  # of a duration's number; more are beyond MAX_DURATION

# An element of the layout, what it may look like, and the name of its range error.
_DATE = (
    ("2006", re.compile(r"\d{4}", re.ASCII), ""),
    ("-", re.compile("-"), ""),
    ("01", re.compile(r"\d\d", re.ASCII), "month"),
    ("-", re.compile("-"), ""),
    ("02", re.compile(r"\d\d", re.ASCII), "day"),
    ("T", re.compile("T"), ""),
    ("15", re.compile(r"\d\d", re.ASCII), "hour"),
    (":", re.compile(":"), ""),
    ("04", re.compile(r"\d\d", re.ASCII), "minute"),
    (":", re.compile(":"), ""),
    ("05", re.compile(r"\d\d", re.ASCII), "second"),
)
_SECONDS = (("", re.compile(r"(?:[.,]\d+)?", re.ASCII), ""),)
_MICROSECONDS = ((".000000", re.compile(r"\.\d{6}", re.ASCII), ""),)
_ZONE = (("Z07:00", re.compile(r"Z|[+-]\d\d:\d\d", re.ASCII), ""),)
_LAYOUTS = {RFC3339: _DATE + _SECONDS + _ZONE, RFC3339_MICRO: _DATE + _MICROSECONDS + _ZONE}
_RANGES = {"month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)


class TimeError(ValueError):
    """The text is no timestamp or duration; the message is Go's."""


def canonical_time(text: str) -> str:
    """A timestamp in seconds and UTC. Raises TimeError."""
    if _CANONICAL.fullmatch(text):
        return _checked(text)
    moment = parse(text, RFC3339)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")


def canonical_microtime(text: str) -> str:
    """A timestamp in microseconds and UTC. Raises TimeError."""
    if _CANONICAL_MICRO.fullmatch(text):
        _checked(text)
        return text
    moment = parse(text, RFC3339_MICRO)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def parse(text: str, layout: str = RFC3339) -> datetime:
    """The moment in UTC, as Go's time.Parse with that layout. Raises TimeError with Go's message."""
    position, parts = 0, []
    for element, pattern, unit in _LAYOUTS[layout]:
        match = pattern.match(text, position)
        if match is None:
            raise TimeError(f'parsing time "{text}" as "{layout}": cannot parse "{text[position:]}" as "{element}"')
        position = match.end()
        if unit and not _RANGES[unit][0] <= int(match[0]) <= _RANGES[unit][1]:
            raise TimeError(f'parsing time "{text}": {unit} out of range')
        parts.append(match[0])
    if position < len(text):
        raise TimeError(f'parsing time "{text}": extra text: "{text[position:]}"')
    try:
        year, month, day, hour, minute, second = (int(part) for part in parts[0:11:2])
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        moment += timedelta(microseconds=int(parts[11][1:7].ljust(6, "0")) if parts[11] else 0)
        return moment - _offset(parts[12])
    except (ValueError, OverflowError):
        raise TimeError(f'parsing time "{text}": day out of range') from None


@memoized
def _checked(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        parse(text, RFC3339_MICRO if "." in text else RFC3339)
        raise TimeError(f'parsing time "{text}": day out of range') from None
    return text


def _offset(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
    return -offset if zone[0] == "-" else offset


def parse_duration(text: str) -> int:
    """A duration such as `1h30m` in nanoseconds. Raises TimeError with Go's message."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total = position = 0
    for _ in range(MAX_TERMS):
        if position == len(rest):
            break
        match = _DURATION.match(rest, position)
        if match is None or not (match[1] or match[2]):
            raise TimeError(f'time: invalid duration "{text}"')
        unit = _UNITS[match[3]]
        whole = natural(match[1] or "0", INT64)
        if whole is None:
            raise TimeError(f'time: invalid duration "{text}"')
        fraction = (match[2] or "")[:FRACTION_DIGITS]
        total += whole * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        if total > INT64 - (text[0] != "-"):
            raise TimeError(f'time: invalid duration "{text}"')
        position = match.end()
    if not rest or position < len(rest):
        raise TimeError(f'time: invalid duration "{text}"')
    return -total if text[0] == "-" else total


def format_duration(nanoseconds: int) -> str:
    """A duration as Go's Duration.String writes it."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if rest < 10**9:
        unit = next(name for name in ("ms", "µs", "ns") if rest >= _UNITS[name])
        return f"{sign}{_decimal(rest, _UNITS[unit])}{unit}"
    minutes, rest = divmod(rest, _UNITS["m"])
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{text}{_decimal(rest, 10**9)}s"


def _decimal(number: int, unit: int) -> str:
    whole, rest = divmod(number, unit)
    digits = len(str(unit)) - 1
    return f"{whole}.{rest:0{digits}d}".rstrip("0") if rest else str(whole)
