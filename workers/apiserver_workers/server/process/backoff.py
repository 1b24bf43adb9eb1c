"""Back-off: when a process that died may start again, and when its deaths are a crash loop."""

from __future__ import annotations

import random

QUICK = 10.0  # a process that lived shorter than this is on its way to a crash loop
LOOP = 3  # so many quick deaths in a row are one
OVER = 20.0  # a crash loop is over when nothing has died for so long
DELAYS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
JITTER = (0.75, 1.25)
KILLED_AT_MOST = 0.5  # whoever kills a process that served does so from outside: it can serve again at once


class Backoff:
    """The deaths of the processes that had one job, one after the other. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self.crashes = 0  # in a row, each soon after the start
        self.due = 0.0  # nothing is started before
        self._last = 0.0

    def died(self, now: float, lived: float, *, killed: bool = False) -> None:
        """A process died that had lived for so many seconds; `killed` if it served and was ended by kill -9."""
        # of processes side by side one may live long while another dies again and again
        in_a_row = lived < QUICK or now - self._last < QUICK
        self.crashes = self.crashes + 1 if in_a_row else 1
        self._last = now
        delay = DELAYS[min(self.crashes, len(DELAYS)) - 1]
        if killed:
            delay = min(delay, KILLED_AT_MOST)
        self.due = now + delay * random.uniform(*JITTER)

    def loops(self, now: float) -> bool:
        """Whether this is a crash loop that goes on: the last death was not long ago."""
        return self.crashes >= LOOP and now - max(self._last, self.due) < OVER
