"""Whether a history of operations on one object can have happened one after the other: Wing and Gong's search with Lowe's
memory of what was tried, as in Porcupine and Knossos.

An operation takes effect at one moment between its begin and its end. The search takes away, again and again, one of the
operations that may have been the next: one that began before every remaining one ended. It goes back when an operation's
answer does not fit the state, and never tries the same set of operations with the same state twice. An operation whose
outcome nobody knows may take effect at any time after its begin, or never. Pure: plain data in, a verdict out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

State = str | None  # the object's value, None where there is none

OK, CONFLICT, UNKNOWN = "ok", "conflict", "unknown"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as its client saw it.

    `kind` is read (`value` is what it saw), create (of `value`), swap (`expected` for `value`) or delete. A conflict is the
    answer that the state was not as expected.
    """

    kind: str
    begin: float
    end: float
    value: State = None
    expected: State = None
    outcome: str = OK
    client: str = ""


def step(state: State, operation: Operation) -> tuple[bool, State]:
    """Whether the operation's answer fits the state in which it takes effect, and the state after it."""
    fits, after = _EFFECTS[operation.kind](state, operation)
    if operation.outcome == CONFLICT:
        return not fits, state
    return fits, after


_EFFECTS = {
    "read": lambda state, operation: (state == operation.value, state),
    "create": lambda state, operation: (state is None, operation.value),
    "swap": lambda state, operation: (state is not None and state == operation.expected, operation.value),
    "delete": lambda state, operation: (state is not None, None),
}


class _Entry:
    """The begin or the end of an operation, in a list of all of them by time."""

    __slots__ = ("before", "end", "is_end", "next", "number", "operation")

    def __init__(self, number: int, operation: Operation, *, is_end: bool) -> None:
        self.number, self.operation, self.is_end = number, operation, is_end
        self.before: _Entry | None = None
        self.next: _Entry | None = None
        self.end: _Entry | None = None  # of a begin whose end is known

    def take_out(self) -> None:
        for entry in (self, self.end):
            if entry is not None:
                assert entry.before is not None
                entry.before.next = entry.next
                if entry.next is not None:
                    entry.next.before = entry.before

    def put_back(self) -> None:
        for entry in (self.end, self):
            if entry is not None:
                assert entry.before is not None
                entry.before.next = entry
                if entry.next is not None:
                    entry.next.before = entry


def _linked(history: Sequence[Operation]) -> _Entry:
    """The head of the list. At the same moment begins come first: such operations overlap."""
    entries: list[tuple[float, bool, _Entry]] = []
    for number, operation in enumerate(history):
        begin = _Entry(number, operation, is_end=False)
        entries.append((operation.begin, False, begin))
        if operation.outcome != UNKNOWN:
            begin.end = _Entry(number, operation, is_end=True)
            entries.append((operation.end, True, begin.end))
    entries.sort(key=lambda entry: entry[:2])
    head = last = _Entry(-1, Operation("read", -math.inf, -math.inf), is_end=False)
    for _, _, entry in entries:
        last.next, entry.before = entry, last
        last = entry
    return head


def check(operations: Iterable[Operation], initial: State = None) -> str:
    """Nothing if the history is linearizable, else a description of where it cannot go on."""
    history = [one for one in operations if one.kind != "read" or one.outcome == OK]
    left = sum(operation.outcome != UNKNOWN for operation in history)
    head = _linked(history)
    state, done, tried = initial, 0, set[tuple[int, State]]()
    path: list[tuple[_Entry, State]] = []
    furthest: tuple[int, str] = (left + 1, "")
    entry = head.next
    while left:
        if entry is not None and not entry.is_end:
            fits, after = step(state, entry.operation)
            attempt = (done | 1 << entry.number, after)
            if fits and attempt not in tried:
                tried.add(attempt)
                path.append((entry, state))
                (done, state) = attempt
                left -= entry.operation.outcome != UNKNOWN
                entry.take_out()
                entry = head.next
            else:
                entry = entry.next
            continue
        if entry is not None and left < furthest[0]:
            furthest = left, f"in state {state!r} there is no place for {entry.operation}"
        if not path:
            return furthest[1] or "nothing can come first"
        entry, state = path.pop()
        entry.put_back()
        done ^= 1 << entry.number
        left += entry.operation.outcome != UNKNOWN
        entry = entry.next
    return ""
