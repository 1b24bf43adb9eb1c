"""Starting before etcd does, or without it."""

from __future__ import annotations

import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.running import COMMAND, RunningServer
from tests.storage.etcd_process import EtcdProcess, free_port


@pytest.mark.seed("S67d")
def test_a_server_whose_etcd_never_comes_ends_and_never_says_that_it_is_healthy(tmp_path: Path) -> None:
    port = free_port()
    folders = (f"--run-dir={tmp_path}/r", f"--data-dir={tmp_path}/d")
    flags = (
        f"--secure-port={port}",
        f"--etcd-servers=http://127.0.0.1:{free_port()}",
        "--advertise-address=192.0.2.10",
    )
    began = time.monotonic()
    process = subprocess.Popen([*COMMAND, "start", *folders, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    answers = set()
    while process.poll() is None and time.monotonic() - began < 70:
        answers.add(healthz(port))
        time.sleep(0.5)
    ended = time.monotonic() - began
    process.kill()
    assert process.wait() not in (0, -9)
    assert 20 <= ended <= 60
    assert 200 not in answers
    assert process.stdout is not None
    assert b"no etcd server answers within 30 s: http://127.0.0.1:" in process.stdout.read()


@pytest.mark.seed("S67d")
def test_a_server_whose_etcd_comes_ten_seconds_later_becomes_healthy(tmp_path: Path) -> None:
    etcd = EtcdProcess(tmp_path)
    timer = threading.Timer(10, etcd.start)
    timer.start()
    try:
        with RunningServer(
            tmp_path / "server", f"--etcd-servers={etcd.url}", "--advertise-address=192.0.2.10"
        ) as server:
            assert server.request("GET", "/healthz")[0] == 200
            assert server.request("GET", "/api/v1/namespaces/default")[0] == 200
            master = server.process.pid
            assert server.status()["tree"]["pid"] == master
    finally:
        timer.join()
        etcd.kill()


def healthz(port: int) -> int:
    """The status of /healthz, 0 when nobody answers."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", timeout=1, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
