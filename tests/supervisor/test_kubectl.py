"""The whole server as a newcomer meets it: kubectl, and processes that die under it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import RunningServer, wait_for

KUBECTL = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(KUBECTL is None, reason="no kubectl")]

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


def kubectl(server: RunningServer, *arguments: str, stdin: str = "") -> str:
    command = [str(KUBECTL), f"--kubeconfig={server.kubeconfig}", f"--cache-dir={server.data_dir}/cache", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10") as running:
        yield running


def test_the_first_minutes_with_kubectl(server: RunningServer) -> None:
    assert "kube-system" in kubectl(server, "get", "namespaces")
    kubectl(server, "create", "namespace", "first")
    assert "web created" in kubectl(server, "-n", "first", "apply", "-f", "-", stdin=MANIFEST)
    assert "unchanged" in kubectl(server, "-n", "first", "apply", "-f", "-", stdin=MANIFEST)
    kubectl(server, "-n", "first", "scale", "deployment/web", "--replicas=3")
    assert "0/3" in kubectl(server, "-n", "first", "get", "deployments")
    assert kubectl(server, "-n", "first", "get", "svc", "web", "-o", "jsonpath={.spec.clusterIP}").startswith("10.0.0.")
    assert "Endpoints:" in kubectl(server, "-n", "first", "describe", "service", "web")
    assert "Number of desired pods" in kubectl(server, "explain", "deployment.spec.replicas")
    kubectl(server, "-n", "first", "delete", "deployment,service", "--all", "--wait=false")
    assert kubectl(server, "-n", "first", "get", "services", "-o", "name") == ""


def test_the_kubernetes_service_has_this_servers_address(server: RunningServer) -> None:
    def published() -> bool:
        status, body = server.request("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
        return status == 200 and json.loads(body)["endpoints"][0]["addresses"] == ["192.0.2.10"]

    wait_for(published, 5, "the endpoint slice")


def test_acknowledged_writes_survive_a_killed_master(own: RunningServer) -> None:
    config_map = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "kept"}, "data": {"a": "b"}}
    assert own.request("POST", "/api/v1/namespaces/default/configmaps", config_map)[0] == 201
    own.process.kill()
    own.process.wait()
    own.start()
    status, body = own.request("GET", "/api/v1/namespaces/default/configmaps/kept")
    assert status == 200 and json.loads(body)["data"] == {"a": "b"}


@pytest.mark.parametrize("role", ["core worker", "core", "extensions worker", "aggregator worker", "etcd"])
def test_the_server_heals_after_kill_9(own: RunningServer, role: str) -> None:
    (before,) = own.processes(role)
    os.kill(before, signal.SIGKILL)

    def healed() -> bool:
        try:
            path = "/api/v1/namespaces/default/configmaps?dryRun=All"
            made = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}}
            return own.request("POST", path, made, timeout=2)[0] == 201 and own.request("GET", "/readyz")[0] == 200
        except OSError:
            return False

    wait_for(healed, 10, f"serving after {role} was killed")
    wait_for(lambda: own.status()["ready"], 5)


def test_a_stop_with_a_hundred_watches_takes_at_most_two_seconds(own: RunningServer) -> None:
    watches = [_open_watch(own) for _ in range(100)]
    began = time.monotonic()
    assert own.stop() == 0
    assert time.monotonic() - began < 2.0
    for watch in watches:
        watch.settimeout(2)
        assert _drain(watch).endswith(b"0\r\n\r\n"), "the watch gets its regular end"
        watch.close()


def test_reads_go_on_while_workers_are_replaced(own: RunningServer) -> None:
    failures: list[object] = []
    stop = threading.Event()
    reader = threading.Thread(target=_read_until, args=(own, stop, failures.append))
    reader.start()
    for role in ("core", "extensions", "aggregator"):
        own.command("restart", role)
    stop.set()
    reader.join(10)
    assert failures == []


def _read_until(server: RunningServer, stop: threading.Event, fail: Callable[[object], None]) -> None:
    while not stop.is_set():
        try:
            status, body = server.request("GET", "/api/v1/namespaces/default")
            if status != 200:
                fail((status, body))
        except OSError as error:
            fail(error)


def _open_watch(server: RunningServer) -> ssl.SSLSocket:
    host, _, port = server.url.removeprefix("https://").partition(":")
    raw = socket.create_connection((host, int(port)), 5)
    watch = server.admin_tls().wrap_socket(raw, server_hostname=host)
    watch.sendall(b"GET /api/v1/configmaps?watch=true HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert watch.recv(100).startswith(b"HTTP/1.1 200")
    return watch


def _drain(connection: ssl.SSLSocket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except OSError:
        pass
    return received
