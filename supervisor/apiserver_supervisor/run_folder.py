"""The private run folder: who holds it, and what a master that was killed left behind."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import socket
from pathlib import Path

from apiserver_supervisor.housekeeping import make_room, older

ROLES = ("core", "extensions", "aggregator")  # in the order of starting
KUBECONFIG = "admin.kubeconfig"
STOPPING = "stopping"  # a file: /readyz fails while it is there
CRASH_LOOPS = "crash-loops"  # a file: which there are, while there are any
CONTROL = "control.sock"
PID_FILE = "master.pid"
# what exists only while a master runs
_TRANSIENT = (
    *("*.sock", "workers/*.sock", "*.sock.*", "*.lock", "hooks*", STOPPING, CRASH_LOOPS),
    *("verbosity", "etcd/*:0", "encryption-config*"),
)


class FolderInUse(Exception):
    """Another master holds the folder; the message says which."""


class RunFolder:
    """RUN_DIR, held by this process until it ends. `logs` is the folder of the log files, None for standard error."""

    def __init__(self, path: str, *, logs: Path | None) -> None:
        self.path = Path(path)
        self.logs = logs
        self.lock = -1  # the descriptor by which the folder is held

    def take(self) -> None:
        """Create and lock the folder, and remove what a dead master left. Raises FolderInUse, OSError."""
        make_private(self.path)
        self.lock = lock(self.path / PID_FILE, f"--run-dir {self.path}")
        for pattern in _TRANSIENT:
            for leftover in self.path.glob(pattern):
                if not leftover.is_dir():
                    leftover.unlink(missing_ok=True)
        if self.logs:
            make_private(self.logs)
            for log in self.logs.glob("*.log"):
                make_room(log)
                os.replace(log, older(log, 1))

    def adopt(self, lock: int) -> None:
        """Go on holding the folder, whose lock an earlier program of this process took."""
        self.lock = lock

    def log(self, role: str) -> str | None:
        """The log file of a role; None is standard error."""
        return str(self.logs / f"{role}.log") if self.logs else None

    def socket(self, name: str) -> socket.socket:
        """A listening Unix socket in the folder, for us alone."""
        listener = socket.socket(socket.AF_UNIX)
        path = self.path / name
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(1024)
        return listener

    def leave(self, *, altogether: bool = False) -> None:
        """Remove what must not outlive this master, or all of the folder; nothing if another master holds it."""
        if self.lock < 0:
            return
        for pattern in (*_TRANSIENT, PID_FILE, KUBECONFIG):
            for leftover in self.path.glob(pattern):
                if not leftover.is_dir():
                    leftover.unlink(missing_ok=True)
        if altogether:
            shutil.rmtree(self.path, ignore_errors=True)


def make_private(path: Path) -> None:
    """Make a folder that only its owner can enter. Raises PermissionError if it holds things and others can enter."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = path.stat()
    if state.st_uid == os.geteuid() and not state.st_mode & 0o077:
        return
    if state.st_uid != os.geteuid() or any(path.iterdir()):
        raise PermissionError(errno.EPERM, "must be ours and of mode 0700", str(path))
    path.chmod(0o700)


def lock(path: Path, what: str) -> int:
    """Lock a file for as long as this process lives and write our pid into it. Raises FolderInUse.

    Children must close the descriptor, or the lock would outlive us.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode().strip() or "unknown"
        os.close(descriptor)
        raise FolderInUse(
            f"{what} is in use by another master, pid {holder}; stop it, or choose another --instance"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def held(path: Path, name: str = PID_FILE) -> int | None:
    """The pid of the live master that holds a folder by the lock file of this name, or None."""
    try:
        with open(path / name, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with contextlib.suppress(OSError, ValueError):  # it is just starting, or just letting go
            return int((path / name).read_text())
        return None
    except OSError:
        return None
    return None
