"""An answer whose worker dies in the middle goes on with another worker's, byte for byte, or breaks off."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.serving import read_answer, serving
from tests.server.test_delegation import front

LIST = b'{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"77"},"items":['
BODY = LIST + bytes(range(256)) * 4000


class DyingWorkers:
    """Answers each request with the next of `answers`: bytes, and how many of them are sent before the worker dies."""

    def __init__(self, path: str, answers: list[tuple[bytes, int | None]]) -> None:
        self.asked: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._answers = answers
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        for body, sent in self._answers:
            with contextlib.suppress(OSError):
                connection, _ = self._listener.accept()
                with connection:
                    self.asked.append(connection.recv(65536).partition(b" HTTP/1.1")[0])
                    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
                        body
                    )
                    connection.sendall(head + body[:sent])

    def close(self) -> None:
        self._listener.close()


@contextlib.contextmanager
def asking(folder: Path, answers: list[tuple[bytes, int | None]]) -> Iterator[tuple[socket.socket, DyingWorkers]]:
    path = str(folder / "worker.sock")
    workers = DyingWorkers(path, answers)
    with serving(front(path)) as served, served.connect() as client:
        yield client, workers
    workers.close()


def get(client: socket.socket, target: str = "/api/v1/configmaps?limit=5&resourceVersion=0") -> bytes:
    client.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    return read_answer(client)[2]


@pytest.mark.parametrize("cuts", [[500_000], [100], [300_000, 200_000], [300_000, 700_000, 10]])
def test_it_goes_on_where_it_broke_off(tmp_path: Path, cuts: list[int]) -> None:
    with asking(tmp_path, [*((BODY, cut) for cut in cuts), (BODY, None)]) as (client, workers):
        assert get(client) == BODY
        first, *others = workers.asked
        assert first == b"GET /api/v1/configmaps?limit=5&resourceVersion=0"
        assert set(others) == {b"GET /api/v1/configmaps?limit=5&resourceVersion=77&resourceVersionMatch=Exact"}


def test_a_page_is_asked_for_again_by_its_token(tmp_path: Path) -> None:
    with asking(tmp_path, [(BODY, 9999), (BODY, None)]) as (client, workers):
        assert get(client, "/api/v1/configmaps?continue=t&limit=5") == BODY
        assert workers.asked[1] == workers.asked[0]


@pytest.mark.parametrize(
    "other", [BODY[:-1], BODY.replace(b'"77"', b'"78"'), BODY[:600_000] + b"-" + BODY[600_001:]], ids=len
)
def test_it_never_goes_on_with_another_answer(tmp_path: Path, other: bytes) -> None:
    """What differs only behind what the client has is a whole answer of its own, and right."""
    with asking(tmp_path, [(BODY, 700_000), (other, None)]) as (client, _):
        answer = get(client)
        assert len(answer) <= 700_000
        assert answer == BODY[: len(answer)]


def test_workers_that_die_again_and_again_are_not_asked_for_ever(tmp_path: Path) -> None:
    with asking(tmp_path, [(BODY, 1000)] * 9) as (client, workers):
        assert len(get(client)) == 1000
        assert len(workers.asked) == 4
