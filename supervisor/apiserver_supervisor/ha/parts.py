"""One part of a control plane, a server or an etcd member: its process, and what was done to it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from apiserver_supervisor.children import Child
from apiserver_supervisor.control import ControlError
from apiserver_supervisor.processes import children, kill, reap

RESTART_WITHIN = 30.0  # then it is killed


class Part(Child):
    """A child that can be killed for good, paused and restarted. One that dies by itself is started again.

    `tells`: whether a new process tells when it is ready; else it counts as such.
    """

    def __init__(self, role: str, spawn: Callable[[], int], *, tells: bool) -> None:
        super().__init__(role, spawn)
        self.ready = False
        self.state = "running"  # or killed, paused, restarting
        self._tells = tells
        self._kill_at = float("inf")
        self._actions = {"kill": self._kill, "pause": self._pause, "resume": self._resume, "restart": self._restart}

    def check(self, now: float) -> bool:
        """As any child's, but one that was killed stays dead until it is restarted."""
        if self.state == "killed":
            if self.pid and (status := reap(self.pid)) is not None:
                self.last_exit, self.pid, self.ready = status, 0, False
            return False
        if self.state == "restarting":
            return self._check_restart(now)
        started = super().check(now)
        if started:
            self.ready, self.state = not self._tells, "running"
        return started

    def end_what_hangs(self, now: float) -> None:
        """A part that was paused is meant to hang."""
        if self.state != "paused":
            super().end_what_hangs(now)

    def _check_restart(self, now: float) -> bool:
        if self.alive():
            if now > self._kill_at:
                self.signal(signal.SIGKILL)
            return False
        self._start_anew()
        return True

    def act(self, action: str) -> None:
        """Do one of kill, pause, resume and restart. Raises ControlError where that makes no sense now."""
        if action not in self._actions:
            raise ControlError(f"actions: {', '.join(self._actions)}")
        self._actions[action]()

    def end(self) -> None:
        """Ask it to stop, also if it is paused."""
        self._signal_tree(signal.SIGCONT)
        self.signal(signal.SIGTERM)

    def facts(self) -> dict[str, Any]:
        """What `ha status` says of it."""
        state = self.state if self.state != "running" else ("running" if self.ready else "starting")
        return {"state": state, "pid": self.pid or None, "restarts": self.restarts, "lastExit": self.last_exit}

    def _kill(self) -> None:
        """kill -9: what it started dies with it."""
        if not self.pid:
            raise ControlError(f"{self.role} does not run")
        self.state = "killed"
        self.signal(signal.SIGKILL)

    def _pause(self) -> None:
        """SIGSTOP to all its processes."""
        if self.state != "running" or not self.pid:
            raise ControlError(f"{self.role} is {self.facts()['state']}")
        self.state = "paused"
        self._signal_tree(signal.SIGSTOP)

    def _resume(self) -> None:
        if self.state != "paused":
            raise ControlError(f"{self.role} is not paused")
        self.state = "running"
        self._signal_tree(signal.SIGCONT)

    def _restart(self) -> None:
        """Stop it in an orderly way, if it runs, and start it again."""
        if self.state == "restarting":
            raise ControlError(f"{self.role} is being restarted")
        if self.alive():
            self.state, self.ready = "restarting", False
            self._kill_at = time.monotonic() + RESTART_WITHIN
            self.end()
        else:
            self._start_anew()

    def _start_anew(self) -> None:
        self.restarts += 1
        self.ready, self.state = not self._tells, "running"
        self.start()

    def _signal_tree(self, number: int) -> None:
        """From the root down: a stopped parent cannot start what would be missed."""
        waiting = [self.pid] if self.pid else []
        while waiting:
            pid = waiting.pop(0)
            kill(pid, number)
            waiting += children(pid)
