"""When a process that died may start again."""

from __future__ import annotations

import pytest
from apiserver_workers.server.process.backoff import DELAYS, JITTER, KILLED_AT_MOST, OVER, QUICK, Backoff


def waits(deaths: int, *, killed: bool, lived: float = 1.0) -> list[float]:
    """The pauses after so many deaths, each soon after the other."""
    backoff, found = Backoff(), []
    for number in range(deaths):
        backoff.died(float(number), lived, killed=killed)
        found.append(backoff.due - number)
    return found


def test_the_first_start_is_at_once_and_a_crash_loop_waits_longer_and_longer() -> None:
    found = waits(len(DELAYS) + 3, killed=False)
    for wait, delay in zip(found, (*DELAYS, *[DELAYS[-1]] * 3), strict=True):
        assert delay * JITTER[0] <= wait <= delay * JITTER[1]


def test_whoever_kills_a_serving_process_does_not_keep_it_down() -> None:
    assert max(waits(50, killed=True)) <= KILLED_AT_MOST * JITTER[1]


@pytest.mark.parametrize(("deaths", "loop"), [(1, False), (2, False), (3, True)])
def test_three_quick_deaths_are_a_loop_until_one_lives(deaths: int, loop: bool) -> None:
    backoff = Backoff()
    for _ in range(deaths):
        backoff.died(100.0, 1.0)
    assert backoff.loops(101.0) is loop
    assert not backoff.loops(1000.0)


def test_a_death_after_a_long_life_begins_a_new_row() -> None:
    backoff = Backoff()
    for moment in (100.0, 102.0, 104.0):
        backoff.died(moment, 1.0)
    backoff.died(104.0 + QUICK + 50, QUICK + 50)
    assert backoff.crashes == 1


def test_of_workers_side_by_side_a_long_life_does_not_hide_the_others_deaths() -> None:
    backoff = Backoff()
    backoff.died(100.0, 1.0)
    backoff.died(101.0, 500.0)
    assert backoff.crashes == 2


def test_a_crash_loop_is_over_when_nothing_has_died_for_a_while() -> None:
    backoff = Backoff()
    for moment in (100.0, 101.0, 102.0):
        backoff.died(moment, 1.0)
    assert backoff.loops(backoff.due + OVER - 0.1)
    assert not backoff.loops(backoff.due + OVER + 0.1)
