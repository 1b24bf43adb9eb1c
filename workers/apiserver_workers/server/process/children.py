"""What processes of a worker group do about themselves and each other: names, ends, and what /proc says."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator

from setproctitle import setproctitle

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent (pid `parent`) ends, even by SIGKILL."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Fork in here. What is sent to the child before its `fresh_signals` waits for that: else the parent's handlers, which
    it has inherited, would take a signal to end and do nothing.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fresh_signals() -> None:
    """In a forked child: no handler of the parent's is left, and no signal is held."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def set_title(role: str, kind: str, instance: str) -> None:
    """`apiserver-supervisor: core worker (default)`, in ps and top."""
    setproctitle(f"apiserver-supervisor: {role} {kind} ({instance})")


def memory(pid: int) -> int:
    """A process' bytes of memory, its share of what is shared where the kernel tells; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
    except OSError:
        pass
    try:
        with open(f"/proc/{pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def state(pid: int) -> str:
    """A process' state by the kernel's letter: R, S, T (stopped), Z (ended, not reaped) and others; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


STOPPED = ("T", "t")  # as by SIGSTOP: such a process takes no signal but those that cannot be caught


def cpu_seconds(pid: int) -> float:
    """How much time of a CPU the process has used; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
