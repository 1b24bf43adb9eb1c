"""Macros as native loops: all, exists, exists_one, map, filter, transformList, transformMap, transformMapEntry, bind.

Upstream folds a range with a condition and a step that it evaluates for each element; what those charge is known, so a
loop charges it as one number. An error in a step becomes the accumulator and the loop goes on, as upstream's does:
later elements are still evaluated and charged.

Per element, before the predicate: all 3 (look at the accumulator, ask whether it is false, look at it again), exists 4
(one negation more), exists_one 0, map and filter 0. An element that is taken: map, filter and transformList 12 (look at
the accumulator, make a list, add), filter one more for the variable, exists_one 2, transformMap 3, transformMapEntry 2.
At the end 1 to look at the accumulator, exists_one 2. A loop that stops with elements left: all 2, exists 3.

Upstream: cel-go parser/macro.go, ext/comprehensions.go, evalFold in interpreter/interpretable.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .attributes import Closure, Frame
from .calls import attempt, over
from .failures import Failure, no_such_overload
from .library.comprehensions import insert, insert_all
from .text import go_type, pairs, show
from .values import MISSING, KeyedMap, find, is_list, is_map


@dataclass(frozen=True, slots=True)
class Loop:
    """A range, the slots of its one or two variables (-1: none), and the macro's arguments as closures."""

    items: Closure
    slot: int
    slot2: int
    predicate: Closure | None = None
    transform: Closure | None = None


def over_one(value: Any) -> Iterable[Any]:
    """What a loop of one variable goes over: elements of a list, keys of a map. Raises Failure."""
    if is_list(value):
        return value
    if is_map(value):
        return list(value)
    raise Failure(f"got '{go_type(value)}', expected iterable type")


def over_two(value: Any) -> Iterable[tuple[Any, Any]]:
    """What a loop of two variables goes over: indices and elements, keys and values. Raises Failure."""
    if is_list(value):
        return enumerate(value)
    if is_map(value):
        return pairs(value)
    raise Failure(f"unsupported comprehension range type: {go_type(value)}")


def stepping(loop: Loop) -> Callable[[Frame], Iterable[Any]]:
    """A function that evaluates the range and gives its elements, one after the other put into the slots."""
    items = loop.items
    slot2 = loop.slot2
    if slot2 < 0:
        return lambda frame: over_one(items(frame))

    def steps(frame: Frame) -> Iterable[Any]:
        for first, second in over_two(items(frame)):
            frame[slot2] = second
            yield first

    return steps


def all_of(loop: Loop) -> Closure:
    """all(x, p)"""
    steps, slot, predicate = stepping(loop), loop.slot, loop.predicate
    assert predicate is not None

    def run(frame: Frame) -> bool:
        found: Any = True
        for item in steps(frame):
            if found is False:
                frame[0] += 2
                break
            frame[slot] = item
            frame[0] += 3
            try:
                holds = predicate(frame)
            except Failure as failure:
                holds = failure
            if holds is not True:
                found = _decide(found, holds, False)
            if frame[0] > frame[1]:
                over(frame)
        frame[0] += 1
        return _result(found)

    return run


def exists(loop: Loop) -> Closure:
    """exists(x, p)"""
    steps, slot, predicate = stepping(loop), loop.slot, loop.predicate
    assert predicate is not None

    def run(frame: Frame) -> bool:
        found: Any = False
        for item in steps(frame):
            if found is True:
                frame[0] += 3
                break
            frame[slot] = item
            frame[0] += 4
            try:
                holds = predicate(frame)
            except Failure as failure:
                holds = failure
            if holds is not False:
                found = _decide(found, holds, True)
            if frame[0] > frame[1]:
                over(frame)
        frame[0] += 1
        return _result(found)

    return run


def _decide(found: Any, holds: Any, deciding: bool) -> Any:
    """The accumulator after a predicate: the value that decides, else the first error."""
    if holds is deciding or type(found) is Failure:
        return holds if holds is deciding else found
    return holds if type(holds) is Failure else no_such_overload()


def _result(found: Any) -> Any:
    if type(found) is Failure:
        raise found
    return found


def exists_one(loop: Loop) -> Closure:
    """exists_one(x, p): an error counts unless no later element changes the count."""
    steps, slot, predicate = stepping(loop), loop.slot, loop.predicate
    assert predicate is not None

    def run(frame: Frame) -> bool:
        count: Any = 0
        for item in steps(frame):
            frame[slot] = item
            holds = attempt(predicate, frame)
            if holds is True:
                frame[0] += 2
                count = count if type(count) is Failure else count + 1
            elif holds is not False:
                count = holds if type(holds) is Failure else no_such_overload()
            if frame[0] > frame[1]:
                over(frame)
        frame[0] += 2
        return bool(_result(count) == 1)

    return run


