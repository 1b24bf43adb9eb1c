"""What the master does once a second besides: logs are kept within bounds, and what dead workers left is removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

INTERVAL = 1.0
MAX_LOG = 64 << 20  # bytes of one log file
KEPT = 3  # older files of each log: ROLE.log.1 is the newest


class Housekeeping:
    """Of one server's run folder; `logs` is the folder of its logs, None for standard error."""

    def __init__(self, run_dir: Path, logs: Path | None) -> None:
        self._workers = run_dir / "workers"
        self._logs = logs
        self._due = 0.0

    def turn(self, now: float) -> None:
        """Look round if it is time to. Raises nothing: there is nobody to tell."""
        if now < self._due:
            return
        self._due = now + INTERVAL
        remove_sockets_of_the_dead(self._workers)
        for log in self._logs.glob("*.log") if self._logs else ():
            try:
                if log.stat().st_size > MAX_LOG:
                    rotate(log)
            except OSError:
                continue


def rotate(log: Path) -> None:
    """Begin the log anew under writers that append to it; what it held becomes ROLE.log.1. Raises OSError."""
    make_room(log)
    shutil.copyfile(log, older(log, 1))
    older(log, 1).chmod(0o600)
    os.truncate(log, 0)


def make_room(log: Path) -> None:
    """Each older file becomes one older, and the oldest is gone. Raises OSError."""
    for number in range(KEPT - 1, 0, -1):
        if older(log, number).exists():
            os.replace(older(log, number), older(log, number + 1))


def older(log: Path, number: int) -> Path:
    """The path of an older file of a log."""
    return log.with_name(f"{log.name}.{number}")


def remove_sockets_of_the_dead(folder: Path) -> None:
    """Remove the private sockets, ROLE-PID.sock, of workers that do not run any more."""
    for path in folder.glob("*.sock"):
        pid = path.stem.rpartition("-")[2]
        if pid.isascii() and pid.isdigit() and not Path("/proc", pid).exists():
            path.unlink(missing_ok=True)
