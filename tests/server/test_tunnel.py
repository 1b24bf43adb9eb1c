"""The end of one side of a tunnel."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from apiserver_workers.server.delegation.tunnel import Splice, Translation
from apiserver_workers.server.http.messages import Request

from tests.running import loop_faults


class Side(asyncio.Transport):
    """A connection that remembers what became of it; writing to a closed one fails, as uvloop has it."""

    def __init__(self, *, closed: bool = False, tls: bool = False) -> None:
        super().__init__({"ssl_object": object()} if tls else {})
        self.closed = closed
        self.tls = tls
        self.ended = False

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return not self.tls

    def write_eof(self) -> None:
        if self.closed:
            raise RuntimeError("unable to perform operation on a closed transport")
        self.ended = True


class Whole(Translation):
    half_closes = False


@pytest.mark.parametrize(
    ("own", "other", "translation", "stays", "ended"),
    [
        (Side(), Side(), Translation(), True, True),
        (Side(), Side(closed=True), Translation(), False, False),
        (Side(), Side(tls=True), Translation(), False, False),
        (Side(tls=True), Side(), Translation(), False, True),
        (Side(), Side(), Whole(), False, False),
    ],
)
def test_an_end_is_passed_on_where_that_is_possible(
    own: Side, other: Side, translation: Any, stays: bool, ended: bool
) -> None:
    splice = Splice(own, other, 0, translation, request=Request("GET", "/", "", {}))
    splice.twin = Splice(other, own, 0, translation)
    assert splice.eof_received() is stays
    assert other.ended is ended
    assert splice.half_closed is ended


def test_a_tunnel_whose_sides_have_both_ended_closes() -> None:
    one, other = Side(), Side()
    forth, back = Splice(one, other, 0, Translation()), Splice(other, one, 0, Translation())
    forth.twin, back.twin = back, forth
    assert forth.eof_received() is True
    assert back.eof_received() is False


def test_what_of_a_log_is_a_fault_of_the_loop() -> None:
    lines = [
        "I ready",
        "E asyncio: Exception in callback Splice.eof_received()",
        "W asyncio: returning true from eof_received() has no effect when using ssl",
        "RuntimeError: unable to perform operation on <UnixTransport closed=True>; the handler is closed",
        "E asyncio: Task exception was never retrieved",
    ]
    assert loop_faults("\n".join(lines)) == lines[1:]
