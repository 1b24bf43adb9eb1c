"""A server under attack as another client sees it: how long its GETs take, which processes live, how much memory they have."""

from __future__ import annotations

import http.client
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.running import RunningServer, wait_for
from tests.server.serving import read_answer

PATH = "/api/v1/namespaces/default"
P99 = 0.1  # seconds that a GET may take beyond what it takes on the idle server
TIMES_IDLE = 50  # or so many times as long: a machine with neighbours is slow in all it does
GROWTH = 96 << 20  # bytes of all workers together that may be left
ROLES = ("aggregator worker", "core worker", "extensions worker")


def workers(server: RunningServer) -> list[int]:
    """The pids of all workers."""
    return sorted(pid for role in ROLES for pid in server.processes(role))


def memory(pids: list[int]) -> int:
    """Their resident bytes."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in pids)


def connect(server: RunningServer, timeout: float = 20) -> ssl.SSLSocket:
    """A connection of nobody in particular."""
    context = ssl.create_default_context(cafile=str(server.data_dir / "pki" / "ca.crt"))
    host, port = server.url.removeprefix("https://").rsplit(":", 1)
    plain = socket.create_connection((host, int(port)), timeout)
    return context.wrap_socket(plain, server_hostname=host)


def ask(server: RunningServer, message: bytes, timeout: float = 20) -> tuple[int, dict[str, str], bytes]:
    """The first answer to some bytes: status, headers and body."""
    with connect(server, timeout) as client:
        try:
            client.sendall(message)
        except OSError:
            pass  # refused before all of it was read
        status, headers, body, _ = read_answer(client)
        return status, headers, body


def ask_all(server: RunningServer, messages: list[bytes]) -> list[int]:
    """The statuses of the answers, on connections that are used again while they last."""
    statuses = []
    client = connect(server)
    for message in messages:
        client.sendall(message)
        status, headers, _, _ = read_answer(client)
        statuses.append(status)
        if headers.get("connection") == "close":
            client.close()
            client = connect(server)
    client.close()
    return statuses


def get(target: bytes, *lines: bytes, method: bytes = b"GET") -> bytes:
    """A request without a body."""
    return b"\r\n".join([b"%b %b HTTP/1.1" % (method, target), b"Host: h", *lines, b"", b""])


class Bystander:
    """Another client: one GET after another on one connection, from a thread of its own."""

    def __init__(self, server: RunningServer) -> None:
        self._host = server.url.removeprefix("https://")
        self._tls = server.admin_tls()
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        connection = http.client.HTTPSConnection(self._host, timeout=20, context=self._tls)
        while not self._stop.is_set():
            started = time.perf_counter()
            try:
                connection.request("GET", PATH)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failures.append(f"status {answer.status}")
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
            self.seconds.append(time.perf_counter() - started)
            self._stop.wait(0.01)
        connection.close()

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98] if len(self.seconds) > 1 else max(self.seconds)


@contextmanager
def bystanders_unharmed(server: RunningServer, *, growth: int = GROWTH) -> Iterator[None]:
    """Whatever is done to the server within: other clients are served as before, by the same workers, and memory returns."""
    pids = workers(server)
    with Bystander(server) as idle:
        wait_for(lambda: len(idle.seconds) >= 20, what="the idle server answers")
    before = memory(pids)
    with Bystander(server) as bystander:
        wait_for(lambda: len(bystander.seconds) >= 2)
        yield
        wait_for(lambda: len(bystander.seconds) >= 20, timeout=30, what="other clients are answered")
    assert not bystander.failures
    allowed = max(idle.p99 * TIMES_IDLE, idle.p99 + P99)
    # on two cores the attacking client itself takes one: the slowest single GET is told by the scheduler as well
    slow = [seconds for seconds in bystander.seconds if seconds > allowed]
    assert len(slow) <= max(1, len(bystander.seconds) // 100), (idle.p99, sorted(bystander.seconds)[-5:])
    assert max(bystander.seconds) < 10 * allowed
    assert workers(server) == pids
    wait_for(lambda: memory(pids) - before < growth, timeout=30, what="memory returns")
