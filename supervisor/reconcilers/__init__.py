"""Who maintains the endpoints of the `kubernetes` service: one process a server, a child of the master.

It is no worker's job, because a worker may be replaced at any time and must not take the server's lease with it; and not
the master's own, because gRPC, which python-etcd3 brings, does not stand a process that goes on forking.
"""

from __future__ import annotations

import logging
import os
import select
import sys
import time

from supervisor.options.parsing import Options

log = logging.getLogger(__name__)

INTERVAL = 10.0
RETRY = 1.0
# what the master writes into the pipe
SERVING, STOP = b"s", b"x"


def run(options: Options, pipe: int, *, serving: bool) -> None:
    """Take this server off the endpoints until the master says that it serves, list it then, take it off at the stop."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname).1s %(message)s")
    from setproctitle import setproctitle

    from supervisor.reconcilers.build import build, failures

    setproctitle(f"apiserver-supervisor: reconciler ({options.instance})")
    log.info("endpoint reconciler: %s", options.endpoint_reconciler_type)
    reconciler = build(options)
    step, due, removed = reconciler.remove, 0.0, False
    while True:
        wait = None if removed and not serving else max(0.0, due - time.monotonic())
        if select.select([pipe], [], [], wait)[0]:
            told = os.read(pipe, 16)
            if STOP in told or not told:
                break
            serving, due = True, 0.0
            continue
        try:
            step()
        except failures as error:
            log.error("%s", error)
            due = time.monotonic() + RETRY
            continue
        due = time.monotonic() + (INTERVAL if removed else 0)
        step, removed = reconciler.reconcile, True
    try:
        reconciler.remove()
    except failures as error:
        log.error("removing: %s", error)
