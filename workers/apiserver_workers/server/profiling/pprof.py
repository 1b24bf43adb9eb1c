"""Collapsed stacks as pprof's own format, gzipped protobuf, which `go tool pprof` and continuous profilers read.

The message is github.com/google/pprof/proto/profile.proto; it is small, so it is written by hand.
"""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from apiserver_workers.apimachinery.protobuf.wire import BYTES, VARINT, tagged, varint

T = TypeVar("T")

_FRAME = re.compile(r"(.+) \((.+):(\d+)\)")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a stack's weight is: one or more values, each a multiple of it, by type and unit."""

    values: Mapping[tuple[str, str], int]
    period: tuple[str, str, int] | None = None


SAMPLES = 10_000_000  # nanoseconds of CPU time between two samples
# the profiles whose lines are stacks; the heap's are not
KINDS = {
    "profile": Kind({("samples", "count"): 1, ("cpu", "nanoseconds"): SAMPLES}, ("cpu", "nanoseconds", SAMPLES)),
    "goroutine": Kind({("goroutine", "count"): 1}),
    "block": Kind({("delay", "nanoseconds"): 1_000_000}),
}


def encode(kind: Kind, lines: Iterable[str], seconds: float) -> bytes:
    """The profile of lines `outermost;...;innermost weight`, taken over so many seconds until now."""
    strings = _Table([""])
    functions: _Table[tuple[int, int, int]] = _Table()
    body = [_message(1, _value_type(strings, *pair)) for pair in kind.values]
    for line in lines:
        stack, _, weight = line.rpartition(" ")
        frames = [functions.number(_function(strings, frame)) + 1 for frame in reversed(stack.split(";"))]
        values = [int(weight) * factor for factor in kind.values.values()]
        body.append(_message(2, _packed(1, frames) + _packed(2, values)))
    for index, (name, file, line_number) in enumerate(functions.items, 1):
        body.append(_message(4, _number(1, index) + _message(4, _number(1, index) + _number(2, line_number))))
        text = _number(2, name) + _number(3, name) + _number(4, file) + _number(5, line_number)
        body.append(_message(5, _number(1, index) + text))
    body.append(_number(9, time.time_ns()) + _number(10, int(seconds * 1e9)))
    if kind.period:
        body.append(_message(11, _value_type(strings, *kind.period[:2])) + _number(12, kind.period[2]))
    body += [_message(6, text.encode()) for text in strings.items]
    return gzip.compress(b"".join(body), 1)


class _Table(Generic[T]):
    """Things by the order in which they were first seen."""

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._numbers = {item: index for index, item in enumerate(items)}

    def number(self, item: T) -> int:
        return self._numbers.setdefault(item, len(self._numbers))

    @property
    def items(self) -> list[T]:
        return list(self._numbers)


def _function(strings: _Table[str], frame: str) -> tuple[int, int, int]:
    """Name, file and line of a frame; a worker's name is one without a file."""
    found = _FRAME.fullmatch(frame)
    name, file, line = found.groups() if found else (frame, "", "0")
    return strings.number(name), strings.number(file), int(line)


def _value_type(strings: _Table[str], kind: str, unit: str) -> bytes:
    return _number(1, strings.number(kind)) + _number(2, strings.number(unit))


def _number(field: int, value: int) -> bytes:
    return tagged(field, VARINT, varint(value))


def _message(field: int, content: bytes) -> bytes:
    return tagged(field, BYTES, content)


def _packed(field: int, values: Iterable[int]) -> bytes:
    return _message(field, b"".join(map(varint, values)))
