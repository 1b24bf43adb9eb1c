"""Post-start hooks: what a server does once after it has started, however many workers it has.

The worker that holds the lock file runs them. If it dies, its lock is free and another worker goes on: hooks that were
done stay done, those that repeat are taken over. All workers know the hooks' state from one small file, so that health
checks (`poststarthook/NAME`) are right wherever they are asked.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.storage.interface import StorageError

log = logging.getLogger(__name__)

LOCK_INTERVAL = 0.5
FIRST_RETRY, LAST_RETRY = 0.1, 10.0
NOT_FINISHED = "not finished"


@dataclass(slots=True, frozen=True)
class Hook:
    """One hook: `run` is called until it succeeds, and then again every `interval` seconds if that is not 0.

    It starts when the hooks named in `after` have succeeded. `run` must bear being run again at any time. `pause` waits
    for the next run, for the interval at most; a hook that follows objects waits for their next change.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    interval: float = 0.0
    after: tuple[str, ...] = ()
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep


class Hooks:
    """The hooks of one server role. Every worker starts them; one worker runs them."""

    def __init__(self, run_dir: str, role: str, *, start_id: str, hooks: Sequence[Hook] = ()) -> None:
        """`start_id` tells this start of the server from earlier ones on the same `run_dir`; it is kept as a hash."""
        self._lock_path = Path(run_dir) / f"hooks-{role}.lock"
        self._state_path = Path(run_dir) / f"hooks-{role}.json"
        self._start_id = hashlib.sha256(start_id.encode()).hexdigest()[:16]
        self._hooks = {hook.name: hook for hook in hooks}
        self._lock = -1
        self._tasks: set[asyncio.Task[None]] = set()
        self._succeeded: dict[str, asyncio.Event] = {}
        self._problems = dict.fromkeys(self._hooks, NOT_FINISHED)  # of the hooks that have not succeeded yet
        self._read_stamp: tuple[int, int] = (0, 0)

    def add(self, hook: Hook) -> None:
        """Before `start` only."""
        self._hooks[hook.name] = hook
        self._problems[hook.name] = NOT_FINISHED

    @property
    def runs_here(self) -> bool:
        """Whether this worker is the one that runs the hooks."""
        return self._lock >= 0

    async def start(self) -> None:
        """Returns at once; the hooks go on in the background."""
        self._spawn(self._compete(), "hooks")

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def checks(self) -> dict[str, str]:
        """Every hook's name, with "" if it has succeeded or else what keeps it; the same on all workers."""
        if not self.runs_here:
            self._read_state()
        return {name: self._problems.get(name, "") for name in self._hooks}

    def _spawn(self, coroutine: Any, name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compete(self) -> None:
        while not self._take_lock():
            await asyncio.sleep(LOCK_INTERVAL)
        self._read_state()
        self._succeeded = {name: asyncio.Event() for name in self._hooks}
        self._write_state()
        for hook in self._hooks.values():
            self._spawn(self._run(hook), f"post-start hook {hook.name}")

    def _take_lock(self) -> bool:
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    async def _run(self, hook: Hook) -> None:
        done_before = hook.name not in self._problems
        if done_before:
            self._succeeded[hook.name].set()
        if done_before and not hook.interval:
            return
        for name in hook.after:
            await self._succeeded[name].wait()
        await self._until_success(hook)
        while hook.interval:
            await hook.pause(hook.interval)
            await self._until_success(hook)

    async def _until_success(self, hook: Hook) -> None:
        delay = FIRST_RETRY
        while True:
            try:
                await hook.run()
            except Exception as error:
                traceback = delay == FIRST_RETRY and not isinstance(error, ApiError | StorageError)
                log.warning("post-start hook %s failed, trying again: %s", hook.name, error, exc_info=traceback)
                if hook.name in self._problems:
                    self._problems[hook.name] = str(error) or type(error).__name__
                    self._write_state()
            else:
                self._record_success(hook)
                return
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_RETRY)

    def _record_success(self, hook: Hook) -> None:
        if self._problems.pop(hook.name, None) is not None:
            self._write_state()
            self._succeeded[hook.name].set()
            log.info("post-start hook %s finished", hook.name)

    def _write_state(self) -> None:
        """Whole or not at all, for readers at any moment."""
        done = [name for name in self._hooks if name not in self._problems]
        state = {"start": self._start_id, "pid": os.getpid(), "pending": self._problems, "done": done}
        temporary = self._state_path.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        os.replace(temporary, self._state_path)

    def _read_state(self) -> None:
        """What the worker that runs the hooks wrote; what an earlier start of the server left does not count."""
        try:
            status = os.stat(self._state_path)
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._read_stamp:
                return
            state = json.loads(self._state_path.read_text())
        except (OSError, ValueError):
            return
        if state.get("start") == self._start_id:
            self._read_stamp = stamp
            # after an upgrade in place there may be hooks that it does not know
            waiting = [name for name in self._hooks if name not in state["done"]]
            self._problems = {name: state["pending"].get(name, NOT_FINISHED) for name in waiting}
