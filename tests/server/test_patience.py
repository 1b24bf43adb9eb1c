"""How long a connection may make no progress, and how many connections of nobody in particular there may be."""

import asyncio

import pytest
from apiserver_workers.server.http.connections import MAX_STRANGERS, Connections
from apiserver_workers.server.http.patience import MIN_RATE, WRITE_TIMEOUT, Patience


class Clock:
    now = 1000.0

    def time(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def trickled(clock, rate, size, step=1.0):
    """After how many seconds a client is cut that takes an answer at this rate; 0 if it gets it whole."""
    patience, began = Patience(clock), clock.now
    patience.handle()
    patience.pause(size)
    while size > 0:
        clock.now += step
        size -= rate * step
        patience.gain(size, clock.now)
        if patience.is_over(clock.now):
            return clock.now - began
    return 0


@pytest.mark.parametrize(
    ("rate", "size", "cut"),
    [
        (0, 1 << 20, 60),
        (1, 1 << 20, 61),
        (MIN_RATE / 2, 7 << 20, 120),
        (MIN_RATE / 4, 7 << 20, 80),
        (MIN_RATE, 7 << 20, 0),
        (100 * MIN_RATE, 7 << 20, 0),
        (100, 5_000, 0),
    ],
)
def test_a_client_that_trickles_is_cut(clock, rate, size, cut):
    assert trickled(clock, rate, size) == pytest.approx(cut, abs=1)


def test_what_is_left_of_the_time_is_for_the_rest_of_the_answer(clock):
    patience = Patience(clock)
    for _ in range(3):  # it takes a little every 25 seconds
        patience.pause(1000)
        clock.now += 25
        patience.gain(1000, clock.now)
        if patience.is_over(clock.now):
            break
        patience.resume(999)
        patience.relax()
    assert clock.now == 1000 + 75
    patience.handle()
    patience.pause(1000)
    assert not patience.is_over(clock.now + WRITE_TIMEOUT - 1), "the next answer has its own time"
    assert patience.is_over(clock.now + WRITE_TIMEOUT)


class Connection:
    def __init__(self):
        self.aborted = False

    def abort(self):
        self.aborted = True


def test_the_oldest_connection_of_nobody_goes_when_there_are_too_many():
    async def run():
        state = Connections()
        made = [Connection() for _ in range(MAX_STRANGERS + 3)]
        for one in made[:10]:
            state.add_stranger(one)
        known = made[0]
        state.strangers.pop(known)  # somebody has authenticated on it
        for one in made[10:]:
            state.add_stranger(one)
        return [number for number, one in enumerate(made) if one.aborted], len(state.strangers)

    assert asyncio.run(run()) == ([1, 2], MAX_STRANGERS)
