"""What processes do about signals while they are forked."""

from __future__ import annotations

import functools
import os
import signal
import time

from apiserver_supervisor.processes import fork, reap

from tests.running import wait_for


def test_a_child_ends_when_told_to_however_young_it_is() -> None:
    """It has its parent's handlers for a moment, which would take the signal and do nothing."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        children = []
        for _ in range(50):
            children.append(fork(lambda: time.sleep(30), log=os.devnull))
            os.kill(children[-1], signal.SIGTERM)
        for pid in children:
            assert wait_for(functools.partial(reap, pid), 5) == -signal.SIGTERM
    finally:
        signal.signal(signal.SIGTERM, before)
