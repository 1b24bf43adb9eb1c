"""What a first start waits for, step by step, and when it gives up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from apiserver_supervisor.loop import StartError
from apiserver_supervisor.options.parsing import CompletedOptions
from apiserver_supervisor.preparation import local_host
from apiserver_supervisor.progress import Progress
from apiserver_supervisor.readiness import failing, reachable, serves

READY_WITHIN = 55.0
ETCD_WITHIN = 30.0  # whoever started us starts us again; upstream gives up at its first dial's timeout too
READYZ = "readyz"


class StartSteps:
    """The steps that are still to come, by name: each is a condition, with what the progress shows once it holds."""

    def __init__(self, options: CompletedOptions, token: str, progress: Progress, *, etcd: Sequence[str] = ()) -> None:
        """`etcd`: the URLs of an etcd that is not our child."""
        self._address = local_host(options), options.secure_port
        self._token = token
        self._within = max(READY_WITHIN, options.storage_initialization_timeout)
        self._etcd = etcd
        self._progress = progress
        self._began = time.monotonic()
        self._steps: dict[str, tuple[Callable[[], bool], Callable[[], str]]] = {}

    def add(self, name: str, holds: Callable[[], bool], detail: Callable[[], str]) -> None:
        """A step besides the last one, which is the server's readiness."""
        self._steps[name] = holds, detail

    def begin(self) -> None:
        """All steps are known now."""
        self._steps[READYZ] = lambda: serves(self._address, self._token), str
        self._progress.expect(*self._steps)

    def look(self, now: float) -> bool:
        """Whether all steps are done. Raises StartError when they take too long."""
        if self._etcd and now - self._began > ETCD_WITHIN and not reachable(self._etcd):
            raise StartError(f"no etcd server answers within {ETCD_WITHIN:.0f} s: {', '.join(self._etcd)}")
        if now - self._began > self._within:
            waiting = failing(self._address, self._token) or list(self._steps)
            raise StartError(f"not ready within {self._within:.0f} s, waiting for {', '.join(waiting)}")
        for name, (holds, detail) in list(self._steps.items()):
            if name == READYZ and len(self._steps) > 1:
                break
            if holds():
                del self._steps[name]
                self._progress.done(name, detail())
        self._progress.refresh()
        return not self._steps
