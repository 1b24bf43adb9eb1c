"""Processes on Linux: forking a child that cannot outlive us, and reading what /proc says about a tree of them."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from apiserver_workers.server.process.children import die_with_parent, fresh_signals, memory, signals_held, state


def fork(run: Callable[[], None], *, log: str | None, keep: tuple[int, ...] = ()) -> int:
    """Fork a child in a session of its own that runs `run`; the child's pid.

    The child's output goes to the file `log`, without one to our standard error. Of our descriptors it keeps the standard ones and `keep`.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    with signals_held():
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            die_with_parent(parent)
            os.setsid()
            fresh_signals()
            _redirect(log)
            _close_others(keep)
            run()
            status = 0
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status & 0xFF)


def _redirect(log: str | None) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if log else os.dup(2)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)


def _close_others(keep: tuple[int, ...]) -> None:
    first = 3
    for descriptor in sorted(keep):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, max(map(int, os.listdir("/proc/self/fd"))) + 1)


def reap(pid: int) -> int | None:
    """A child's exit status (negative: the signal that ended it), or None while it runs."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return 0
    return os.waitstatus_to_exitcode(status) if ended else None


def kill(pid: int, number: int) -> None:
    """Send a signal; a process that is gone already is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """What /proc says: seconds since the start, and bytes of memory (proportional where the kernel tells)."""

    pid: int
    uptime: float
    memory: int


def describe(pid: int) -> ProcessInfo | None:
    """A process' uptime and memory; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return ProcessInfo(pid, max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started), memory(pid))
    except OSError:
        return None


def children(pid: int) -> list[int]:
    """The pids of a process' children that live, oldest first."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [child for child in sorted(map(int, file.read().split())) if state(child) not in ("Z", "")]
    except OSError:
        return []
