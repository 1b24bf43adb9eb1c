"""The master's own log: a file in the server's folder of logs, or standard error."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from apiserver_workers.server.process.logs import formatter

from apiserver_supervisor.options.parsing import CompletedOptions

PROGRAM = "apiserver-supervisor"

log = logging.getLogger("supervisor")


def log_folder(options: CompletedOptions) -> Path | None:
    """Where the log files are; None for standard error."""
    if options.log_dir:
        return Path(options.log_dir).absolute()
    return None if options.logtostderr else Path(options.run_dir, "logs")


def open_log(options: CompletedOptions, path: str | None, lines: Iterable[str]) -> None:
    """Let the log go to the file, or to standard error if there is none; `lines` are what it begins with.

    The root logger is left to the children: a forked child leaves the master's log at once.
    """
    os.register_at_fork(after_in_child=_leave_log)
    handlers: list[logging.Handler] = [logging.FileHandler(path) if path else logging.StreamHandler()]
    if path and options.alsologtostderr:
        handlers.append(logging.StreamHandler())
    for handler in handlers:
        handler.setFormatter(formatter(options.logging_format, "master"))
        log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    for line in lines:
        log.info("%s", line)
    log.info("version: apiserver-supervisor %s, Kubernetes %s", version(PROGRAM), options.kubernetes_version)


def _leave_log() -> None:
    """In a forked child: close the child's copy of the master's file while its descriptor is still open.

    A file object whose descriptor was closed behind its back raises in its finalizer (Python 3.13 prints that).
    """
    for handler in log.handlers:
        handler.close()
    log.handlers.clear()
    log.propagate = True
