"""What the tests of hostile input behind the HTTP edge share: the rest of the server goes on meanwhile."""

from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.e2e.connection import connect
from tests.running import RunningServer, wait_for

SAMPLES = 60
SLACK = 0.1  # seconds that the slow ones of another client's requests may take more than on the idle server
GROWTH = 64 << 20
ROLES = ("aggregator worker", "core worker", "extensions worker", "aggregator", "core", "extensions", "etcd")


class Other(threading.Thread):
    """Another client, on a connection of its own: how long each of its GETs took."""

    def __init__(self, server: RunningServer) -> None:
        super().__init__(daemon=True)
        self._connection = connect(server)
        self._end = threading.Event()
        self.took: list[float] = []
        self.failures: list[Any] = []

    def run(self) -> None:
        while not self._end.is_set():
            began = time.monotonic()
            self._connection.request("GET", "/api/v1/namespaces/default")
            answer = self._connection.getresponse()
            answer.read()
            self.took.append(time.monotonic() - began)
            if answer.status != 200:
                self.failures.append(answer.status)
            time.sleep(0.005)

    def stop(self) -> None:
        self._end.set()
        self.join(30)
        self._connection.close()

    def slow(self) -> float:
        """The time below which nearly all of its requests stayed."""
        return statistics.quantiles(self.took, n=100)[98]


def measured(server: RunningServer, during: Callable[[], object]) -> float:
    """What `Other.slow` is while something goes on."""
    other = Other(server)
    other.start()
    try:
        during()
        wait_for(lambda: len(other.took) >= SAMPLES, 30, "another client's answers")
    finally:
        other.stop()
    assert not other.failures
    return other.slow()


@contextlib.contextmanager
def others_go_on(server: RunningServer) -> Iterator[None]:
    """While the block runs another client is served as before; after it the same processes run, no larger than before."""
    idle = measured(server, lambda: time.sleep(0.3))
    pids = processes(server)
    before = memory(pids)
    other = Other(server)
    other.start()
    try:
        yield
        wait_for(lambda: len(other.took) >= SAMPLES, 30, "another client's answers")
    finally:
        other.stop()
    assert not other.failures
    assert other.slow() < idle + SLACK, (idle, other.slow())
    assert processes(server) == pids
    wait_for(lambda: memory(pids) < before + GROWTH, 15, f"memory to return to {before >> 20} MB")


def processes(server: RunningServer) -> dict[str, list[int]]:
    """The pids of all roles."""
    return {role: sorted(server.processes(role)) for role in ROLES}


def memory(pids: dict[str, list[int]]) -> int:
    """The private memory of these processes, in bytes."""
    return sum(_private(pid) for some in pids.values() for pid in some)


def _private(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))
