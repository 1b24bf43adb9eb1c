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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

import apiserver_workers

import apiserver_supervisor

VARIABLE = "SUPERVISOR_HANDOVER_FD"
WAITING_SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
CHECK_WITHIN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What a master leaves to the program that takes its place. Descriptors are numbers, valid in both programs.

    `loopback` is the certificate and key, in PEM, of the server's own client; `locks` hold the run folder and the data
    folder; `pipe` tells the reconciler; `children` has the `legacy` of each child by role.
    """

    token: str
    loopback: tuple[str, str]
    sockets: Mapping[str, int]
    locks: tuple[int, int]
    pipe: tuple[int, int]
    children: Mapping[str, dict[str, Any]]
    notifier: Mapping[str, str]

    @property
    def descriptors(self) -> list[int]:
        """Everything that must stay open."""
        control = [pipe for child in self.children.values() for _, pipe in child.get("arbiters", ())]
        return [*self.sockets.values(), *self.locks, *self.pipe, *control]

    @classmethod
    def read(cls, text: bytes) -> Handover:
        """The one that an earlier program wrote, which may know more fields. Raises ValueError, TypeError."""
        left = json.loads(text)
        known = {field.name: left[field.name] for field in fields(cls) if field.name in left}
        for name in ("loopback", "locks", "pipe"):
            known[name] = tuple(known[name])
        return cls(**known)


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


def hand_over(left: Handover) -> NoReturn:
    """Become the new program, which finds what is left to it. Raises OSError if that cannot be."""
    note = os.memfd_create("handover", 0)
    os.write(note, json.dumps(asdict(left)).encode())
    for descriptor in (note, *left.descriptors):
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


def take_over() -> Handover | None:
    """What an earlier program of this process left, if there was one."""
    note = os.environ.pop(VARIABLE, None)
    if note is None:
        return None
    with os.fdopen(int(note), "rb") as file:
        file.seek(0)
        return Handover.read(file.read())


def ready_for_signals() -> None:
    """The handlers are in place: what has waited may come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WAITING_SIGNALS)
