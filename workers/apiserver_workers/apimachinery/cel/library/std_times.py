"""Parts of timestamps and durations: getFullYear(), getHours('+01:00') … Upstream: cel-go common/stdlib/standard.go."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from apiserver_workers.apimachinery.memo import memoized

from ..failures import Failure
from ..text import quote
from ..values import SECOND, Duration, Timestamp
from .row import Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGER = re.compile(r"[+-]?[0-9]{1,6}", re.ASCII)


def _moment(value: Timestamp, zone: str = "UTC") -> datetime:
    moment = _EPOCH + timedelta(seconds=value.nanoseconds // SECOND)
    try:
        return moment.astimezone(time_zone(zone))
    except OverflowError:
        raise Failure("timestamp overflow") from None


@memoized
def time_zone(name: str) -> tzinfo:
    """A zone by its name or its offset (`-01:30`). Raises Failure."""
    if name in ("", "UTC"):
        return UTC
    hours, colon, minutes = name.partition(":")
    if colon:
        return _offset(name, hours, minutes)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Failure(f"unknown time zone {name}") from None


def _offset(name: str, hours: str, minutes: str) -> tzinfo:
    for part in (hours, minutes):
        if not _INTEGER.fullmatch(part):
            raise Failure(f"strconv.Atoi: parsing {quote(part)}: invalid syntax")
    sign = -1 if name[0] == "-" else 1
    offset = timedelta(minutes=int(hours) * 60 + sign * int(minutes))
    try:
        return timezone(offset)
    except ValueError:
        raise Failure(f"unknown time zone {name}") from None


def _milliseconds(value: Timestamp, _zone: str = "") -> int:
    return value.nanoseconds % SECOND // 10**6


def _part(of: Callable[[datetime], int]) -> Callable[..., int]:
    def function(value: Timestamp, zone: str = "UTC") -> int:
        return of(_moment(value, zone))

    return function


def _quotient(unit: int) -> Callable[[Duration], int]:
    """Whole units of a duration, cut towards zero."""

    def function(value: Duration) -> int:
        whole = abs(value.nanoseconds) // unit
        return whole if value.nanoseconds >= 0 else -whole

    return function


def _milliseconds_with_zone(value: Timestamp, zone: str) -> int:
    time_zone(zone)
    return _milliseconds(value)


# (function, part of the overload's name, what it is of a moment)
_PARTS: tuple[tuple[str, str, str, Callable[..., int]], ...] = (
    ("getFullYear", "year", "year_with_tz", _part(lambda moment: moment.year)),
    ("getMonth", "month", "month_with_tz", _part(lambda moment: moment.month - 1)),
    ("getDayOfYear", "day_of_year", "day_of_year_with_tz", _part(lambda moment: moment.timetuple().tm_yday - 1)),
    ("getDayOfMonth", "day_of_month", "day_of_month_with_tz", _part(lambda moment: moment.day - 1)),
    ("getDate", "day_of_month_1_based", "day_of_month_1_based_with_tz", _part(lambda moment: moment.day)),
    ("getDayOfWeek", "day_of_week", "day_of_week_with_tz", _part(lambda moment: moment.isoweekday() % 7)),
    ("getHours", "hours", "hours_with_tz", _part(lambda moment: moment.hour)),
    ("getMinutes", "minutes", "minutes_with_tz", _part(lambda moment: moment.minute)),
    ("getSeconds", "seconds", "seconds_tz", _part(lambda moment: moment.second)),
)

ROWS: tuple[Row, ...] = (
    *(
        Row(f"timestamp_to_{suffix}", name, ("timestamp",), "int", function, member=True)
        for name, suffix, _, function in _PARTS
    ),
    *(
        Row(f"timestamp_to_{suffix}", name, ("timestamp", "string"), "int", function, member=True)
        for name, _, suffix, function in _PARTS
    ),
    Row("timestamp_to_milliseconds", "getMilliseconds", ("timestamp",), "int", _milliseconds, member=True),
    Row(
        "timestamp_to_milliseconds_with_tz",
        "getMilliseconds",
        ("timestamp", "string"),
        "int",
        _milliseconds_with_zone,
        member=True,
    ),
    *(
        Row(f"duration_to_{name.removeprefix('get').lower()}", name, ("duration",), "int", _quotient(unit), member=True)
        for name, unit in (
            ("getHours", 3600 * SECOND),
            ("getMinutes", 60 * SECOND),
            ("getSeconds", SECOND),
            ("getMilliseconds", 10**6),
        )
    ),
)