def collect(loop: Loop) -> Closure:
    """map(x, t), map(x, p, t), filter(x, p), transformList(i, x, t): a list of what the elements give.

    Without a transform the element itself is taken (filter).
    """
    steps, slot, predicate = stepping(loop), loop.slot, loop.predicate
    transform = loop.transform or _variable(slot)

    def run(frame: Frame) -> list[Any]:
        made: list[Any] = []
        fault: Failure | None = None
        for item in steps(frame):
            frame[slot] = item
            holds = True if predicate is None else attempt(predicate, frame)
            if holds is True:
                frame[0] += 12
                value = attempt(transform, frame)
                if type(value) is Failure:
                    fault = fault or value
                elif fault is None:
                    made.append(value)
            elif holds is not False:
                fault = holds if type(holds) is Failure else no_such_overload()
            if frame[0] > frame[1]:
                over(frame)
        frame[0] += 1
        if fault is not None:
            raise fault
        return made

    return run


def _variable(slot: int) -> Closure:
    def run(frame: Frame) -> Any:
        frame[0] += 1
        return frame[slot]

    return run


class _Growing:
    """A map that a loop fills: a dict as long as all keys are strings."""

    def __init__(self) -> None:
        self.made: Any = {}

    def insert(self, key: Any, value: Any) -> None:
        """One more entry. Raises Failure if the key is there."""
        if type(key) is str and type(self.made) is dict:
            if key in self.made:
                raise Failure(f"insert failed: key {show(key)} already exists")
            self.made[key] = value
        elif type(self.made) is KeyedMap:
            if find(self.made, key) is not MISSING:
                raise Failure(f"insert failed: key {show(key)} already exists")
            self.made.set(key, value)
        else:
            self.made = insert(self.made, key, value)


def collect_map(loop: Loop, entries: bool) -> Closure:
    """transformMap(k, v, t): a map of the keys with what the values give; transformMapEntry: of the entries themselves."""
    steps, slot, predicate, transform = stepping(loop), loop.slot, loop.predicate, loop.transform
    assert transform is not None
    take = _entry_taker(transform) if entries else _value_taker(transform, slot)

    def run(frame: Frame) -> Any:
        growing = _Growing()
        fault: Failure | None = None
        for item in steps(frame):
            frame[slot] = item
            holds = True if predicate is None else attempt(predicate, frame)
            if holds is True:
                fault = take(frame, growing, fault)
            elif holds is not False:
                fault = holds if type(holds) is Failure else no_such_overload()
            if frame[0] > frame[1]:
                over(frame)
        frame[0] += 1
        if fault is not None:
            raise fault
        return growing.made

    return run


_Taker = Callable[[Frame, _Growing, Failure | None], Failure | None]


def _value_taker(transform: Closure, slot: int) -> _Taker:
    """A call of three arguments: after an error in the first, nothing more is evaluated."""

    def take(frame: Frame, growing: _Growing, fault: Failure | None) -> Failure | None:
        frame[0] += 1
        if fault is not None:
            return fault
        key = frame[slot]
        frame[0] += 2
        return attempt_to(lambda: growing.insert(key, transform(frame)))

    return take


def _entry_taker(transform: Closure) -> _Taker:
    """A call of two arguments: both are evaluated."""

    def take(frame: Frame, growing: _Growing, fault: Failure | None) -> Failure | None:
        frame[0] += 2
        entry = attempt(transform, frame)
        if fault is not None:
            return fault
        if type(entry) is Failure:
            return entry
        if len(entry) == 1:
            return attempt_to(lambda: growing.insert(*pairs(entry)[0]))
        return attempt_to(lambda: setattr(growing, "made", insert_all(growing.made, entry)))

    return take


def attempt_to(action: Callable[[], Any]) -> Failure | None:
    """Does something; gives the Failure if it failed."""
    try:
        action()
    except Failure as failure:
        return failure
    return None


def bind(slot: int, value: Closure, result: Closure) -> Closure:
    """bind(x, value, result): the value is evaluated when the variable is looked at first."""

    def run(frame: Frame) -> Any:
        frame[slot] = MISSING
        return result(frame)

    return run


def bound_variable(slot: int, value: Closure) -> Closure:
    """Looks at a bound variable."""

    def run(frame: Frame) -> Any:
        found = frame[slot]
        if found is MISSING:
            found = frame[slot] = attempt(value, frame)
        if type(found) is Failure:
            raise found
        return found

    return run
