"""What runs and what waits in a worker: asyncio's tasks and the threads. The counterpart of goroutines."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from typing import Any

from apiserver_workers.server.profiling.stacks import collapsed, listed, name


def tasks() -> str:
    """All tasks by what they wait in, with how many there are of each, then the threads' stacks."""
    waiting = Counter(_awaits(task.get_coro()) for task in asyncio.all_tasks())
    frames = sys._current_frames()
    running = Counter(
        f"thread {thread.name};{collapsed(frames.get(thread.ident or 0))}" for thread in threading.enumerate()
    )
    return listed(waiting) + listed(running)


def _awaits(coroutine: Any) -> str:
    """The chain of coroutines, each awaiting the next, down to what is not one."""
    names = []
    while coroutine is not None:
        code = getattr(coroutine, "cr_code", None) or getattr(coroutine, "ag_code", None)
        names.append(name(code) if code is not None else type(coroutine).__name__)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "ag_await", None)
    return ";".join(names)
