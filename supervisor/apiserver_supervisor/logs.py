"""Showing the log files of a server, one or all of them together in the order of time.

A line's time and level are read from its head: klog's (`I1130 21:04:05.123456`) of our processes' text, or the keys `ts` and
`level` or `v` of JSON lines, ours and etcd's. A line without such a head, as of a traceback, belongs to the line before.
"""

from __future__ import annotations

import heapq
import json
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import click

PAUSE = 0.2
DEBUG, INFO, WARNING, ERROR = range(4)
_KLOG = re.compile(r"([DIWEF])(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)\.(\d{6}) ")
_LETTERS = {"D": DEBUG, "I": INFO, "W": WARNING, "E": ERROR, "F": ERROR}
_WORDS = {"debug": DEBUG, "info": INFO, "warn": WARNING, "warning": WARNING, "error": ERROR}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which lines are shown: of the last `since` seconds, at least of a `level` (0 debug to 3 error), the last `lines`."""

    since: float | None = None
    level: int = DEBUG
    lines: int = 200


class Record(NamedTuple):
    """One log entry: seconds since the epoch, level, and its lines."""

    at: float
    level: int
    text: str


def show(files: Sequence[Path], selection: Selection, *, follow: bool) -> None:
    """Print the selected records of the files, with the role in front if there are several, and go on if asked to."""
    width = max(len(file.stem) for file in files)
    heads = {file: f"{file.stem:{width}} | " if len(files) > 1 else "" for file in files}
    oldest = time.time() - selection.since if selection.since is not None else 0.0
    opened = [(heads[file], Tail(file)) for file in files]

    def added() -> Iterator[tuple[float, str]]:
        streams = (_headed(head, tail.records(), selection.level, oldest) for head, tail in opened)
        return heapq.merge(*streams, key=lambda item: item[0])

    for _, text in deque(added(), maxlen=selection.lines):
        click.echo(text)
    while follow:
        for _, text in added():
            click.echo(text)
        time.sleep(PAUSE)


def _headed(head: str, records: Iterable[Record], level: int, oldest: float) -> Iterator[tuple[float, str]]:
    for record in records:
        if record.level >= level and record.at >= oldest:
            yield record.at, "\n".join(head + line for line in record.text.split("\n"))


class Tail:
    """A log file that grows and may be rotated. `records` gives what was added since the last call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = path.open(errors="replace")
        self._last = Record(0.0, INFO, "")

    def records(self) -> Iterator[Record]:
        """The new records; a line without a head goes to the record before it."""
        waiting: Record | None = None
        for line in self._lines():
            record = parse(line.rstrip("\n"), self._last)
            if waiting is not None and record.at < 0:
                waiting = waiting._replace(text=f"{waiting.text}\n{record.text}")
                continue
            if waiting is not None:
                yield waiting
            waiting = record if record.at >= 0 else record._replace(at=self._last.at)
            self._last = waiting
        if waiting is not None:
            yield waiting

    def _lines(self) -> Iterator[str]:
        if os.fstat(self._stream.fileno()).st_size < self._stream.tell():
            self._stream.seek(0)  # the file was begun anew
        yield from iter(self._stream.readline, "")
        if self._replaced():
            self._stream.close()
            self._stream = self._path.open(errors="replace")
            yield from iter(self._stream.readline, "")

    def _replaced(self) -> bool:
        """Whether the path leads to another file by now."""
        try:
            return self._path.stat().st_ino != os.fstat(self._stream.fileno()).st_ino
        except FileNotFoundError:
            return False


def parse(line: str, before: Record) -> Record:
    """A line as a record. `at` is -1 for a line without a head of its own, whose level is that of the record before."""
    if match := _KLOG.match(line):
        return Record(_klog_time(match), _LETTERS[match[1]], line)
    if line.startswith("{"):
        return _json_record(line, before)
    return Record(-1.0, before.level, line)


def _klog_time(match: re.Match[str]) -> float:
    """klog's head has no year: it is this one, or the last one for a date to come."""
    month, day, hour, minute, second, micro = (int(text) for text in match.groups()[1:])
    now = datetime.now()
    at = datetime(now.year, month, day, hour, minute, second, micro)
    if (at - now).days > 1:
        at = at.replace(year=now.year - 1)
    return at.timestamp()


def _json_record(line: str, before: Record) -> Record:
    try:
        fields = json.loads(line)
        return Record(_json_time(fields["ts"]), _json_level(fields), line)
    except (ValueError, KeyError, TypeError):
        return Record(-1.0, before.level, line)


def _json_time(stamp: float | str) -> float:
    """`ts` is in milliseconds in our lines, a date and time in etcd's."""
    if isinstance(stamp, str):
        return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()
    return stamp / 1000


def _json_level(fields: dict[str, object]) -> int:
    if "level" in fields:
        return _WORDS.get(str(fields["level"]), INFO)
    if "err" in fields:
        return ERROR
    return INFO if fields.get("v", 0) == 0 else DEBUG
