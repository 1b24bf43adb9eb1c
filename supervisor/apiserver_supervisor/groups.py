"""A worker group as the master sees it: an arbiter that reports how its workers are, and at times a successor for it.

An arbiter is replaced the way that it replaces workers: the new one's workers serve before the old one is told to go. That
is how code and configuration are rolled, and what happens to an arbiter that does not report any more, as one that was
stopped; its workers meanwhile serve on. An arbiter that was told to go ends with its last worker, which may have streams
that go on for long.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from apiserver_workers.server.process.children import STOPPED, state
from apiserver_workers.server.process.serving import RETIRE

from apiserver_supervisor.children import Child
from apiserver_supervisor.processes import children, kill, reap

SILENT_AFTER = 8.0  # an arbiter reports every second
STARVING = ("R", "D")  # states of a process that would go on if it had a CPU or its pages
STARVING_PATIENCE = 4
STARTS_WITHIN = 60.0

log = logging.getLogger("supervisor")


class Arbiter:
    """One arbiter process, by its reports."""

    def __init__(self, pid: int, control: int, *, known: bool = False) -> None:
        self.pid = pid
        self.control = control  # the pipe that takes the master's wishes
        self.started = self.heard = time.monotonic()
        self.reports = known  # whether it has reported yet
        self.last: dict[str, Any] = {}

    def report(self, event: dict[str, Any]) -> None:
        """It says how its workers are."""
        self.heard, self.reports, self.last = time.monotonic(), True, event

    def pids(self, kind: str) -> list[int]:
        """The live workers of one kind: serving, outgoing, retired."""
        alive = set(children(self.pid))
        return [pid for pid in self.last.get(kind, ()) if pid in alive]

    @property
    def deaths(self) -> int:
        """How many of its workers ended although they should serve."""
        return int(self.last.get("deaths", 0))

    def silent(self, now: float) -> bool:
        """Whether it has stopped to report. One that finds no CPU, as under load, gets more time."""
        quiet = now - self.heard
        if not self.reports or quiet <= SILENT_AFTER:
            return False
        return quiet > SILENT_AFTER * STARVING_PATIENCE or state(self.pid) not in STARVING

    def scale(self, workers: int) -> None:
        """Let it have this many workers."""
        try:
            os.write(self.control, f"workers {workers}\n".encode())
        except OSError:
            pass  # it has just died, and the next one knows

    def retire(self) -> None:
        """Have its workers finish what they do, and it end with the last of them, even if it is stopped itself."""
        kill(self.pid, signal.SIGUSR2)
        for worker in children(self.pid):
            kill(worker, RETIRE)

    def gone(self, now: float) -> bool:
        """For one that retires: whether it has ended. One that hangs is killed with its last worker."""
        if reap(self.pid) is None:
            if self.silent(now):
                self._end_what_hangs()
            return False
        os.close(self.control)
        return True

    def _end_what_hangs(self) -> None:
        workers = children(self.pid)
        for pid in workers or (self.pid,):
            if not workers or state(pid) in STOPPED:
                kill(pid, signal.SIGKILL)


class WorkerGroup(Child):
    """A role that a gunicorn arbiter serves with several workers. `fork` starts one: its pid and its control pipe."""

    def __init__(self, role: str, workers: int, fork: Callable[[], tuple[int, int]]) -> None:
        super().__init__(role, self._take_pid)
        self.workers = workers
        self.scaled = False  # by a command, which then counts more than the options
        self.arbiter = Arbiter(0, -1)
        self.successor: Arbiter | None = None
        self.retired: list[Arbiter] = []
        self.failed = ""  # why the last successor did not take over
        self._fork = fork
        self._outgoing: set[int] = set()
        self._deaths = 0  # of workers whose arbiters are gone

    def _take_pid(self) -> int:
        if self.arbiter.control >= 0:
            os.close(self.arbiter.control)
        self._deaths += self.arbiter.deaths
        self.arbiter = Arbiter(*self._fork())
        return self.arbiter.pid

    def report(self, event: dict[str, Any]) -> None:
        """An arbiter of this group says how its workers are."""
        for arbiter in (self.arbiter, self.successor, *self.retired):
            if arbiter is not None and arbiter.pid == event["pid"]:
                arbiter.report(event)

    def end_what_hangs(self, now: float) -> None:
        """An arbiter that hangs is not killed at once: a successor's workers serve first."""

    def check(self, now: float) -> bool:
        started = super().check(now)
        gone = [arbiter for arbiter in self.retired if arbiter.gone(now)]
        self.retired = [arbiter for arbiter in self.retired if arbiter not in gone]
        self._deaths += sum(arbiter.deaths for arbiter in gone)
        if self.successor is not None:
            self._follow_successor(self.successor, now)
        elif self.pid and self.arbiter.silent(now):
            log.error("the arbiter of %s, pid %d, does not report any more and is replaced", self.role, self.pid)
            self.restarts += 1
            self.replace()
        return started

    # replacing the arbiter

    def replace(self) -> None:
        """Start a successor of the arbiter, which takes over when its workers serve."""
        self.failed = ""
        if self.successor is None:
            self.successor = Arbiter(*self._fork())

    def _follow_successor(self, successor: Arbiter, now: float) -> None:
        if len(successor.pids("serving")) >= self.workers:
            self._hand_over(successor)
        elif reap(successor.pid) is not None:
            self._give_up(successor, "it ended")
        elif now - successor.started > STARTS_WITHIN:
            kill(successor.pid, signal.SIGKILL)
            self.retired.append(successor)
            self._give_up(successor, f"its workers do not serve within {STARTS_WITHIN:.0f} s")

    def _hand_over(self, successor: Arbiter) -> None:
        if self.pid:
            self.arbiter.retire()
            self.retired.append(self.arbiter)
        self.arbiter, self.successor = successor, None
        self.pid, self._started = successor.pid, successor.started

    def _give_up(self, successor: Arbiter, why: str) -> None:
        self.successor = None
        self.failed = f"the new arbiter of {self.role} does not take over: {why}"
        log.error("%s, see its log", self.failed)
        self.arbiter.heard = time.monotonic()  # before the next try, if this one is silent

    # what it is like

    def roll(self) -> None:
        """Replace the workers one by one. From now on only those count that do not serve yet."""
        self._outgoing = set(self.serving)
        self.signal(signal.SIGHUP)

    def scale(self, workers: int) -> None:
        """Let the group have this many workers."""
        self.workers, self.scaled = workers, True
        for arbiter in (self.arbiter, self.successor):
            if arbiter is not None:
                arbiter.scale(workers)

    @property
    def size_text(self) -> str:
        """How many workers serve, in words."""
        count = len(self.serving)
        return f"{count} worker{'s' if count > 1 else ''}"

    @property
    def serving(self) -> list[int]:
        """Pids of live workers that serve and are to stay."""
        return self.arbiter.pids("serving") if self.pid else []

    @property
    def ready(self) -> bool:
        """Whether as many workers serve as there should be."""
        return len(self.serving) >= self.workers

    @property
    def down(self) -> bool:
        return not self.ready

    @property
    def settled(self) -> bool:
        """Whether a restart or a change of scale is complete: the workers wanted serve, and they are the ones wanted."""
        serving = self.serving
        changing = self.successor is not None or self.arbiter.pids("outgoing") or self._outgoing.intersection(serving)
        return len(serving) == self.workers and not changing

    @property
    def worker_restarts(self) -> int:
        """How many workers ended although they should serve; those of a restart or a change of scale do not count."""
        return self._deaths + sum(arbiter.deaths for arbiter in self.all_arbiters())

    def crash_loop(self, now: float) -> str:
        crashes = self.arbiter.last.get("crashes", 0)
        if crashes and self.pid:
            last = self.arbiter.last["lastEnd"]
            return f"workers of {self.role} died {crashes} times in a row, the last one {last}"
        return super().crash_loop(now)

    def all_arbiters(self) -> list[Arbiter]:
        """Every arbiter of the group that may live."""
        own = [self.arbiter] if self.pid else []
        return [*own, *([self.successor] if self.successor else []), *self.retired]

    def stop(self, number: int) -> None:
        for arbiter in self.all_arbiters():
            kill(arbiter.pid, number)

    def alive(self) -> bool:
        self.retired = [arbiter for arbiter in self.retired if reap(arbiter.pid) is None]
        if self.successor is not None and reap(self.successor.pid) is not None:
            self.successor = None
        return super().alive() or bool(self.retired or self.successor)

    # over an upgrade in place

    def legacy(self) -> dict[str, Any]:
        """What the next master has to know. Its file descriptors are the `control` of each arbiter."""
        return {
            "restarts": self.restarts,
            "workers": self.workers if self.scaled else 0,
            "deaths": self._deaths,
            "arbiters": [(arbiter.pid, arbiter.control) for arbiter in self.all_arbiters()],
        }

    def take_over(self, state: dict[str, Any]) -> None:
        """Go on with an earlier master's arbiters, and start a successor of the one that serves."""
        self.restarts = state["restarts"]
        self._deaths = state.get("deaths", 0)
        if state["workers"]:
            self.workers, self.scaled = state["workers"], True
        arbiters = [Arbiter(pid, control, known=True) for pid, control in state["arbiters"]]
        if arbiters:
            self.arbiter, self.retired = arbiters[0], arbiters[1:]
            self.pid, self._started = self.arbiter.pid, self.arbiter.started
        self.replace()
