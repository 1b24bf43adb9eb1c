"""Memos have a limit in bytes: no long key stays, and no number of keys grows them beyond their room."""

import pytest
from apiserver_workers.apimachinery.memo import ENTRY, EXPANSION, Kept, Memo, memoized, size_of


def test_a_hit_is_what_was_made_and_errors_are_not_kept():
    made = []

    def make(key):
        made.append(key)
        if key == "bad":
            raise ValueError(key)
        return [key]

    memo = memoized(make)
    assert memo("a") is memo("a")
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            memo("bad")
    assert made == ["a", "bad", "bad"]


def test_a_long_key_is_not_kept():
    memo = Memo(len, longest=10)
    assert (memo["a" * 10], memo["a" * 11], memo["é" * 11]) == (10, 11, 11)
    assert list(memo) == ["a" * 10]


def test_the_room_is_never_exceeded_and_the_newest_stay():
    cost = ENTRY + EXPANSION * 8
    memo = Memo(str, room=100 * cost)
    for number in range(1000):
        memo[f"{number:08}"]
        assert len(memo) <= 100
    assert "00000999" in memo and "00000000" not in memo


def test_values_may_count():
    kept = Kept(size=lambda _, value: len(value), longest=1000, room=20 * ENTRY, expansion=1)
    for number in range(100):
        kept.keep(number, b"x" * 1000)
    kept.keep(0, b"x" * 1001)
    assert len(kept) <= 10 and 0 not in kept
    kept.clear()
    assert not kept


@pytest.mark.parametrize(
    ("key", "size"), [("abc", 3), (b"ab", 2), (("a", ("b", b"cd"), 7, None), 4), (7, 0), (("a" * 50, True), 50)]
)
def test_the_size_of_a_key(key, size):
    assert size_of(key) == size
