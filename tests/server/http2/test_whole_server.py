"""HTTP/2 from outside: kubectl, curl and streams of our own over TLS, against a whole server."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest
from apiserver_workers.server.http2 import errors
from apiserver_workers.storage.transport.frames import (
    DATA,
    END_STREAM,
    GOAWAY,
    RST_STREAM,
    frame,
    settings,
    window_update,
    word,
)

from tests.conftest import ADMIN_TOKEN
from tests.e2e.kubectl import FOUND, needs_kubectl
from tests.running import RunningServer, wait_for
from tests.server.http2.whole import Http2Client, tls_context

CURL = shutil.which("curl")
has_curl = CURL is not None and "HTTP2" in subprocess.run([CURL, "-V"], capture_output=True, text=True).stdout
pytestmark = [pytest.mark.e2e, pytest.mark.seed("S15")]
WATCHES = 1000
CONNECTIONS = 4


@pytest.fixture
def client(server):
    client = Http2Client(server)
    yield client
    client.socket.close()


@pytest.mark.parametrize(
    "offered, chosen",
    [(["h2", "http/1.1"], "h2"), (["http/1.1", "h2"], "h2"), (["http/1.1"], "http/1.1"), (["spdy/3"], None)],
)
def test_alpn(server, offered, chosen):
    host, _, port = server.url.removeprefix("https://").partition(":")
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        tls_context(server, offered).wrap_socket(plain, server_hostname=host) as connection,
    ):
        assert connection.selected_alpn_protocol() == chosen


@needs_kubectl
def test_kubectl_speaks_http2(server, tmp_path):
    """Go's client negotiates it by itself."""

    def kubectl(*arguments: str, given: str | None = None) -> str:
        environment = os.environ | {"GODEBUG": "http2debug=1", "KUBECONFIG": str(server.kubeconfig)}
        done = subprocess.run(
            [FOUND, "-n", "http2", *arguments], capture_output=True, text=True, env=environment, input=given, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "http2: Transport received HEADERS" in done.stderr
        return done.stdout

    kubectl("create", "namespace", "http2")
    kubectl("create", "configmap", "one", "--from-literal=key=value")
    assert kubectl("get", "configmap", "one", "-o", "jsonpath={.data.key}") == "value"
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}, "data": {"large": "x" * 800_000}}
    kubectl("apply", "--server-side", "-f", "-", given=json.dumps(manifest))
    assert len(kubectl("get", "configmap", "two", "-o", "json")) > 800_000
    watching = threading.Thread(target=lambda: kubectl("delete", "configmap", "one"))
    watching.start()
    kubectl("wait", "--for=delete", "configmap/one", "--timeout=20s")
    watching.join()
    assert "two" in kubectl("get", "configmaps")
    assert "containers" in kubectl("explain", "pod.spec")
    kubectl("delete", "namespace", "http2", "--wait=false")


@pytest.mark.skipif(not has_curl, reason="no curl with HTTP/2")
def test_curl_speaks_http2(server):
    authority = server.data_dir / "pki" / "ca.crt"
    common = [CURL, "-s", "--http2", "--cacert", authority, "-H", f"Authorization: Bearer {ADMIN_TOKEN}"]
    done = subprocess.run(
        [*common, "-w", "\n%{http_version} %{http_code}", f"{server.url}/api/v1/namespaces/default"],
        capture_output=True,
        text=True,
    )
    body, _, told = done.stdout.rpartition("\n")
    assert told == "2 200" and json.loads(body)["kind"] == "Namespace"


def test_the_same_answers_as_over_http1(server, client):
    """Heads too, but for what belongs to the framing."""
    for path in ("/version", "/api/v1/namespaces/default", "/apis", "/healthz", "/nothing", "/api/v1/pods?limit=x"):
        status, body = server.request("GET", path)
        answer = client.ask("GET", path)
        assert (answer.status, answer.body) == (status, body)
        assert answer.headers["content-length"] == str(len(body))
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["audit-id"])
        assert not {"connection", "transfer-encoding"} & answer.headers.keys()


def test_who_asks_is_told_by_certificate_token_or_nothing(server, client):
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = client.ask("POST", path, review, content_type="application/json")
    assert json.loads(answer.body)["status"]["userInfo"]["username"] == "kubernetes-admin"
    for status, headers in ((403, {}), (401, {"authorization": "Bearer wrong"})):
        nobody = Http2Client(server, admin=False)
        number = nobody.begin("GET", "/api/v1/pods", **headers)
        assert nobody.wait_for(GOAWAY).code == errors.NO_ERROR
        assert nobody.answer(number).status == status
        assert nobody.is_closed()
    stranger = Http2Client(server, admin=False)
    alice = stranger.ask("POST", path, review, content_type="application/json", authorization="Bearer test-alice-token")
    assert json.loads(alice.body)["status"]["userInfo"]["username"] == "alice"
    as_bob = client.ask("POST", path, review, content_type="application/json", impersonate_user="bob")
    assert json.loads(as_bob.body)["status"]["userInfo"]["username"] == "bob"


def test_a_body_that_is_too_large_is_refused_and_the_connection_goes_on(server, client):
    number = client.begin("POST", "/api/v1/namespaces/default/configmaps", None)
    assert client.answer(number).status == 400
    client.stream += 2
    fields = [(":method", "POST"), (":path", "/api/v1/namespaces/default/configmaps"), *client.fields]
    client.headers(client.stream, [*fields, ("content-length", str(4 << 20))], end=False)
    assert client.answer(client.stream).status == 413
    assert client.ask("GET", "/version").status == 200


def test_an_upgrade_is_for_http1(server, client):
    answer = client.ask("POST", "/api/v1/namespaces/default/pods/none/exec?command=ls")
    assert answer.status in (400, 404)


