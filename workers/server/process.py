"""What a forked process of a worker group does about itself: its name, and its end when the parent ends."""

from __future__ import annotations

import ctypes
import os
import signal

from setproctitle import setproctitle

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent (pid `parent`) ends, even by SIGKILL."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the call
        os._exit(1)


def set_title(role: str, kind: str, instance: str) -> None:
    """`apiserver-supervisor: core worker (default)`, in ps and top."""
    setproctitle(f"apiserver-supervisor: {role} {kind} ({instance})")
