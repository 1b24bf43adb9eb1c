"""Cron schedules: what the parser of upstream (github.com/robfig/cron ParseStandard) accepts, and what it says if not."""

from __future__ import annotations

from apiserver_workers.apimachinery.integers import whole

MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
    )
}
DAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}

# (lowest, highest, names) of each field: minute, hour, day of month, month, day of week.
FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, MONTHS),
    (0, 6, DAYS),
)
DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
DURATION_UNITS = ("ns", "us", "µs", "ms", "s", "m", "h")


class _Fault(Exception):
    pass


def schedule_fault(schedule: str) -> str | None:
    """What is wrong with a schedule, in the parser's words; None if it is valid."""
    try:
        _parse(schedule)
    except _Fault as fault:
        return str(fault)
    return None


def _parse(schedule: str) -> None:
    if not schedule:
        raise _Fault("empty spec string")
    if schedule.startswith(("TZ=", "CRON_TZ=")):
        schedule = schedule.partition(" ")[2].strip()
    if schedule.startswith("@"):
        _parse_descriptor(schedule)
        return
    fields = schedule.split()
    if len(fields) != len(FIELDS):
        raise _Fault(f"expected exactly {len(FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]")
    for text, bounds in zip(fields, FIELDS, strict=True):
        for part in text.split(","):
            _parse_range(part, *bounds)


def _parse_descriptor(schedule: str) -> None:
    if schedule in DESCRIPTORS:
        return
    prefix, every, duration = schedule.partition("@every ")
    if not every or prefix:
        raise _Fault(f"unrecognized descriptor: {schedule}")
    rest = duration
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        unit = next((u for u in sorted(DURATION_UNITS, key=len, reverse=True) if rest[digits:].startswith(u)), None)
        if not digits or unit is None:
            raise _Fault(f'failed to parse duration {schedule}: time: invalid duration "{duration}"')
        rest = rest[digits + len(unit) :]


def _parse_range(text: str, lowest: int, highest: int, words: dict[str, int]) -> None:
    span, *steps = text.split("/")
    ends = span.split("-")
    if ends[0] in ("*", "?"):
        start, end = lowest, highest
    else:
        start = _number(ends[0], words)
        if len(ends) > 2:
            raise _Fault(f"too many hyphens: {text}")
        end = _number(ends[1], words) if len(ends) == 2 else start
    if len(steps) > 1:
        raise _Fault(f"too many slashes: {text}")
    step = 1
    if steps:
        step = _number(steps[0], {})
        if len(ends) == 1:
            end = highest
    if start < lowest:
        raise _Fault(f"beginning of range ({start}) below minimum ({lowest}): {text}")
    if end > highest:
        raise _Fault(f"end of range ({end}) above maximum ({highest}): {text}")
    if start > end:
        raise _Fault(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise _Fault(f"step of range should be a positive number: {text}")


def _number(text: str, words: dict[str, int]) -> int:
    if text.lower() in words:
        return words[text.lower()]
    if not text.lstrip("+-").isdecimal():
        raise _Fault(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = whole(text)
    if number < 0:
        raise _Fault(f"negative number ({number}) not allowed: {text}")
    return number
