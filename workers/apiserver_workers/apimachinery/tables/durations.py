"""Ages as kubectl shows them: duration.HumanDuration, about three significant digits."""

from __future__ import annotations

from datetime import datetime

UNKNOWN = "<unknown>"
MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


def seconds_of(timestamp: str) -> float:
    """Unix seconds of an RFC 3339 time."""
    return datetime.fromisoformat(timestamp).timestamp()


def human_duration(seconds: float) -> str:
    """A duration with the precision a reader wants: 119s, 9m59s, 2h5m, 3d, 2y10d. Clocks may differ by two seconds."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    if whole < 0:
        return "0s"
    if whole < 2 * MINUTE:
        return f"{whole}s"
    # (below, unit, its letter, the smaller unit that is shown too)
    for below, unit, letter, smaller in _STEPS:
        if whole < below:
            large, rest = divmod(whole, unit)
            small = rest // smaller[0] if smaller else 0
            return f"{large}{letter}{small}{smaller[1]}" if smaller and small else f"{large}{letter}"
    return f"{whole // YEAR}y"


_STEPS: tuple[tuple[int, int, str, tuple[int, str] | None], ...] = (
    (10 * MINUTE, MINUTE, "m", (1, "s")),
    (3 * HOUR, MINUTE, "m", None),
    (8 * HOUR, HOUR, "h", (MINUTE, "m")),
    (48 * HOUR, HOUR, "h", None),
    (8 * DAY, DAY, "d", (HOUR, "h")),
    (2 * YEAR, DAY, "d", None),
    (8 * YEAR, YEAR, "y", (DAY, "d")),
)


def age(timestamp: str | None, now: float) -> str:
    """How long ago a time was, or <unknown> when there is none."""
    return human_duration(now - seconds_of(timestamp)) if timestamp else UNKNOWN
