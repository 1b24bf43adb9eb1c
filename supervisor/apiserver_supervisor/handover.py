"""Upgrade in place: the master executes the program on disk anew and goes on as the same process.

A process that executes another program keeps its pid, its children and the descriptors that it wants to keep. So the
sockets stay open, no child notices, and for systemd it is the same service. What the new program must know goes into an
anonymous file. Before that, another process checks that the new code loads and that the new options are good, because
there is no way back. Signals wait meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import apiserver_workers

import apiserver_supervisor

VARIABLE = "SUPERVISOR_HANDOVER_FD"
WAITING_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
CHECK_WITHIN = 60.0


def start_check(command: str, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """Check the code and options on disk in a process of its own; `checked` tells the result."""
    roots = [str(Path(path).resolve().parent) for path in (*apiserver_supervisor.__path__, *apiserver_workers.__path__)]
    path = os.pathsep.join(filter(None, (*roots, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "apiserver_supervisor.checking", command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )


def checked(check: subprocess.Popen[str], fixed: dict[str, Any]) -> str:
    """What keeps the new program from taking over from one with these `fixed` options, or nothing."""
    output, errors = check.communicate()
    if check.returncode:
        return (errors.strip().splitlines() or [f"the check ended with status {check.returncode}"])[-1]
    new = json.loads(output)
    changed = [f"--{name.replace('_', '-')}" for name in fixed if new.get(name) != fixed[name]]
    return f"a reload cannot change {', '.join(changed)}: stop and start the server" if changed else ""


def hand_over(state: dict[str, Any], descriptors: Iterable[int]) -> NoReturn:
    """Become the new program, which finds `state` and the descriptors. Raises OSError if that cannot be."""
    note = os.memfd_create("handover", 0)
    os.write(note, json.dumps(state).encode())
    for descriptor in (note, *descriptors):
        os.set_inheritable(descriptor, True)
    os.environ[VARIABLE] = str(note)
    signal.pthread_sigmask(signal.SIG_BLOCK, WAITING_SIGNALS)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    except OSError:
        del os.environ[VARIABLE]
        os.close(note)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITING_SIGNALS)
        raise


def take_over() -> dict[str, Any] | None:
    """What an earlier program of this process left, if there was one."""
    note = os.environ.pop(VARIABLE, None)
    if note is None:
        return None
    with os.fdopen(int(note), "rb") as file:
        file.seek(0)
        state: dict[str, Any] = json.load(file)
    return state


def ready_for_signals() -> None:
    """The handlers are in place: what has waited may come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITING_SIGNALS)
