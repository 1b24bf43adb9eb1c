"""The master's children, and when one that died may start again."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from typing import Any

from apiserver_workers.server.process.backoff import Backoff
from apiserver_workers.server.process.children import STOPPED, state

from apiserver_supervisor.processes import kill, reap

SETTLED = 1.0  # seconds after which a process has been of use
STOPPED_AFTER = 10.0  # a process that was stopped, as by SIGSTOP, for so long is replaced
SILENT_AFTER = 30.0  # so is one that has said that it lives and then says nothing
LOOKED_AT_EVERY = 1.0

log = logging.getLogger("supervisor")


class Child:
    """One role: the process that has it now, and its history."""

    def __init__(self, role: str, spawn: Callable[[], int]) -> None:
        self.role = role
        self.pid = 0
        self.restarts = 0
        self.last_exit: int | None = None
        self.backoff = Backoff()
        self._spawn = spawn
        self._started = 0.0
        self._heard = 0.0  # when the process last said that it lives; 0 if it never does
        self._stopped_since = 0.0
        self._looked = 0.0

    def start(self) -> None:
        """Fork the process."""
        self.pid = self._spawn()
        self._started = time.monotonic()
        self._heard = self._stopped_since = 0.0

    def alive_at(self, pid: int, now: float) -> None:
        """The process says that it lives."""
        if pid == self.pid:
            self._heard = now

    def end_what_hangs(self, now: float) -> None:
        """Kill a process that is stopped or silent for too long; its end is noticed like any other."""
        if now - self._looked < LOOKED_AT_EVERY:
            return
        if now - self._looked > STOPPED_AFTER / 2:
            self._stopped_since = 0.0  # the master itself was stopped, and knows nothing
            self._heard = now if self._heard else 0.0
        self._looked = now
        found = state(self.pid)
        self._stopped_since = (self._stopped_since or now) if found in STOPPED else 0.0
        silent = bool(self._heard) and now - self._heard > SILENT_AFTER and found not in ("R", "D")
        if silent or (self._stopped_since and now - self._stopped_since > STOPPED_AFTER):
            log.error("%s, pid %d, hangs and is replaced", self.role, self.pid)
            kill(self.pid, signal.SIGKILL)

    def check(self, now: float) -> bool:
        """Notice a death, and start again when that is due. True when the process is a new one."""
        if self.pid:
            status = reap(self.pid)
            if status is None:
                self.end_what_hangs(now)
                return False
            self.last_exit = status
            self.pid = 0
            lived = now - self._started
            self.backoff.died(now, lived, killed=status == -signal.SIGKILL and lived > SETTLED)
        if now < self.backoff.due:
            return False
        self.restarts += 1
        self.start()
        return True

    def crash_loop(self, now: float) -> str:
        """What is said of the role while it dies again and again, else nothing."""
        if not self.backoff.loops(now):
            return ""
        return f"{self.role} died {self.backoff.crashes} times in a row, last with {exit_text(self.last_exit)}"

    @property
    def down(self) -> bool:
        """Whether what the role does is not done, or not by as many as should."""
        return not self.pid

    @property
    def waiting(self) -> float:
        """Seconds until a dead process is started again; infinite while it lives."""
        return float("inf") if self.pid else max(0.0, self.backoff.due - time.monotonic())

    def alive(self) -> bool:
        """Whether the process still runs; one that ended is not started again."""
        if self.pid and reap(self.pid) is not None:
            self.pid = 0
        return bool(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the process, if there is one."""
        if self.pid:
            kill(self.pid, number)

    def legacy(self) -> dict[str, Any]:
        """What the next program has to know, at an upgrade in place."""
        return {"pid": self.pid, "restarts": self.restarts}

    def take_over(self, state: dict[str, Any]) -> None:
        """Go on with the process that an earlier program started."""
        self.pid, self.restarts = state["pid"], state["restarts"]
        self._started = time.monotonic()

    def stop(self, number: int) -> None:
        """Send a signal to all processes of the role."""
        self.signal(number)


def exit_text(status: int | None) -> str:
    """An exit status in words."""
    return f"signal {-status}" if status is not None and status < 0 else f"status {status}"
