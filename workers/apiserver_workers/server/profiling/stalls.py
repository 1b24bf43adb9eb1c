"""What blocks the event loop, by --contention-profiling: the counterpart of Go's block profile.

While one callback runs, all other clients of the worker wait for it. A thread looks at the loop fifty times a second; a
loop that has not turned since the last look is blocked, and the stack it is blocked in is charged with that time.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import Counter

from apiserver_workers.server.profiling.stacks import collapsed, listed

LOOK = 0.02


class StallRecorder:
    """Records from `start` to the process' end; to be started in the loop's thread."""

    def __init__(self) -> None:
        self.milliseconds: Counter[str] = Counter()
        self._turned = 0.0

    def start(self) -> None:
        """Begin to watch the running loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._turn()
        threading.Thread(target=self._watch, name="stall recorder", daemon=True).start()

    def text(self) -> str:
        """Stacks with the milliseconds that the loop was blocked in them."""
        return listed(self.milliseconds)

    def _turn(self) -> None:
        self._turned = time.monotonic()
        self._loop.call_later(LOOK, self._turn)

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK)
            if time.monotonic() - self._turned > 2 * LOOK:
                self.milliseconds[collapsed(sys._current_frames().get(self._thread))] += int(LOOK * 1000)
