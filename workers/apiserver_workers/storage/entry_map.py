"""Entries in key order, in segments: what makes both a write and a LIST of thousands cheap.

A segment holds up to `MAX_SEGMENT` neighbours and, once a LIST has asked for it, their items joined with commas. A write
touches one segment only, so the next LIST joins that one again and copies no other.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from operator import attrgetter

from apiserver_workers.storage.interface import Entry, Render

MAX_SEGMENT = 256
MIN_SEGMENT = 64

as_item: Render = attrgetter("item")
as_body: Render = attrgetter("body")


class _Segment:
    __slots__ = ("entries", "joined", "keys")

    def __init__(self, keys: list[str], entries: list[Entry]) -> None:
        self.keys = keys
        self.entries = entries
        self.joined = b""

    def join(self, render: Render) -> bytes:
        if not self.joined:
            self.joined = b",".join(map(render, self.entries))
        return self.joined


class EntryMap:
    """A sorted map from key to entry; `render` gives an entry's form in a list. Segments are never empty."""

    def __init__(self, render: Render = as_item) -> None:
        self._render = render
        self._entries: dict[str, Entry] = {}
        self._segments: list[_Segment] = []
        self._firsts: list[str] = []  # each segment's first key
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> None:
        """Insert or replace."""
        key = entry.key
        replaces = key in self._entries
        self._entries[key] = entry
        if not self._segments:
            self._segments.append(_Segment([], []))
            self._firsts.append(key)
        index = max(bisect_right(self._firsts, key) - 1, 0)
        segment = self._segments[index]
        segment.joined = b""
        at = bisect_left(segment.keys, key)
        if replaces:
            segment.entries[at] = entry
            return
        segment.keys.insert(at, key)
        segment.entries.insert(at, entry)
        self._firsts[index] = segment.keys[0]
        if len(segment.keys) > MAX_SEGMENT:
            self._split(index)

    def remove(self, key: str) -> None:
        """Remove a key that is there."""
        del self._entries[key]
        index = bisect_right(self._firsts, key) - 1
        segment = self._segments[index]
        segment.joined = b""
        at = bisect_left(segment.keys, key)
        del segment.keys[at], segment.entries[at]
        if not segment.keys:
            del self._segments[index], self._firsts[index]
            return
        self._firsts[index] = segment.keys[0]
        if len(segment.keys) < MIN_SEGMENT:
            self._merge(index)

    def range(self, prefix: str) -> list[Entry]:
        """A new list of the entries below `prefix` (which ends in `/`), or of the one entry with that key."""
        found: list[Entry] = []
        for segment, start, end in self._slices(prefix):
            found += segment.entries if end - start == len(segment.keys) else segment.entries[start:end]
        return found

    def bodies(self, prefix: str) -> list[bytes]:
        """The same entries as items of a list, with commas between them, in few pieces."""
        pieces: list[bytes] = []
        for segment, start, end in self._slices(prefix):
            if end - start == len(segment.keys):
                pieces.append(segment.join(self._render))
            else:
                pieces.append(b",".join(map(self._render, segment.entries[start:end])))
            pieces.append(b",")
        if pieces:
            pieces.pop()
        return pieces

    def _slices(self, prefix: str) -> Iterator[tuple[_Segment, int, int]]:
        """The segments with keys below `prefix`, and which part of each."""
        end_key = prefix[:-1] + "0" if prefix.endswith("/") else prefix + "\0"  # "0" follows "/"
        index = max(bisect_right(self._firsts, prefix) - 1, 0)
        last = bisect_left(self._firsts, end_key)
        for segment in self._segments[index:last]:
            start, end = 0, len(segment.keys)
            if segment.keys[0] < prefix:
                start = bisect_left(segment.keys, prefix)
            if segment.keys[-1] >= end_key:
                end = bisect_left(segment.keys, end_key)
            if start < end:
                yield segment, start, end

    def _split(self, index: int) -> None:
        segment = self._segments[index]
        half = len(segment.keys) // 2
        upper = _Segment(segment.keys[half:], segment.entries[half:])
        del segment.keys[half:], segment.entries[half:]
        self._segments.insert(index + 1, upper)
        self._firsts.insert(index + 1, upper.keys[0])

    def _merge(self, index: int) -> None:
        """Join a small segment with its right neighbour, if the two are then not near the limit."""
        if index + 1 == len(self._segments):
            return
        left, right = self._segments[index : index + 2]
        if len(left.keys) + len(right.keys) <= MAX_SEGMENT // 2:
            left.keys += right.keys
            left.entries += right.entries
            del self._segments[index + 1], self._firsts[index + 1]
