"""The loop that a master and a control plane share: one thread that waits for sockets, signals and children."""

from __future__ import annotations

import selectors
import signal
import time
from enum import StrEnum
from typing import Generic, TypeVar

from apiserver_supervisor.children import Child
from apiserver_supervisor.readiness import Notifier
from apiserver_supervisor.signals import Signals

C = TypeVar("C", bound=Child)

TOO_MANY_CRASHES = 3  # of one child in a row, before everything was ever ready


class State(StrEnum):
    """Where a server or a control plane is in its life."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


class StartError(Exception):
    """The start fails; the message says why."""


class Loop(Generic[C]):
    """Children by role, and what wakes the loop. A subclass says what follows from a signal, a new process and the time.

    Made in the main thread: it takes the signals to stop, SIGCHLD and `signals`.
    """

    def __init__(self, state: State, notifier: Notifier, *signals: signal.Signals) -> None:
        self.state = state
        self.children: dict[str, C] = {}
        self._notifier = notifier
        self._selector = selectors.DefaultSelector()
        self._signals = Signals(self._selector, *signals)
        self._began = time.monotonic()

    @property
    def runs(self) -> bool:
        """Whether the loop goes on."""
        return self.state is not State.STOPPING

    def turn(self) -> None:
        """One round: what is ready on a socket, signals, children that died, and what is due."""
        for key, _ in self._selector.select(self._patience()):
            key.data()
        for number in self._signals.take():
            self._take_signal(number)
        now = time.monotonic()
        for child in self.children.values():
            if child.check(now):
                self._restarted(child)
        self._follow(now)
        self._notifier.beat(now)

    def _check_crashes(self) -> None:
        """Raises StartError for a child that does not start."""
        for child in self.children.values():
            if child.backoff.crashes >= TOO_MANY_CRASHES:
                raise StartError(f"{child.role} does not start:\n{self._last_lines(child.role)}")

    def _patience(self) -> float:
        """Seconds to wait for sockets and signals, at most."""
        raise NotImplementedError

    def _take_signal(self, number: int) -> None:
        """A signal has come."""
        raise NotImplementedError

    def _restarted(self, child: C) -> None:
        """A child that died has a new process."""

    def _follow(self, now: float) -> None:
        """The end of each round."""
        raise NotImplementedError

    def _last_lines(self, role: str) -> str:
        """The end of a child's log, for a message."""
        raise NotImplementedError


def tail(path: str, count: int = 15) -> str:
    """The last lines of a log, indented, and where the whole log is; "" for a log that cannot be read."""
    try:
        with open(path, errors="replace") as log:
            lines = log.read().splitlines()
    except OSError:
        return ""
    return "\n".join([*("  " + line for line in lines[-count:]), f"  (all of it: {path})"])
