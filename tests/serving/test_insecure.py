"""The insecure port: plain HTTP, everybody is system:unsecured, and nobody is asked."""

import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.running import RunningServer
from tests.serving.conftest import OpenServer
from tests.storage.etcd_process import free_port

pytestmark = pytest.mark.e2e
WHO = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
REVIEWS = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def user(opened: OpenServer, **headers: str) -> dict:
    status, body = opened.insecure("POST", REVIEWS, json.dumps(WHO), Content_Type="application/json", **headers)
    assert status == 201, body
    return json.loads(body)["status"]["userInfo"]


@pytest.mark.seed("S16", "S75")
def test_everything_is_served_in_the_clear_to_whoever_comes(opened: OpenServer) -> None:
    assert opened.insecure("GET", "/healthz") == (200, b"ok")
    assert opened.insecure("GET", "/api/v1/secrets")[0] == 200
    who = user(opened)
    assert who["username"] == "system:unsecured"
    assert who["groups"] == ["system:masters", "system:authenticated"]


@pytest.mark.seed("S75")
def test_credentials_and_impersonation_count_for_nothing(opened: OpenServer) -> None:
    for headers in ({"Impersonate_User": "alice"}, {"Authorization": "Bearer wrong"}, {"X_Remote_User": "alice"}):
        assert user(opened, **headers)["username"] == "system:unsecured"


@pytest.mark.seed("S75")
def test_admission_and_validation_hold_all_the_same(opened: OpenServer) -> None:
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p"}, "spec": {"containers": []}}
    asked = json.dumps(pod)
    status, body = opened.insecure("POST", "/api/v1/namespaces/nowhere/pods", asked, Content_Type="application/json")
    assert (status, json.loads(body)["reason"]) == (404, "NotFound")
    status, body = opened.insecure("DELETE", "/api/v1/namespaces/kube-system")
    assert status == 403, body
    status, body = opened.insecure("POST", "/api/v1/namespaces/default/configmaps", "{}", Content_Type="text/plain")
    assert status == 415, body


@pytest.mark.seed("S75")
def test_browsers_get_cors_headers_there_too(opened: OpenServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", opened.insecure_port, timeout=10)
    connection.request("OPTIONS", "/api/v1/pods", headers={"Origin": "https://ui.test"})
    answer = connection.getresponse()
    assert answer.status == 204 and answer.headers["Access-Control-Allow-Origin"] == "https://ui.test"
    connection.close()


def test_a_watch_is_served_there_too(opened: OpenServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", opened.insecure_port, timeout=10)
    connection.request("GET", "/api/v1/namespaces?watch=1&timeoutSeconds=5")
    answer = connection.getresponse()
    assert json.loads(answer.readline())["type"] == "ADDED"
    connection.close()


@pytest.mark.seed("S16", "S53")
def test_there_is_none_by_default(server: RunningServer) -> None:
    listening = [
        line.split()[1].partition(":")[2]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A"
    ]
    assert f"{8080:04X}" not in listening


@pytest.mark.seed("S76", "S84")
def test_it_serves_from_the_very_start_and_ends_with_the_server(tmp_path) -> None:
    port = free_port()
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                seen.append(health(port))
            except OSError:
                time.sleep(0.005)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    with RunningServer(tmp_path, f"--insecure-port={port}", "--advertise-address=192.0.2.10") as server:
        assert health(port) == 200
        over.set()
        looking.join(5)
        assert seen[0] == 500 and seen[-1] == 200 and set(seen) == {500, 200}
        command = [
            sys.executable,
            "-m",
            "apiserver_supervisor.cli",
            "start",
            f"--insecure-port={port}",
            "--secure-port=auto",
        ]
        folders = [f"--run-dir={tmp_path}/r", f"--data-dir={tmp_path}/d"]
        second = subprocess.run([*command, *folders], capture_output=True, text=True, timeout=20)
        assert second.returncode == 1 and f"failed to listen on 127.0.0.1:{port}" in second.stderr
        assert server.stop() == 0
        with pytest.raises(ConnectionRefusedError):
            health(port)


@pytest.mark.seed("S67")
def test_the_ports_are_bound_before_anything_is_said_about_etcd(tmp_path, short_folder) -> None:
    port = free_port()
    with subprocess.Popen(
        [
            *(
                sys.executable,
                "-m",
                "apiserver_supervisor.cli",
                "start",
                f"--run-dir={short_folder}",
                f"--data-dir={tmp_path}/d",
            ),
            *("--secure-port=auto", f"--insecure-port={port}", "--etcd-servers=http://127.0.0.1:1"),
            *("--livez-grace-period=60s", "--advertise-address=192.0.2.10"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            deadline = time.monotonic() + 20
            status = 0
            while status not in (200, 500) and time.monotonic() < deadline:
                try:
                    status = health(port)
                except OSError:
                    time.sleep(0.05)
            assert status == 500  # there is no etcd
            assert health(port, "/livez") == 200  # and that is forgiven for a minute after the start
        finally:
            process.terminate()
            assert process.wait(20) == 0


def health(port: int, path: str = "/healthz") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except http.client.HTTPException as error:
        raise OSError(str(error)) from None
    finally:
        connection.close()
