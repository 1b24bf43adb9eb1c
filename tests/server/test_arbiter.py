"""A worker group as the master starts it: real processes on a socket that outlives them."""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import types

import pytest

from workers.server import arbiter
from workers.server.arbiter import run_arbiter
from workers.server.config import ServerConfig
from workers.server.health import HealthChecks
from workers.server.http import text_response
from workers.server.request_info import request_info


class App:
    """Answers with its worker's pid; /block stops the event loop."""

    def __init__(self, folder):
        self._breaks_if = os.path.join(folder, "broken")
        self.health = HealthChecks()

    async def startup(self):
        if os.path.exists(self._breaks_if):
            raise RuntimeError("broken on purpose")

    async def handle(self, request):
        request.info = request_info(request.method, request.path, request.raw_query)
        if request.path == "/block":
            time.sleep(60)
        return text_response(str(os.getpid()))

    async def shutdown(self):
        pass


class Group:
    """One arbiter on a Unix socket, and what it told its master."""

    def __init__(self, folder, monkeypatch):
        module = types.ModuleType("workers.core.app")
        module.create = lambda config: App(config.run_dir)
        monkeypatch.setitem(sys.modules, "workers.core.app", module)
        self.path = str(folder / "core.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.master, notify = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.master.settimeout(10)
        self.notify = notify
        self.config = ServerConfig(
            instance="test", run_dir=str(folder), service_ip="10.0.0.1", loopback_token="", core_workers=1
        )
        self.log = folder / "core.log"
        self.start()

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(log, 1)
                os.dup2(log, 2)
                sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
                run_arbiter("core", self.config, self.listener.fileno(), self.notify.fileno())
            except SystemExit as end:
                os._exit(int(end.code or 0))
            finally:
                os._exit(99)

    def ready(self):
        return json.loads(self.master.recv(1000))

    def ask(self, path="/"):
        """Read as the front does: what a worker that stops has surely not read is asked of another."""
        while True:
            with contextlib.suppress(ConnectionResetError):
                return self.ask_once(path)

    def ask_once(self, path):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(self.path)
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := client.recv(1000):
                answer += piece
            return int(answer.rpartition(b"\r\n")[2])

    def stop(self):
        try:
            os.kill(self.pid, signal.SIGTERM)
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except (ProcessLookupError, ChildProcessError):
            return None


@pytest.fixture
def group(tmp_path, monkeypatch):
    monkeypatch.setattr(arbiter, "TIMEOUT", 3)
    group = Group(tmp_path, monkeypatch)
    yield group
    group.stop()
    group.listener.close()


def gone(pid, seconds=3.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_a_worker_says_when_it_serves_and_a_killed_one_is_replaced(group, tmp_path):
    first = group.ready()
    assert (first["event"], first["role"]) == ("ready", "core")
    assert group.ask() == first["pid"]
    with open(f"/proc/{first['pid']}/cmdline") as file:
        assert file.read().startswith("apiserver-supervisor: core worker (test)")
    (private,) = (tmp_path / "workers").iterdir()
    assert private.name == f"core-{first['pid']}.sock"
    os.kill(first["pid"], signal.SIGKILL)
    started = time.monotonic()
    second = group.ready()
    assert time.monotonic() - started < 1.5
    assert second["pid"] == group.ask() != first["pid"]


def test_workers_do_not_outlive_their_arbiter_but_the_socket_does(group):
    worker = group.ready()["pid"]
    os.kill(group.pid, signal.SIGKILL)
    os.waitpid(group.pid, 0)
    assert gone(worker)
    group.start()
    assert group.ready()["pid"] == group.ask()


def test_a_stop_is_quick_and_leaves_the_socket(group):
    worker = group.ready()["pid"]
    started = time.monotonic()
    assert group.stop() == 0
    assert time.monotonic() - started < 2
    assert gone(worker)
    assert os.path.exists(group.path)


def test_a_reload_replaces_the_workers(group):
    first = group.ready()["pid"]
    os.kill(group.pid, signal.SIGHUP)
    second = group.ready()["pid"]
    assert gone(first)
    assert group.ask() == second != first


def test_no_request_fails_during_a_reload(group):
    """Reads with their own connections, all the time that workers are replaced."""
    pid = group.ready()["pid"]
    for _ in range(3):
        os.kill(group.pid, signal.SIGHUP)
        while group.ask() == pid:
            pass
        pid = group.ready()["pid"]


def test_workers_that_do_not_come_up_leave_the_old_ones(group, tmp_path):
    first = group.ready()["pid"]
    (tmp_path / "broken").touch()
    os.kill(group.pid, signal.SIGHUP)
    deadline = time.monotonic() + 5
    while b"the old ones stay" not in group.log.read_bytes() and time.monotonic() < deadline:
        assert group.ask() == first
    assert b"the old ones stay" in group.log.read_bytes()
    assert group.ask() == first


def test_a_worker_whose_event_loop_hangs_is_replaced(group):
    first = group.ready()["pid"]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(group.path)
        client.sendall(b"GET /block HTTP/1.1\r\nHost: h\r\n\r\n")
        assert group.ready()["pid"] == group.ask() != first


def test_workers_can_be_added_and_removed(group):
    first = group.ready()["pid"]
    os.kill(group.pid, signal.SIGTTIN)
    assert group.ready()["pid"] != first
    os.kill(group.pid, signal.SIGTTOU)
    assert gone(first)
