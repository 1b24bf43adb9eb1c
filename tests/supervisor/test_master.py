"""The master keeps its processes alive, and leaves nothing behind. Real processes with small apps."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningServer, wait_for

SMALL = (sys.executable, str(Path(__file__).with_name("small_apps.py")))
pytestmark = pytest.mark.e2e


@pytest.fixture
def small(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10", command=SMALL) as running:
        yield running


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_pids(server: RunningServer) -> list[int]:
    roles = ("master", "etcd", "reconciler", *(f"{role}{kind}" for role in GROUPS for kind in ("", " worker")))
    return [pid for role in roles for pid in server.processes(role)]


GROUPS = ("aggregator", "core", "extensions")


def connection(server: RunningServer, timeout: float = 5) -> http.client.HTTPSConnection:
    host, _, port = server.url.removeprefix("https://").partition(":")
    return http.client.HTTPSConnection(host, int(port), timeout=timeout, context=server.admin_tls())


def test_a_started_server_says_where_it_is_and_shows_its_tree(small: RunningServer) -> None:
    assert "ok certificates" in small.output
    assert f"ready       {small.url}" in small.output
    assert str(small.kubeconfig) in small.output
    assert small.kubeconfig.stat().st_mode & 0o777 == 0o600
    assert len(all_pids(small)) == 9
    status = small.status()
    assert status["ready"] and status["tree"]["memoryBytes"] > 0
    assert "core worker" in small.command("status").stdout


def test_process_titles_name_role_and_instance(small: RunningServer) -> None:
    titles = {Path(f"/proc/{pid}/cmdline").read_text().strip("\0") for pid in all_pids(small)}
    assert "apiserver-supervisor: master (default)" in titles
    assert "apiserver-supervisor: core worker (default)" in titles
    assert not any("token" in title for title in titles if title.startswith("apiserver-supervisor"))
    assert not [title for title in titles if re.search(r"[0-9A-Za-z+_-]{40}", title)], "nothing that may be a secret"


@pytest.mark.parametrize("role", ["core worker", "core", "etcd", "reconciler"])
def test_a_killed_process_is_back_in_a_second(small: RunningServer, role: str) -> None:
    (before,) = small.processes(role)
    os.kill(before, signal.SIGKILL)
    killed = time.monotonic()
    wait_for(lambda: small.processes(role) not in ([], [before]) and small.status()["ready"], 5)
    assert time.monotonic() - killed < 4
    assert small.request("GET", "/readyz")[0] == 200


def test_the_front_serves_again_after_its_arbiter_was_killed(small: RunningServer) -> None:
    (arbiter,), (worker,) = small.processes("aggregator"), small.processes("aggregator worker")
    os.kill(arbiter, signal.SIGKILL)
    wait_for(lambda: not alive(worker), 2, "the arbiter's worker ends with it")
    assert small.request("GET", "/x")[0] == 200  # waits in the socket's queue, which the master holds


def test_nothing_survives_a_killed_master_and_the_next_one_takes_over(small: RunningServer) -> None:
    pids = all_pids(small)
    small.process.kill()
    small.process.wait()
    wait_for(lambda: not any(map(alive, pids)), 3, "all processes end")
    serial = (small.data_dir / "pki" / "apiserver.crt").read_bytes()
    assert (small.run_dir / "core.sock").exists()
    small.start()
    assert small.request("GET", "/readyz")[0] == 200
    assert (small.data_dir / "pki" / "apiserver.crt").read_bytes() == serial


def test_sigterm_with_open_watches_ends_within_two_seconds_and_leaves_no_socket(small: RunningServer) -> None:
    watches = []
    for _ in range(100):
        watch = connection(small)
        watch.request("GET", "/api/v1/pods?watch=true")
        watches.append((watch, watch.getresponse()))
    pids = all_pids(small)
    began = time.monotonic()
    assert small.stop() == 0
    assert time.monotonic() - began < 2
    assert not any(map(alive, pids))
    assert not list(small.run_dir.glob("*.sock")) and not list(small.run_dir.glob("etcd/*:0"))
    for watch, answer in watches:
        assert answer.read() == b"began\n"  # the stream's regular end
        watch.close()


@pytest.mark.seed("S2", "S87")
def test_the_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--shutdown-delay-duration=20s", command=SMALL) as small:
        pids = all_pids(small)
        small.process.send_signal(signal.SIGTERM)
        wait_for(lambda: small.request("GET", "/readyz")[0] == 500, 2, "readyz fails first")
        assert small.request("GET", "/livez")[0] == 200, "and everything else is still served"
        assert small.request("GET", "/x")[0] == 200
        small.process.send_signal(signal.SIGINT)
        assert small.process.wait(2) == 1
        wait_for(lambda: not any(map(alive, pids)), 2)


def test_a_second_master_on_the_run_folder_is_refused(small: RunningServer, tmp_path: Path) -> None:
    flags = ["start", f"--run-dir={small.run_dir}", f"--data-dir={tmp_path / 'other'}", "--secure-port=auto"]
    second = subprocess.run([*SMALL, *flags], capture_output=True, text=True, timeout=20)
    assert second.returncode == 1
    assert f"in use by another master, pid {small.process.pid}" in second.stderr
    assert small.status()["ready"] and small.request("GET", "/readyz")[0] == 200, "the first one goes on"


def test_a_second_master_on_the_data_folder_is_refused(small: RunningServer, tmp_path: Path) -> None:
    flags = ["start", f"--run-dir={tmp_path / 'r'}", f"--data-dir={small.data_dir}", "--secure-port=auto"]
    second = subprocess.run([*SMALL, *flags], capture_output=True, text=True, timeout=20)
    assert second.returncode == 1 and "--data-dir" in second.stderr and "in use" in second.stderr


@pytest.mark.seed("S84")
def test_a_taken_port_is_named_with_a_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = [f"--run-dir={tmp_path / 'r'}", f"--data-dir={tmp_path / 'd'}", "--bind-address=127.0.0.1"]
        refused = subprocess.run(
            [*SMALL, "start", *flags, f"--secure-port={port}"], capture_output=True, text=True, timeout=20
        )
    assert refused.returncode == 1
    assert f"127.0.0.1:{port}" in refused.stderr and "--secure-port=auto" in refused.stderr


def test_a_group_that_cannot_start_is_reported_with_its_log(tmp_path: Path) -> None:
    flags = [f"--run-dir={tmp_path / 'r'}", f"--data-dir={tmp_path / 'd'}", "--secure-port=auto"]
    failed = subprocess.run(
        [*SMALL, "start", *flags],
        capture_output=True,
        text=True,
        timeout=40,
        env=os.environ | {"SMALL_APPS_CRASH": "core"},
    )
    assert failed.returncode == 1
    assert "core does not start" in failed.stderr and "told to crash" in failed.stderr


def test_restart_replaces_the_workers_while_requests_go_on(small: RunningServer) -> None:
    (before,) = small.processes("aggregator worker")
    small.command("restart", "aggregator")
    (after,) = small.processes("aggregator worker")
    assert after != before
    assert small.request("GET", "/x") == (200, str(after).encode())


def test_scale_up_and_down(small: RunningServer) -> None:
    small.command("scale", "core=3")
    assert len(small.processes("core worker")) == 3
    small.command("scale", "core=1")
    wait_for(lambda: len(small.processes("core worker")) == 1, 5)
    refused = small.command("scale", "etcd=3", check=False)
    assert refused.returncode == 1 and "cannot be scaled" in refused.stderr


def test_stop_waits_for_the_end(small: RunningServer) -> None:
    small.command("stop")
    assert small.process.wait(1) == 0
    stopped = small.command("status", check=False)
    assert stopped.returncode == 1 and "no server runs" in stopped.stderr


@pytest.mark.seed("S82", "S87")
def test_systemd_is_told_all_that_happens(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(20)

        def told(wanted: str) -> list[str]:
            """The next notification but heartbeats."""
            while True:
                lines = manager.recv(500).decode().split("\n")
                if wanted in lines:
                    return lines
                assert lines == ["WATCHDOG=1"], lines

        with RunningServer(tmp_path, command=SMALL, NOTIFY_SOCKET=path, WATCHDOG_USEC="1000000") as small:
            assert told("READY=1")[1:] == [f"MAINPID={small.process.pid}", f"STATUS=serving at {small.url}"]
            assert small.request("GET", "/x")[0] == 200
            for _ in range(3):
                began = time.monotonic()
                told("WATCHDOG=1")
                assert time.monotonic() - began < 0.9
            small.process.send_signal(signal.SIGHUP)
            reloading = dict(line.split("=") for line in told("RELOADING=1"))
            assert 0 < int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            told("READY=1")
            told("WATCHDOG=1")
            small.process.send_signal(signal.SIGTERM)
            told("STOPPING=1")
            assert small.process.wait(10) == 0


def test_a_stopped_arbiter_is_replaced_while_its_workers_serve(small: RunningServer) -> None:
    (arbiter,), (worker,) = small.processes("core"), small.processes("core worker")
    os.kill(arbiter, signal.SIGSTOP)
    began = time.monotonic()
    while small.processes("core") == [arbiter]:
        assert alive(worker)
        assert time.monotonic() - began < 30
        time.sleep(0.1)
    wait_for(lambda: not alive(arbiter) and not alive(worker), 15)
    assert small.status()["settled"]


def test_the_number_of_workers_that_was_asked_for_stays(small: RunningServer) -> None:
    small.command("scale", "core=2")
    small.command("restart", "core")
    assert len(small.processes("core worker")) == 2
    os.kill(small.processes("core")[0], signal.SIGKILL)
    wait_for(lambda: len(small.processes("core worker")) == 2 and small.status()["settled"], 10)
    small.command("reload")
    assert len(small.processes("core worker")) == 2
    assert len(small.processes("extensions worker")) == 1


def test_a_crash_loop_is_told_everywhere_and_does_not_end_the_server(small: RunningServer) -> None:
    killed: set[int] = set()
    loops = small.run_dir / "crash-loops"

    def kill_until_it_is_told() -> bool:
        for pid in set(small.processes("core worker")) - killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        return bool(small.status()["crashLoops"]) and loops.exists()

    wait_for(kill_until_it_is_told, 20, "the crash loop is noticed")
    (text,) = small.status()["crashLoops"]
    wait_for(lambda: not loops.exists(), 20, "what is not ready because of it is ready again")
    assert small.status()["ready"]
    assert re.match(r"workers of core died \d times in a row, the last one was ended by SIGKILL", text)
    assert "workers of core died" in small.command("status", check=False).stdout
    assert "crash loop: workers of core died 3 times in a row" in (small.run_dir / "logs" / "master.log").read_text()
    assert small.request("GET", "/x")[0] == 200
    wait_for(lambda: not small.status()["crashLoops"], 60, "it is over")


class TestReload:
    def test_code_and_options_on_disk_take_over_and_no_request_fails(self, tmp_path: Path) -> None:
        options = tmp_path / "options.yaml"
        options.write_text("core-workers: 1\n")
        with RunningServer(tmp_path, f"--config={options}", command=SMALL) as small:
            before = {role: small.processes(role) for role in ("core", "core worker", "aggregator worker", "etcd")}
            stream = connection(small, 30)
            stream.request("GET", "/api/v1/pods?watch=true")
            watch = stream.getresponse()
            assert watch.readline() == b"began\n"
            kept = connection(small)
            kept.request("GET", "/x")
            assert kept.getresponse().read() == str(before["aggregator worker"][0]).encode()
            options.write_text("core-workers: 2\n")
            small.process.send_signal(signal.SIGHUP)
            failed = []
            deadline = time.monotonic() + 30
            while small.processes("aggregator worker") == before["aggregator worker"]:
                assert time.monotonic() < deadline, small.whole_logs()
                failed += [status for status, _ in [small.request("GET", "/x")] if status != 200]
            assert not failed
            wait_for(lambda: len(small.processes("core worker")) == 2 and small.status()["settled"], 20)
            assert small.processes("core") != before["core"] and small.processes("etcd") == before["etcd"]
            assert small.status()["tree"]["pid"] == small.process.pid
            kept.request("GET", "/x")  # the old front answers, and says that it closes
            answer = kept.getresponse()
            assert answer.status == 200 and answer.headers["Connection"] == "close"
            assert small.processes("aggregator retired worker") == before["aggregator worker"]
            assert not small.stop()
            assert watch.read() == b""  # the stream's regular end, at the stop
            assert not any(map(alive, before["aggregator worker"]))

    def test_the_code_on_disk_is_what_runs(self, tmp_path: Path) -> None:
        program = tmp_path / "program.py"
        code = Path(SMALL[1]).read_text()
        program.write_text(code.replace("str(os.getpid()).encode()", 'b"old"'))
        with RunningServer(tmp_path, command=(sys.executable, str(program))) as small:
            assert small.request("GET", "/x") == (200, b"old")
            program.write_text(code.replace("str(os.getpid()).encode()", 'b"new"'))
            small.command("reload")
            assert small.request("GET", "/x") == (200, b"new")

    def test_a_stop_ends_a_reload(self, small: RunningServer) -> None:
        small.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not small.status()["settled"], 5, "the reload has begun")
        assert small.stop() == 0
        assert "takes over" not in (small.run_dir / "logs" / "master.log").read_text()

    def test_options_that_are_wrong_leave_the_server_as_it_is(self, tmp_path: Path) -> None:
        options = tmp_path / "options.yaml"
        options.write_text("core-workers: 1\n")
        with RunningServer(tmp_path, f"--config={options}", command=SMALL) as small:
            pids = all_pids(small)
            options.write_text("core-workers: none\n")
            refused = small.command("reload", check=False)
            assert refused.returncode == 1 and "core-workers" in refused.stderr
            options.write_text("bind-address: 127.0.0.2\n")
            refused = small.command("reload", check=False)
            assert refused.returncode == 1 and "a reload cannot change --bind-address" in refused.stderr
            assert all_pids(small) == pids
            assert small.status()["reloadFailed"] and small.status()["settled"]
            options.write_text("core-workers: 1\n")
            small.command("reload")
            assert not small.status()["reloadFailed"]


@pytest.mark.seed("S86", "S87")
@pytest.mark.parametrize("flag", ["--shutdown-send-retry-after=false", "--shutdown-send-retry-after=true"])
def test_a_request_that_runs_is_finished_and_a_new_one_refused(tmp_path: Path, flag: str) -> None:
    with RunningServer(tmp_path, flag, command=SMALL) as small:
        slow, late = connection(small, 20), connection(small)
        watch = connection(small)
        late.request("GET", "/x")
        late.getresponse().read()
        watch.request("GET", "/api/v1/pods?watch=true")
        began = watch.getresponse()
        slow.request("POST", "/slow?seconds=4", body=b"{}")
        time.sleep(0.5)
        small.process.send_signal(signal.SIGTERM)
        wait_for(lambda: b"stopping" in small.output.encode(), 2)
        assert began.read() == b"began\n"  # a watch is not waited for
        if flag.endswith("true"):
            wait_for(lambda: small.request("GET", "/x")[0] == 429, 2, "new connections are accepted, and told to go")
        answer = slow.getresponse()
        assert answer.status == 201 and answer.headers["Connection"] == "close"
        assert small.process.wait(5) == 0


@pytest.mark.seed("S86")
def test_a_connection_that_is_kept_hears_that_the_server_goes(small: RunningServer) -> None:
    slow, late = connection(small, 20), connection(small)
    late.request("GET", "/x")
    late.getresponse().read()
    slow.request("POST", "/slow?seconds=2", body=b"{}")
    time.sleep(0.3)
    for pid in small.processes("aggregator worker"):
        os.kill(pid, signal.SIGTERM)
    time.sleep(0.12)  # idle connections are open for a moment longer
    late.request("GET", "/x")
    answer = late.getresponse()
    assert answer.status == 503 and answer.headers["Retry-After"] == "1" and answer.headers["Connection"] == "close"
    assert json.loads(answer.read())["message"] == "apiserver is shutting down"
    assert slow.getresponse().status == 201


def test_a_worker_that_was_just_forked_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10", command=SMALL, SMALL_APPS_YOUNG="1") as server:
        (arbiter,), (worker,) = server.processes("core"), server.processes("core worker")
        children = Path(f"/proc/{arbiter}/task/{arbiter}/children")
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: set(children.read_text().split()) - {str(worker)}, 5, "its successor is forked")
        assert server.stop(timeout=10) == 0
