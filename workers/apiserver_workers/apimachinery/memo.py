"""Memos: results kept by what they were made from, with a limit in bytes.

What a client sends chooses the keys, so a limit on the number of entries is none: a key may be a megabyte long, and its
result many times that. A long key is not kept at all; of the others the older half goes when there is no more room. A hit
is one look-up in a dictionary and costs no call.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar

LONGEST = 4096  # bytes of a key that is kept
ROOM = 16 << 20  # bytes that the entries of one memo may take
EXPANSION = 64  # an entry is taken to need so many bytes for each of its size
ENTRY = 1024  # and these besides

K = TypeVar("K")
V = TypeVar("V")


def size_of(key: Any, _: Any = None) -> int:
    """The length of a key: of a text, of bytes, or of those and of tuples in a tuple."""
    if isinstance(key, (str, bytes)):
        return len(key)
    if isinstance(key, tuple):
        return sum(map(size_of, key))
    return 0


class Kept(dict[K, V]):
    """A dictionary to which `keep` adds within the limit. `size` tells what an entry of this key and value counts."""

    __slots__ = ("_expansion", "_free", "_longest", "_room", "_size")

    def __init__(
        self,
        *,
        size: Callable[[K, V], int] = size_of,
        longest: int = LONGEST,
        room: int = ROOM,
        expansion: int = EXPANSION,
    ) -> None:
        super().__init__()
        self._size = size
        self._longest = longest
        self._room = self._free = room
        self._expansion = expansion

    def keep(self, key: K, value: V) -> None:
        """Remember the value, unless the entry is too long."""
        size = self._size(key, value)
        if size > self._longest:
            return
        cost = ENTRY + self._expansion * size
        if self._free < cost:
            self._drop_older_half()
        self._free -= cost
        self[key] = value

    def clear(self) -> None:
        super().clear()
        self._free = self._room

    def _drop_older_half(self) -> None:
        for key in list(islice(self, (len(self) + 1) // 2)):
            del self[key]
        self._free = self._room - sum(ENTRY + self._expansion * self._size(key, value) for key, value in self.items())
        if self._free < self._room // 4:
            self.clear()  # else the next few entries would go through all this again


class Memo(Kept[K, V]):
    """`memo[key]` is what `make(key)` returned; what `make` raises is not kept."""

    __slots__ = ("make",)

    def __init__(
        self,
        make: Callable[[K], V],
        *,
        size: Callable[[K, V], int] = size_of,
        longest: int = LONGEST,
        room: int = ROOM,
        expansion: int = EXPANSION,
    ) -> None:
        super().__init__(size=size, longest=longest, room=room, expansion=expansion)
        self.make = make

    def __missing__(self, key: K) -> V:
        value = self.make(key)
        self.keep(key, value)
        return value


def memoized(make: Callable[[K], V]) -> Callable[[K], V]:
    """A function of one argument that keeps its results: the look-up of a Memo itself, without a call of Python."""
    return Memo(make).__getitem__
