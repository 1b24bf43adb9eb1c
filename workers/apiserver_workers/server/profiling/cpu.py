"""CPU profiles: the kernel's profiling timer interrupts this process by the CPU time it uses, so a worker that is idle costs
nothing and does not appear."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from types import FrameType

from apiserver_workers.server.profiling.stacks import collapsed, listed

INTERVAL = 0.01


class InUse(Exception):
    """This worker is being profiled already."""


class CpuProfiler:
    """One profile at a time."""

    def __init__(self) -> None:
        self._samples: Counter[str] | None = None

    async def profile(self, seconds: float) -> str:
        """Stacks with the number of samples, 100 a second of CPU time. Raises InUse."""
        if self._samples is not None:
            raise InUse
        samples = self._samples = Counter()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
        try:
            await asyncio.sleep(seconds)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.signal(signal.SIGPROF, signal.SIG_IGN)  # one may be on its way
            self._samples = None
        return listed(samples)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        if self._samples is not None:
            self._samples[collapsed(frame)] += 1
