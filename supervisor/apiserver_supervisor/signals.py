"""Signals of a process whose one loop waits in a selector: they wake it, and it takes them in its own time."""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections import deque
from collections.abc import Iterator
from typing import Any

TO_STOP = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """The signals that have come, in their order; made in the main thread.

    The second signal to stop ends the process at once with status 1, whatever goes on: no child outlives it.
    """

    def __init__(self, selector: selectors.BaseSelector, *others: signal.Signals) -> None:
        """`others` are taken besides those to stop and SIGCHLD."""
        self._waiting: deque[int] = deque()
        self._told_to_stop = False
        wake_in, wake_out = socket.socketpair()
        wake_in.setblocking(False)
        wake_out.setblocking(False)
        signal.set_wakeup_fd(wake_out.fileno(), warn_on_full_buffer=False)
        self._wake_out = wake_out
        selector.register(wake_in, selectors.EVENT_READ, lambda: wake_in.recv(4096))
        for number in (*TO_STOP, signal.SIGCHLD, *others):
            signal.signal(number, self._note)

    def take(self) -> Iterator[int]:
        """The signals that came since the last call."""
        while self._waiting:
            yield self._waiting.popleft()

    def _note(self, number: int, _: Any) -> None:
        """Runs between two instructions of the loop, so it only takes a note."""
        if number in TO_STOP:
            if self._told_to_stop:
                os._exit(1)
            self._told_to_stop = True
        self._waiting.append(number)
