"""A worker group as the master starts it: real processes on a socket that outlives them."""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import re
import signal
import socket
import sys
import time
import types

import pytest
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.health import HealthChecks
from apiserver_workers.server.http.messages import Response, text_response
from apiserver_workers.server.http.request_info import request_info
from apiserver_workers.server.process import arbiter
from apiserver_workers.server.process.arbiter import run_arbiter

from tests.running import wait_for


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
        if request.hijack is not None:
            transport, _ = request.hijack()
            transport.set_protocol(Echo(transport))
            transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            return Response(101)
        if request.path == "/block":
            time.sleep(60)
        if request.path == "/grow":
            self._grown = b"x" * (256 << 20)
        if request.path == "/exit":
            os._exit(5)
        if request.path == "/log":
            logging.getLogger("app").warning("something about a request")
        if request.path == "/slow":
            await asyncio.sleep(1.5)
        if request.info.verb == "watch":
            return Response(body=self._stream(), content_type="text/plain")
        return text_response(str(os.getpid()))

    async def _stream(self):
        for _ in range(100):
            yield b"tick\n"
            await asyncio.sleep(0.1)

    async def retire(self):
        pass

    async def shutdown(self):
        pass


class Echo(asyncio.Protocol):
    def __init__(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._transport.write(data)


class Group:
    """One arbiter on a Unix socket, and what it told its master."""

    def __init__(self, folder, monkeypatch, **settings):
        module = types.ModuleType("apiserver_workers.core.app")
        module.create = lambda config: App(config.run_dir)
        monkeypatch.setitem(sys.modules, "apiserver_workers.core.app", module)
        self.path = str(folder / "core.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen()
        self.master, notify = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.master.settimeout(10)
        self.notify = notify
        self.config = ServerConfig(
            instance="test",
            run_dir=str(folder),
            service_ip="10.0.0.1",
            loopback_token="",
            worker_timeout=1.5,
            **settings,
        )
        self.log = folder / "core.log"
        self.known = set()
        self.control, self.wishes = os.pipe()
        self.start()

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            try:
                log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                os.dup2(log, 1)
                os.dup2(log, 2)
                sys.stdout = sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
                run_arbiter("core", self.config, self.listener.fileno(), self.notify.fileno(), self.control)
            except SystemExit as end:
                os._exit(int(end.code or 0))
            finally:
                os._exit(99)

    def report(self):
        """What the arbiter says next."""
        return json.loads(self.master.recv(4096))

    def ready(self):
        """The next worker that serves and did not before."""
        until = time.monotonic() + 15
        while time.monotonic() < until:
            for pid in self.report()["serving"]:
                if pid not in self.known:
                    self.known.add(pid)
                    return pid
        raise AssertionError(f"no new worker serves:\n{self.log.read_text()}")

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
def group(request, tmp_path, monkeypatch):
    monkeypatch.setattr(arbiter, "MEMORY_EVERY", 0.2)
    group = Group(tmp_path, monkeypatch, **getattr(request, "param", {}))
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
    assert group.ask() == first
    with open(f"/proc/{first}/cmdline") as file:
        assert file.read().startswith("apiserver-supervisor: core worker (test)")
    (private,) = (tmp_path / "workers").iterdir()
    assert private.name == f"core-{first}.sock"
    os.kill(first, signal.SIGKILL)
    started = time.monotonic()
    second = group.ready()
    assert time.monotonic() - started < 1.5
    assert second == group.ask() != first


def test_workers_do_not_outlive_their_arbiter_but_the_socket_does(group):
    worker = group.ready()
    os.kill(group.pid, signal.SIGKILL)
    os.waitpid(group.pid, 0)
    assert gone(worker)
    group.start()
    assert group.ready() == group.ask()


def test_a_stop_is_quick_and_leaves_the_socket(group):
    worker = group.ready()
    started = time.monotonic()
    assert group.stop() == 0
    assert time.monotonic() - started < 2
    assert gone(worker)
    assert os.path.exists(group.path)


def test_a_reload_replaces_the_workers(group):
    first = group.ready()
    os.kill(group.pid, signal.SIGHUP)
    second = group.ready()
    assert gone(first)
    assert group.ask() == second != first


def test_no_request_fails_during_a_reload(group):
    """Reads with their own connections, all the time that workers are replaced."""
    pid = group.ready()
    for _ in range(3):
        os.kill(group.pid, signal.SIGHUP)
        while group.ask() == pid:
            pass
        pid = group.ready()


def test_workers_that_do_not_come_up_leave_the_old_ones(group, tmp_path):
    first = group.ready()
    (tmp_path / "broken").touch()
    os.kill(group.pid, signal.SIGHUP)
    deadline = time.monotonic() + 5
    while b"the old ones stay" not in group.log.read_bytes() and time.monotonic() < deadline:
        assert group.ask() == first
    assert b"the old ones stay" in group.log.read_bytes()
    assert group.ask() == first


def test_a_worker_whose_event_loop_hangs_is_replaced_and_the_log_says_where(group):
    first = group.ready()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(group.path)
        client.sendall(b"GET /block HTTP/1.1\r\nHost: h\r\n\r\n")
        began = time.monotonic()
        assert group.ready() == group.ask() != first
    assert time.monotonic() - began < 5
    log = group.log.read_text()
    assert "hangs: no heartbeat" in log
    assert re.search(r'File ".*test_arbiter.py", line \d+ in handle', log)


def test_a_stopped_worker_is_replaced(group):
    first = group.ready()
    os.kill(first, signal.SIGSTOP)
    began = time.monotonic()
    assert group.ready() == group.ask() != first
    assert time.monotonic() - began < 5
    assert gone(first)


def test_workers_are_added_and_removed_as_the_master_wishes(group):
    first = group.ready()
    os.write(group.wishes, b"workers 3\n")
    assert len({first, group.ready(), group.ready()}) == 3
    os.write(group.wishes, b"workers 2\nworkers 1\n")
    assert gone(first)
    while len(report := group.report()["serving"]) > 1:
        pass
    os.kill(group.pid, signal.SIGHUP)
    assert group.ready() not in report


def test_a_worker_that_dies_again_and_again_is_waited_for_longer_and_longer(group):
    times = []
    for _ in range(5):
        group.ready()
        times.append(time.monotonic())
        with contextlib.suppress(ValueError, ConnectionResetError):
            group.ask_once("/exit")
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[-1] > gaps[0] + 0.5
    while not (report := group.report())["crashes"]:
        pass
    assert report["crashes"] >= 3 and report["lastEnd"] == "ended with status 5"
    assert "ended with status 5, death 3 in a row" in group.log.read_text()


@pytest.mark.parametrize("group", [{"worker_max_memory": "200Mi"}], indirect=True)
def test_a_worker_that_grows_too_large_is_replaced_by_one_that_serves_already(group):
    first = group.ready()
    assert group.ask("/grow") == first
    second = group.ready()
    assert "more than --worker-max-memory" in group.log.read_text()
    assert gone(first)
    assert group.ask() == second


def test_a_retired_worker_finishes_what_it_has_begun(group):
    """A request that runs is answered; a connection that waits is closed, so that the front sees it."""
    first = group.ready()
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as idle:
        for client, path in ((busy, b"/slow"), (idle, b"/")):
            client.settimeout(10)
            client.connect(group.path)
            client.sendall(b"GET %b HTTP/1.1\r\nHost: h\r\n\r\n" % path)
        assert idle.recv(1000).endswith(str(first).encode())
        os.kill(group.pid, signal.SIGHUP)
        assert group.ready() != first
        assert idle.recv(1000) == b""
        answer = busy.recv(1000)
        assert b"Connection: close" in answer and answer.endswith(str(first).encode())
    assert gone(first)


def test_a_tunnel_goes_on_in_a_retired_worker(group):
    first = group.ready()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(group.path)
        client.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        assert b"101" in client.recv(1000)
        os.kill(group.pid, signal.SIGHUP)
        second = group.ready()
        assert second != first
        wait_for(lambda: group.ask() == second, 5, "the first worker to accept nothing new")
        time.sleep(1)
        client.sendall(b"still there?")
        assert client.recv(1000) == b"still there?"
        assert not gone(first, 0)
    assert gone(first)


@pytest.mark.parametrize("group", [{"worker_drain_timeout": 1.0}], indirect=True)
def test_what_a_retired_worker_still_does_may_not_take_for_ever(group):
    first = group.ready()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(group.path)
        client.sendall(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        assert b"101" in client.recv(1000)
        os.kill(group.pid, signal.SIGHUP)
        assert client.recv(1000) == b""
    assert gone(first)


def test_lines_about_a_request_have_its_audit_id(group):
    group.ready()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(group.path)
        client.sendall(b"GET /log HTTP/1.1\r\nHost: h\r\nAudit-Id: from-the-front\r\n\r\n")
        assert client.recv(1000)
    assert 'something about a request audit-ID="from-the-front"' in group.log.read_text()


@pytest.mark.parametrize("group", [{"v": 3}], indirect=True)
def test_every_request_is_logged_when_asked_for(group):
    worker = group.ready()
    group.ask("/x?y=%22")
    log = group.log.read_text()
    assert re.search(rf' {worker} core \S+\] "HTTP" verb="GET" URI="/x\?y=%22" latency="[0-9.]+ms" .* resp=200', log)
