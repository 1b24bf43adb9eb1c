"""A resource's latest events, for watches that resume."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from apiserver_workers.storage.interface import Event

MAX_EVENTS = 4096
MAX_BYTES = 4 * 2**20
KEPT = 0.75  # what trimming leaves, so that it happens once in a thousand events and not at each


class History:
    """Every event after revision `floor`, oldest first, bounded by number and bytes."""

    __slots__ = ("_bytes", "_events", "_revisions", "floor", "trimmed")

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self.trimmed = False  # then `floor` is the revision of an event of this resource
        self._events: list[Event] = []
        self._revisions: list[int] = []
        self._bytes = 0

    def append(self, event: Event) -> None:
        """Add the newest event."""
        self._events.append(event)
        self._revisions.append(event.entry.mod_revision)
        self._bytes += event.entry.size
        if len(self._events) > MAX_EVENTS or self._bytes > MAX_BYTES:
            self._trim()

    def since(self, revision: int) -> Sequence[Event]:
        """The events after `revision`, which is not below `floor`."""
        return self._events[bisect_right(self._revisions, revision) :]

    def _trim(self) -> None:
        drop = 0
        while len(self._events) - drop > MAX_EVENTS * KEPT or self._bytes > MAX_BYTES * KEPT:
            self._bytes -= self._events[drop].entry.size
            drop += 1
        self.floor = self._revisions[drop - 1]
        self.trimmed = True
        del self._events[:drop], self._revisions[:drop]
