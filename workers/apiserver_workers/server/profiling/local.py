"""The profiles of one worker, by their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from apiserver_workers.server.profiling.cpu import CpuProfiler
from apiserver_workers.server.profiling.heap import heap
from apiserver_workers.server.profiling.stalls import StallRecorder
from apiserver_workers.server.profiling.tasks import tasks

CPU = "profile"
# what there is, and what it says
PROFILES = {
    "block": "Stacks that blocked a worker's event loop, in milliseconds. Recorded with --contention-profiling only.",
    "cmdline": "The title of each worker process.",
    "goroutine": "Tasks by what they wait in, and the stacks of all threads.",
    "heap": "Memory of each worker, and its live objects by type.",
    CPU: "CPU profile, 100 samples a second of CPU time. ?seconds=N says for how long, 30 by default.",
}


class LocalProfiles:
    """To be made in the worker, in its event loop's thread."""

    def __init__(self, *, contention: bool) -> None:
        self._cpu = CpuProfiler()
        self._stalls = StallRecorder()
        if contention:
            self._stalls.start()
        self._made: dict[str, Callable[[], str]] = {
            "block": self._stalls.text,
            "cmdline": _command_line,
            "goroutine": tasks,
            "heap": heap,
        }

    async def get(self, name: str, seconds: float) -> str:
        """A profile's text. Raises KeyError for an unknown one and cpu.InUse."""
        return await self._cpu.profile(seconds) if name == CPU else self._made[name]()


def _command_line() -> str:
    return Path("/proc/self/cmdline").read_text().rstrip("\0").replace("\0", " ") + "\n"
