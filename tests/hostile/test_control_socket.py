"""The control socket: whatever is said to it, the master goes on, and nobody who is silent keeps others waiting."""

from __future__ import annotations

import json
import selectors
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiserver_supervisor.control import ControlError
from apiserver_supervisor.control_socket import CONNECTIONS, LONGEST, Command, ControlSocket, answer

from tests.hostile.behind import others_go_on
from tests.running import RunningServer

DEEP = b"[" * 50_000
ODD = [
    *(b"null", b"[]", b"5", b"true", b'"a"', b"{}", b"", b" ", b"\xff\xfe", b"{", DEEP, b'{"command":' + DEEP + b"}"),
    *(b'{"command":["a"]}', b'{"command":null}', b'{"command":{}}', b'{"command":"unheard"}', b'{"command":1}'),
    *(b'{"command":"scale"}', b'{"command":"scale","role":1,"workers":1}', b'{"command":"scale","role":"r"}'),
    *(b'{"command":"scale","role":"r","workers":true}', b'{"command":"scale","role":"r","workers":1.5}'),
    *(b'{"command":"scale","role":"r","workers":1,"x":1}', b'{"command":"status","self":1}'),
    b'{"command":"scale","role":"r","workers":' + b"9" * 5000 + b"}",
]


def scale(role: str, workers: int) -> str:
    if workers > 64:
        raise ControlError("too many")
    return f"{role} {workers}"


COMMANDS = {"status": Command(lambda: "fine"), "scale": Command(scale, {"role": str, "workers": int})}


@pytest.mark.parametrize("question", ODD, ids=lambda question: repr(question[:30]))
def test_odd_questions_are_answered_with_an_error(question: bytes) -> None:
    assert set(answer(question, COMMANDS)) == {"error"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"command": "status"}, {"result": "fine"}),
        ({"command": "scale", "role": "core", "workers": 2}, {"result": "core 2"}),
        ({"command": "scale", "role": "core", "workers": 65}, {"error": "too many"}),
        ({"command": "scale", "role": "core"}, {"error": "arguments: role, workers"}),
        ({"command": "status", "x": 1}, {"error": "arguments: none"}),
        ({"command": "scale", "role": "core", "workers": "2"}, {"error": "workers must be of type int"}),
    ],
)
def test_questions_have_a_form(asked: dict[str, Any], told: dict[str, Any]) -> None:
    assert answer(json.dumps(asked).encode(), COMMANDS) == told


class Loop:
    """A master's loop over one control socket, turned by the test."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._selector = selectors.DefaultSelector()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(200)
        self.control = ControlSocket(listener, COMMANDS, self._selector)

    def turn(self, now: float | None = None) -> float:
        """Handle all that is ready; how long that took."""
        began = time.monotonic()
        while ready := self._selector.select(0.02):
            for key, _ in ready:
                key.data()
            if time.monotonic() - began > 5:
                break
        self.control.expire(time.monotonic() if now is None else now)
        return time.monotonic() - began

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(5)
        client.connect(self.path)
        return client

    @property
    def connections(self) -> int:
        return len(self._selector.get_map()) - 1


@pytest.fixture
def loop(tmp_path: Path) -> Iterator[Loop]:
    yield Loop(tmp_path / "c.sock")


def test_silent_clients_keep_nobody_waiting(loop: Loop) -> None:
    silent = [loop.connect() for _ in range(CONNECTIONS * 2)]
    loop.turn()
    asker = loop.connect()
    asker.sendall(b'{"command":"status"}\n')
    assert loop.turn() < 1
    assert json.loads(asker.recv(100)) == {"result": "fine"}
    assert loop.connections <= CONNECTIONS
    loop.turn(time.monotonic() + 60)
    assert loop.connections == 0
    for client in silent:
        client.close()


def test_a_question_that_comes_byte_by_byte_has_one_deadline(loop: Loop) -> None:
    slow = loop.connect()
    for byte in b'{"comm':
        slow.sendall(bytes([byte]))
        loop.turn()
    loop.turn(time.monotonic() + 3)
    assert loop.connections == 0 and slow.recv(10) == b""


def test_a_question_without_an_end_is_cut_off(loop: Loop) -> None:
    talker = loop.connect()
    talker.settimeout(1)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(LONGEST // 1000 * 4):
            talker.sendall(b"x" * 1000)
            loop.turn()
    assert loop.connections == 0


def test_who_never_reads_the_answer_is_dropped(loop: Loop) -> None:
    loop.control._commands = {"status": Command(lambda: "x" * 3_000_000)}
    deaf = loop.connect()
    deaf.sendall(b'{"command":"status"}\n')
    loop._selector.select(1)
    loop.turn()
    loop.turn(time.monotonic() + 60)
    assert loop.connections == 0


def test_the_master_goes_on_whatever_is_said(server: RunningServer) -> None:
    path = str(server.run_dir / "control.sock")
    silent = []
    with others_go_on(server):
        for _ in range(40):
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            silent.append(client)
        for question in ODD:
            with socket.socket(socket.AF_UNIX) as asker:
                asker.settimeout(10)
                asker.connect(path)
                asker.sendall(question + b"\n")
                assert b'"error"' in asker.recv(4096)
        began = time.monotonic()
        assert server.status()["state"] == "ready"
        assert time.monotonic() - began < 2
    for client in silent:
        client.close()
    assert server.process.poll() is None
