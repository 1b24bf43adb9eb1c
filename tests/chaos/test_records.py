"""The judgement: what clients may feel of which fault."""

from __future__ import annotations

import pytest

from tests.chaos.records import EVERYWHERE, HIDDEN, OPEN, PLANNED, Answer, Fault, Records, judge


def records(*faults: Fault) -> Records:
    return Records(faults=list(faults))


def failed(status: int, *, reads: bool, retry_after: bool = False, server: int = 0, at: float = 5.0) -> Answer:
    return Answer("PUT /x", server, at, at + 1, status, reads, retry_after)


@pytest.mark.parametrize(
    ("reach", "answer", "allowed"),
    [
        (PLANNED, failed(503, reads=False, retry_after=True), False),
        (PLANNED, failed(0, reads=True), False),
        (HIDDEN, failed(503, reads=False, retry_after=True), True),
        (HIDDEN, failed(503, reads=False), False),
        (HIDDEN, failed(500, reads=False, retry_after=True), False),
        (HIDDEN, failed(0, reads=False), False),
        (HIDDEN, failed(503, reads=True, retry_after=True), False),
        (OPEN, failed(0, reads=True), True),
        (OPEN, failed(0, reads=False), True),
    ],
)
def test_what_a_request_may_feel(reach: str, answer: Answer, allowed: bool) -> None:
    seen = records(Fault("a fault", reach, 0, 5.5, 9))
    seen.failures.append(answer)
    assert (judge(seen) == []) is allowed


def test_a_fault_is_felt_on_its_server_and_in_its_time_only() -> None:
    for fault in (Fault("f", OPEN, 1, 0, 99), Fault("f", OPEN, 0, 7, 9), Fault("f", OPEN, 0, 1, 4.9)):
        seen = records(fault)
        seen.failures.append(failed(0, reads=True))
        assert [kind for kind, _ in judge(seen)] == ["requests failed during: no fault at all"]
    seen = records(Fault("f", OPEN, EVERYWHERE, 0, 99))
    seen.failures.append(failed(0, reads=True))
    assert judge(seen) == []


@pytest.mark.parametrize(("reach", "allowed"), [(PLANNED, False), (HIDDEN, False), (OPEN, True)])
def test_watches_end_only_with_their_front(reach: str, allowed: bool) -> None:
    seen = records(Fault("f", reach, 0, 0, 9))
    seen.ended_watches.append(failed(200, reads=True))
    assert (judge(seen) == []) is allowed


def test_what_is_wrong_at_once_stays_wrong() -> None:
    seen = records(Fault("f", OPEN, EVERYWHERE, 0, 99))
    seen.violate("acknowledged writes lost", "m1")
    assert judge(seen) == [("acknowledged writes lost", "m1")]
