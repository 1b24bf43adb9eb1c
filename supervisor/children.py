"""The master's children, and when one that died may start again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from supervisor.processes import children, kill, reap

_QUICK = 10.0  # a child that lived shorter than this is on its way to a crash loop
_DELAYS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Child:
    """One role: the process that has it now, and its history."""

    def __init__(self, role: str, spawn: Callable[[], int]) -> None:
        self.role = role
        self.pid = 0
        self.restarts = 0
        self.crashes = 0  # in a row, each soon after its start
        self.last_exit: int | None = None
        self._spawn = spawn
        self._started = 0.0
        self._due = 0.0

    def start(self) -> None:
        """Fork the process."""
        self.pid = self._spawn()
        self._started = time.monotonic()

    def check(self, now: float) -> bool:
        """Notice a death, and start again when that is due. True when the process is a new one."""
        if self.pid:
            status = reap(self.pid)
            if status is None:
                return False
            self.last_exit = status
            self.pid = 0
            self.crashes = self.crashes + 1 if now - self._started < _QUICK else 1
            delay = _DELAYS[min(self.crashes, len(_DELAYS)) - 1]
            self._due = now + delay * random.uniform(0.75, 1.25)
        if now < self._due:
            return False
        self.restarts += 1
        self.start()
        return True

    @property
    def waiting(self) -> float:
        """Seconds until a dead process is started again; infinite while it lives."""
        return float("inf") if self.pid else max(0.0, self._due - time.monotonic())

    def alive(self) -> bool:
        """Whether the process still runs; one that ended is not started again."""
        if self.pid and reap(self.pid) is not None:
            self.pid = 0
        return bool(self.pid)

    def signal(self, number: int) -> None:
        """Send a signal to the process, if there is one."""
        if self.pid:
            kill(self.pid, number)


class WorkerGroup(Child):
    """A role that a gunicorn arbiter serves with several workers."""

    def __init__(self, role: str, workers: int, spawn: Callable[[], int]) -> None:
        super().__init__(role, spawn)
        self.workers = workers
        self.started_workers = 0
        self._ready: set[int] = set()
        self._retired: set[int] = set()

    def worker_ready(self, pid: int) -> None:
        """A worker says that it serves."""
        self.started_workers += 1
        self._ready.add(pid)

    def retire(self) -> None:
        """From now on only workers that get ready later count: a rolling restart has begun."""
        self._retired = set(self._ready)

    @property
    def serving(self) -> list[int]:
        """Pids of live workers that said they are ready."""
        alive = children(self.pid) if self.pid else []
        self._ready.intersection_update(alive)
        return [pid for pid in alive if pid in self._ready]

    @property
    def ready(self) -> bool:
        """Whether as many workers serve as there should be."""
        return len(self.serving) >= self.workers

    @property
    def settled(self) -> bool:
        """Whether a restart or a change of scale is complete: the workers wanted serve, and no others are left."""
        serving = set(self.serving)
        return len(serving) == self.workers and serving == set(children(self.pid)) and not serving & self._retired

    @property
    def worker_restarts(self) -> int:
        """How often a worker had to be replaced."""
        return max(0, self.started_workers - self.workers)
