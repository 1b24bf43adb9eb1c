"""The last streams that have ended, so that what was on its way is told from what makes no sense."""

from __future__ import annotations

from collections import deque

KEPT = 256


class RecentStreams:
    """Numbers of streams, and whether the client had ended each."""

    __slots__ = ("_ended", "_order")

    def __init__(self) -> None:
        self._ended: dict[int, bool] = {}
        self._order: deque[int] = deque()

    def add(self, number: int, *, ended: bool) -> None:
        """`ended`: the client may send nothing more on it, because it has said so."""
        self._ended[number] = ended
        self._order.append(number)
        if len(self._order) > KEPT:
            self._ended.pop(self._order.popleft(), None)

    def ended(self, number: int) -> bool | None:
        """Whether the client had ended the stream; None of one that is forgotten or was skipped."""
        return self._ended.get(number)