def test_long_answers_beside_each_other_arrive_whole(server):
    """Faster than the client takes them, so that the transport is full again and again while requests begin."""
    _, whole = server.request("GET", "/openapi/v2")
    client = Http2Client(server)
    client.send(settings({4: 1 << 30}) + window_update(0, 1 << 30))
    bodies = {client.begin("GET", "/openapi/v2"): b"" for _ in range(10)}
    done = 0
    while done < 100:
        found = client.next()
        assert found.type not in (RST_STREAM, GOAWAY), found
        if found.type == DATA:
            bodies[found.stream] += found.payload
        if found.type == DATA and found.flags & END_STREAM:
            assert bodies.pop(found.stream) == whole
            bodies[client.begin("GET", "/openapi/v2")] = b""
            done += 1
    client.socket.close()


def configmap(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A server for many streams."""
    options = (f"--http2-max-streams-per-connection={WATCHES // CONNECTIONS + 10}", "--aggregator-workers=1")
    with RunningServer(tmp_path_factory.mktemp("wide"), *options) as server:
        yield server


def memory_of_fronts(server: RunningServer) -> int:
    return sum(
        int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])
        for pid in server.processes("aggregator worker")
    )


def test_a_thousand_watches_over_four_connections(wide):
    clients = [Http2Client(wide) for _ in range(CONNECTIONS)]
    assert clients[0].settings[3] == WATCHES // CONNECTIONS + 10
    page = json.loads(clients[0].ask("GET", "/api/v1/namespaces/default/configmaps?limit=1").body)
    version = page["metadata"]["resourceVersion"]
    before = memory_of_fronts(wide)
    path = f"/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={version}"
    for client in clients:
        client.watches = {client.begin("GET", path) for _ in range(WATCHES // CONNECTIONS)}
    (frame_count,) = {len(client.watches) for client in clients}
    status, _ = wide.request("POST", "/api/v1/namespaces/default/configmaps", configmap("seen"))
    assert status == 201
    for client in clients:
        told = set()
        while len(told) < frame_count:
            found = client.wait_for(DATA)
            assert found.stream in client.watches and b'"ADDED"' in found.payload and b'"seen"' in found.payload
            told.add(found.stream)
    each = (memory_of_fronts(wide) - before) / WATCHES
    print(f"{each:.1f} KiB a watch")
    assert each < 40
    metrics = clients[0].ask("GET", "/metrics").body.decode()
    counted = [
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith("apiserver_longrunning_requests{") and '"configmaps"' in line and '"WATCH"' in line
    ]
    assert counted == [WATCHES], metrics
    clients[1].headers(clients[1].stream + 2, [(":method", "GET"), (":path", "/version"), *clients[1].fields])
    assert clients[1].answer(clients[1].stream + 2).status == 200
    for client in clients:
        for number in client.watches:
            client.send(frame(RST_STREAM, 0, number, word.pack(errors.CANCEL)))
        client.headers(1001, [(":method", "GET"), (":path", "/version"), *client.fields])
        assert client.answer(1001).status == 200
        client.socket.close()


def test_a_worker_behind_dies_and_watches_go_on(wide):
    client = Http2Client(wide)
    page = json.loads(client.ask("GET", "/api/v1/namespaces/default/configmaps?limit=1").body)
    version = page["metadata"]["resourceVersion"]
    watch = client.begin("GET", f"/api/v1/namespaces/default/configmaps?watch=1&resourceVersion={version}")
    wide.request("POST", "/api/v1/namespaces/default/configmaps", configmap("before"))
    assert b'"before"' in client.wait_for(DATA, watch).payload
    for pid in wide.processes("core worker"):
        os.kill(pid, 9)
    wait_for(
        lambda: wide.request("POST", "/api/v1/namespaces/default/configmaps", configmap("behind"))[0] in (201, 409)
    )
    assert b'"behind"' in client.wait_for(DATA, watch).payload
    client.socket.close()


def test_without_http2(tmp_path):
    with RunningServer(tmp_path, "--disable-http2-serving") as server:
        host, _, port = server.url.removeprefix("https://").partition(":")
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            tls_context(server, ["h2", "http/1.1"]).wrap_socket(plain, server_hostname=host) as connection,
        ):
            assert connection.selected_alpn_protocol() == "http/1.1"


def test_the_server_stops(tmp_path):
    """Watches end cleanly, the client is told which requests were served, and nothing waits."""
    with RunningServer(tmp_path) as server:
        client = Http2Client(server)
        watch = client.begin("GET", "/api/v1/namespaces?watch=1")
        client.wait_for(DATA, watch)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        ended, last = False, []
        try:
            while True:
                found = client.next()
                ended = ended or (found.type == DATA and found.stream == watch and bool(found.flags & END_STREAM))
                assert found.type != RST_STREAM
                if found.type == GOAWAY:
                    last.append(word.unpack_from(found.payload)[0])
                    assert found.code == errors.NO_ERROR
        except EOFError:
            pass
        stopping.join()
        assert ended and last == [(1 << 31) - 1, watch]


def test_some_requests_ask_the_client_to_leave(tmp_path):
    with RunningServer(tmp_path, "--goaway-chance=0.02") as server:
        client = Http2Client(server)
        for _ in range(2000):
            client.begin("GET", "/version")
            found = client.next()
            while not (found.type == DATA and found.flags & END_STREAM) and found.type != GOAWAY:
                found = client.next()
            if found.type == GOAWAY:
                break
        assert found.type == GOAWAY and found.code == errors.NO_ERROR
        again = Http2Client(server)
        assert again.ask("GET", "/version").status == 200
