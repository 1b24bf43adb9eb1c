"""Who maintains the endpoints of the `kubernetes` service: one reconciler a server, in a thread of the master.

It runs here and not in a worker, because a worker may be replaced at any time and must not take the server's lease with
it. python-etcd3 is imported in the thread, so that the start does not wait for it.
"""

from __future__ import annotations

import logging
import threading
import time

from supervisor.options.parsing import Options

log = logging.getLogger(__name__)

INTERVAL = 10.0
RETRY = 1.0
REMOVE_WITHIN = 1.2  # at the stop; a server without etcd must end all the same


class Loop:
    """Rounds every 10 s from `serving` on, until `begin_stop`; then this server is removed from the endpoints."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._serving, self._stopping = threading.Event(), threading.Event()
        self._stop_began = 0.0
        self._thread = threading.Thread(target=self._run, name="endpoint-reconciler", daemon=True)
        self._thread.start()

    def serving(self) -> None:
        """The server is ready: list it."""
        self._serving.set()

    def begin_stop(self) -> None:
        """End the rounds and remove this server from the endpoints."""
        self._stop_began = time.monotonic()
        self._stopping.set()
        self._serving.set()

    @property
    def stopped(self) -> bool:
        """Whether the removal is done, or has been given up."""
        return not self._thread.is_alive() or time.monotonic() - self._stop_began > REMOVE_WITHIN

    def _run(self) -> None:
        from supervisor.reconcilers.build import build, failures

        reconciler = build(self._options)
        log.info("endpoint reconciler: %s", self._options.endpoint_reconciler_type)
        wait, step = 0.0, reconciler.remove
        while not self._stopping.wait(wait):
            try:
                step()
            except failures as error:
                log.error("endpoint reconciler: %s", error)
                wait = RETRY
                continue
            if step == reconciler.remove:
                self._serving.wait()
                wait, step = 0.0, reconciler.reconcile
            else:
                wait = INTERVAL
        try:
            reconciler.remove()
        except failures as error:
            log.error("endpoint reconciler, removing: %s", error)
