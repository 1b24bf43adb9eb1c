"""The checker says yes to what can have happened, and no to what cannot."""

from __future__ import annotations

import random
import time

import pytest

from tests.chaos.linearizability import CONFLICT, OK, UNKNOWN, Operation, State, check, step


def read(begin: float, end: float, value: State) -> Operation:
    return Operation("read", begin, end, value)


def create(begin: float, end: float, value: str, outcome: str = OK) -> Operation:
    return Operation("create", begin, end, value, outcome=outcome)


def swap(begin: float, end: float, expected: str, value: str, outcome: str = OK) -> Operation:
    return Operation("swap", begin, end, value, expected, outcome)


def delete(begin: float, end: float, outcome: str = OK) -> Operation:
    return Operation("delete", begin, end, outcome=outcome)


GOOD = {
    "nothing": [],
    "one after the other": [read(0, 1, None), create(2, 3, "a"), swap(4, 5, "a", "b"), read(6, 7, "b")],
    "a read during a write may see either": [create(0, 1, "a"), swap(2, 5, "a", "b"), read(3, 4, "a"), read(3, 4, "b")],
    "of two swaps at the same time one wins": [
        create(0, 1, "a"),
        swap(2, 6, "a", "b"),
        swap(2, 6, "a", "c", CONFLICT),
        read(7, 8, "b"),
    ],
    "an unknown write took effect": [create(0, 1, "a"), swap(2, 3, "a", "b", UNKNOWN), read(4, 5, "b")],
    "an unknown write took effect late": [
        create(0, 1, "a"),
        swap(2, 3, "a", "b", UNKNOWN),
        read(4, 5, "a"),
        read(6, 7, "b"),
    ],
    "an unknown write never took effect": [
        create(0, 1, "a"),
        swap(2, 3, "a", "b", UNKNOWN),
        swap(4, 5, "a", "c"),
        read(6, 7, "c"),
    ],
    "gone and made again": [create(0, 1, "a"), delete(2, 3), read(4, 5, None), create(6, 7, "b"), read(8, 9, "b")],
    "a conflict because it is gone": [create(0, 1, "a"), delete(2, 3), swap(4, 5, "a", "b", CONFLICT)],
    "made twice": [create(0, 1, "a"), create(2, 3, "b", CONFLICT), delete(4, 5), delete(6, 7, CONFLICT)],
}

BAD = {
    "a read of what nobody wrote": [create(0, 1, "a"), read(2, 3, "x")],
    "a stale read": [create(0, 1, "a"), swap(2, 3, "a", "b"), read(4, 5, "a")],
    "a lost write": [create(0, 1, "a"), read(2, 3, None)],
    "two swaps of the same state": [create(0, 1, "a"), swap(2, 5, "a", "b"), swap(2, 5, "a", "c")],
    "reads that go back": [create(0, 1, "a"), swap(2, 9, "a", "b"), read(3, 4, "b"), read(5, 6, "a")],
    "a conflict without a reason": [create(0, 1, "a"), swap(2, 3, "a", "b", CONFLICT)],
    "an unknown write that came and went": [
        create(0, 1, "a"),
        swap(2, 3, "a", "b", UNKNOWN),
        read(4, 5, "b"),
        read(6, 7, "a"),
    ],
    "an unknown write seen before it began": [create(0, 1, "a"), read(2, 3, "b"), swap(4, 5, "a", "b", UNKNOWN)],
    "a write that was refused took effect": [
        create(0, 1, "a"),
        swap(2, 3, "a", "b"),
        swap(4, 5, "a", "c", CONFLICT),
        read(6, 7, "c"),
    ],
    "made twice": [create(0, 1, "a"), create(2, 3, "b")],
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_have_happened(name: str) -> None:
    assert check(GOOD[name]) == ""


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_have_happened(name: str) -> None:
    assert check(BAD[name])


def simulated(seed: int, operations: int = 300, clients: int = 6) -> list[Operation]:
    """What clients see of one object that is really there, each operation at one moment; some lose their answers."""
    chance = random.Random(seed)
    free = dict.fromkeys(range(clients), 0.0)
    planned = []
    for _ in range(operations):
        client = min(free, key=lambda one: free[one])
        begin = free[client] + chance.random()
        moment = begin + chance.random()
        end = moment + chance.random()
        free[client] = end
        planned.append((moment, begin, end, client))
    history, state, seen = [], None, dict.fromkeys(range(clients), "")
    for number, (_, begin, end, client) in enumerate(sorted(planned)):
        kind = chance.choice(("read", "swap", "swap", "swap")) if state is not None else "create"
        value = state if kind == "read" else f"v{number}"
        wish = Operation(kind, begin, end, value, seen[client] or state, client=str(client))
        fits, after = step(state, wish)
        lost = kind != "read" and chance.random() < 0.05
        outcome = UNKNOWN if lost else OK if fits else CONFLICT
        history.append(Operation(kind, begin, end, value, wish.expected, outcome, str(client)))
        state = after if fits and not (lost and chance.random() < 0.5) else state
        seen[client] = state or "" if kind == "read" or fits else ""
    return history


@pytest.mark.parametrize("seed", range(20))
def test_what_did_happen_is_accepted(seed: int) -> None:
    assert check(simulated(seed)) == ""


@pytest.mark.parametrize("seed", range(20))
def test_one_answer_changed_is_found(seed: int) -> None:
    """A read that saw a state long past."""
    history = simulated(seed)
    values = [one.value for one in history if one.kind == "swap" and one.outcome == OK]
    late = max(one.end for one in history)
    assert check([*history, read(late + 1, late + 2, values[len(values) // 2])])


def test_a_long_history_is_checked_in_time() -> None:
    history = simulated(1, operations=4000, clients=8)
    began = time.monotonic()
    assert check(history) == ""
    assert time.monotonic() - began < 20
