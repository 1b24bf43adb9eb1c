"""Who maintains the endpoints of the `kubernetes` service: one process a server, a child of the master.

It is no worker's job, because a worker may be replaced at any time and must not take the server's lease with it; and not
the master's own, because gRPC, which python-etcd3 brings, does not stand a process that goes on forking.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from apiserver_workers.server.process.logs import configure

from apiserver_supervisor.options.parsing import CompletedOptions

if TYPE_CHECKING:
    from apiserver_supervisor.reconcilers.reconcilers import Reconciler

log = logging.getLogger(__name__)

TYPES = ("lease", "master-count", "none")  # "" stands for the first
INTERVAL = 10.0
BEAT = 1.0
RETRY = 1.0  # when etcd did not answer: the lease would run out before the next round but one
REMOVE_ATTEMPTS, REMOVE_PAUSE = 3, 0.3
REMOVE_WITHIN = 2 * INTERVAL  # how long a stop may wait for it
# what the master writes into the pipe
SERVING, STOP = b"s", b"x"


class Heartbeat:
    """Tells the master that this process goes on, at most once a second."""

    def __init__(self, events: int) -> None:
        """`events`: the descriptor of the socket that the master reads events from."""
        self._events = events
        self._due = 0.0

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + BEAT
        with contextlib.suppress(OSError):  # the master is slow, or gone
            os.write(self._events, json.dumps({"event": "alive", "role": "reconciler", "pid": os.getpid()}).encode())


class _MasterGone(Exception):
    """Nobody holds the other end of the pipe any more."""


def run(options: CompletedOptions, pipe: int, beat: Heartbeat, *, serving: bool) -> None:
    """Take this server off the endpoints until the master says that it serves, list it then, take it off at the stop.

    With `serving` it goes on where another process of this server was killed, and what that has listed stays. So does
    what is listed of a server whose master was killed: its key runs out, or its next start removes it, as upstream.
    """
    configure(form=options.logging_format, verbosity=options.v, role="reconciler", modules=options.vmodule)
    from setproctitle import setproctitle

    from apiserver_supervisor.reconcilers.build import build

    setproctitle(f"apiserver-supervisor: reconciler ({options.instance})")
    log.info("endpoint reconciler: %s", options.endpoint_reconciler_type)
    reconciler = build(options)
    try:
        if serving or _withdraw(reconciler, pipe, beat):
            _keep_listed(reconciler, pipe, beat)
    except _MasterGone:
        log.error("the master is gone: what is listed stays until it runs out")
        return
    _remove(reconciler)


def _withdraw(reconciler: Reconciler, pipe: int, beat: Heartbeat) -> bool:
    """Remove what an earlier process of this server left, and wait; whether the server serves now, else it stops."""
    removed, told = False, b""
    while not (removed and told):
        removed = removed or _done(lambda: reconciler.remove(stopping=False), "removing stale endpoints")
        told = told or _told(pipe, BEAT)
        beat()
        if told == STOP:
            return False
    return True


def _keep_listed(reconciler: Reconciler, pipe: int, beat: Heartbeat) -> None:
    """A round every interval until the server stops."""
    due = time.monotonic()
    while True:
        due = max(due + INTERVAL, time.monotonic())
        if not _done(reconciler.reconcile, "reconciling"):
            due = time.monotonic() + RETRY
        while (wait := due - time.monotonic()) > 0:
            beat()
            if _told(pipe, min(wait, BEAT)) == STOP:
                return


def _remove(reconciler: Reconciler) -> None:
    for _ in range(REMOVE_ATTEMPTS):
        if _done(lambda: reconciler.remove(stopping=True), "removing endpoints"):
            return
        time.sleep(REMOVE_PAUSE)


def _done(step: Callable[[], None], what: str) -> bool:
    """Take a step; whether etcd answered. A step that is done or cannot be done now is not repeated at once."""
    from apiserver_supervisor.reconcilers.build import failures, unreachable

    try:
        step()
    except failures as error:
        log.error("%s: %s", what, str(error) or type(error).__name__)
        return not isinstance(error, unreachable)
    return True


def _told(pipe: int, wait: float) -> bytes:
    """What the master wrote within that time: b"", SERVING or STOP. Raises _MasterGone."""
    if not select.select([pipe], [], [], wait)[0]:
        return b""
    if not (told := os.read(pipe, 16)):
        raise _MasterGone
    return STOP if STOP in told else SERVING
