"""A few seconds of random input for everything that reads the bytes of clients; scripts/fuzz takes longer."""

from __future__ import annotations

import pytest

from tests.hostile.fuzzing import TARGETS, fuzz

SECONDS = 30.0


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_raises_stalls_or_stays(name: str) -> None:
    assert fuzz(name, SECONDS / len(TARGETS)) >= 50
