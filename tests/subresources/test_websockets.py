"""WebSockets to containers: translated for kubelets that speak only SPDY, passed on to those that say they speak it."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import websocket
from apiserver_workers.server.proxy import spdy
from kubernetes import client, config
from kubernetes.stream import stream

from tests.subresources.conftest import Cluster, create_node, create_pod

pytestmark = pytest.mark.e2e
V5 = "v5.channel.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
BINARY = websocket.ABNF.OPCODE_BINARY


class Channels:
    """A client of v5.channel.k8s.io."""

    def __init__(self, socket: websocket.WebSocket) -> None:
        self.socket = socket
        self.received: dict[int, bytes] = {}
        self.closed = False

    def send(self, channel: int, data: bytes) -> None:
        self.socket.send_binary(bytes((channel,)) + data)

    def close(self, channel: int) -> None:
        self.socket.send_binary(bytes((255, channel)))

    def read(self) -> None:
        """Everything until the server says goodbye."""
        while True:
            opcode, frame = self.socket.recv_data_frame(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.closed = True
                self.socket.send_close()
                return
            if opcode == BINARY:
                channel = frame.data[0]
                self.received[channel] = self.received.get(channel, b"") + frame.data[1:]

    @property
    def status(self) -> Any:
        return json.loads(self.received[3])


def connect(cluster: Cluster, path: str, *protocols: str) -> websocket.WebSocket:
    pki = cluster.server.data_dir / "pki"
    tls = {"ca_certs": str(pki / "ca.crt"), "certfile": str(pki / "admin.crt"), "keyfile": str(pki / "admin.key")}
    url = cluster.server.url.replace("https", "wss") + path
    return websocket.create_connection(url, subprotocols=list(protocols), sslopt=tls, timeout=20)


def exec_path(pod: str, *command: str, flags: str = "stdin=1&stdout=1&stderr=1") -> str:
    words = "&".join(f"command={quote(word)}" for word in command)
    return f"/api/v1/namespaces/default/pods/{pod}/exec?container=a&{flags}&{words}"


@pytest.fixture(params=["p", "modern"])
def pod(request: pytest.FixtureRequest) -> str:
    """A pod whose kubelet speaks SPDY, and one whose kubelet speaks WebSocket."""
    return str(request.param)


def test_a_command_and_its_streams(cluster: Cluster, pod: str) -> None:
    one = Channels(connect(cluster, exec_path(pod, "cat"), V5))
    assert one.socket.subprotocol == V5
    data = bytes(range(256)) * 4000
    for start in range(0, len(data), 30_000):
        one.send(0, data[start : start + 30_000])
    one.close(0)
    one.read()
    assert one.received[1] == data and one.status["status"] == "Success"
    assert cluster.kubelet.headers[-1]["upgrade"] == ("SPDY/3.1" if pod == "p" else "websocket")


def test_an_exit_code_is_a_status(cluster: Cluster, pod: str) -> None:
    one = Channels(connect(cluster, exec_path(pod, "exit", "3", flags="stdout=1&stderr=1"), V5))
    one.read()
    assert one.received[2] == b"something went wrong\n"
    assert one.status["reason"] == "NonZeroExitCode"
    assert one.status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert one.status["message"].startswith("command terminated with non-zero exit code: ")


def test_a_terminal_has_a_size(cluster: Cluster, pod: str) -> None:
    one = Channels(connect(cluster, exec_path(pod, "size", flags="stdin=1&stdout=1&tty=1"), V5))
    one.send(4, b'{"Width":80,"Height":24}')
    one.read()
    assert one.received[1] == b'{"Width":80,"Height":24}' and one.status["status"] == "Success"


def test_a_slow_client_gets_all_of_a_long_output(cluster: Cluster) -> None:
    one = Channels(connect(cluster, exec_path("p", "much", "20000000", flags="stdout=1"), V5))
    time.sleep(1)
    one.read()
    assert len(one.received[1]) == 20_000_000 and one.status["status"] == "Success"


def test_what_a_kubelet_sends_before_it_closes_reaches_a_client_that_is_busy(cluster: Cluster, pod: str) -> None:
    for size in range(1_000_000, 4_000_000, 300_000):  # how far it has come when the client reads differs
        one = Channels(connect(cluster, exec_path(pod, "much", str(size), flags="stdout=1"), V5))
        time.sleep(0.25)
        one.read()
        assert len(one.received[1]) == size and one.status["status"] == "Success"


def test_pings_are_answered(cluster: Cluster) -> None:
    one = connect(cluster, exec_path("p", "cat"), V5)
    one.ping(b"still there?")
    while True:
        opcode, frame = one.recv_data_frame(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_PONG:
            break
    assert frame.data == b"still there?"
    one.close()


def test_what_the_kubelet_cannot_is_told_on_the_error_channel(cluster: Cluster) -> None:
    one = Channels(connect(cluster, exec_path("p", "refuse", flags="stdout=1"), V5))
    one.read()
    assert (one.status["code"], one.status["reason"]) == (500, "InternalError")
    assert one.status["message"] == "Internal error occurred: unable to upgrade connection: container is not running"


def test_a_kubelet_that_is_not_there(cluster: Cluster) -> None:
    class Nobody:
        address, port = cluster.kubelet.address, 1

    create_node(cluster.server, "dead", Nobody)  # type: ignore[arg-type]
    create_pod(cluster.server, "unreachable", "dead")
    one = Channels(connect(cluster, exec_path("unreachable", "cat"), V5))
    one.read()
    assert one.status["status"] == "Failure" and "connection refused" in one.status["message"]
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        connect(cluster, exec_path("unreachable", "cat"), "v4.channel.k8s.io")
    assert caught.value.status_code == 500
    assert "error dialing backend: dial tcp" in json.loads(caught.value.resp_body)["message"]


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (exec_path("absent", "cat"), 404, 'pods "absent" not found'),
        (exec_path("p", "cat").replace("container=a&", ""), 400, "a container name must be specified for pod p, choose one of: [a b]"),
        (exec_path("p", "cat").replace("container=a", "container=c"), 400, "container c is not valid for pod p"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_request_is_an_answer(cluster: Cluster, path: str, code: int, message: str) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        connect(cluster, path, V5)
    assert (caught.value.status_code, json.loads(caught.value.resp_body)["message"]) == (code, message)


def test_a_plain_request_is_no_upgrade(cluster: Cluster) -> None:
    code, body = cluster.server.request("GET", exec_path("p", "cat"))
    assert (code, json.loads(body)["message"]) == (400, "Upgrade request required")


def test_a_handshake_that_is_not_whole(cluster: Cluster) -> None:
    host, _, port = cluster.server.url.removeprefix("https://").partition(":")
    one = http.client.HTTPSConnection(host, int(port), context=cluster.server.admin_tls(), timeout=20)
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Protocol": V5}
    one.request("GET", exec_path("p", "cat"), headers=headers)
    answer = one.getresponse()
    assert (answer.status, json.loads(answer.read())["message"]) == (400, "websocket: bad handshake")
    one.close()


def test_a_port_is_forwarded_by_spdy_inside_a_websocket(cluster: Cluster, pod: str) -> None:
    one = connect(cluster, f"/api/v1/namespaces/default/pods/{pod}/portforward", TUNNEL)
    assert one.subprotocol.lower() == TUNNEL.lower()
    session = spdy.Session()
    _, opening = session.open({"streamtype": "error", "port": "8080", "requestid": "0"})
    number, data_opening = session.open({"streamtype": "data", "port": "8080", "requestid": "0"})
    one.send_binary(opening + data_opening + spdy.data(number, b"hello"))
    frames = messages(one, session)
    assert next(piece for kind, stream, piece, _ in frames if stream == number) == b"port 8080: HELLO"
    one.send_binary(spdy.data(number, b"", end=True))
    assert next(ended for kind, stream, piece, ended in frames if stream == number)
    one.close()


def messages(one: websocket.WebSocket, session: spdy.Session) -> Iterator[tuple[int, int, bytes, bool]]:
    while True:
        yield from session.feed(one.recv())


def test_the_official_python_client_runs_commands(cluster: Cluster) -> None:
    core = client.CoreV1Api(config.new_client_from_config(str(cluster.server.kubeconfig)))
    options = {"container": "a", "stderr": True, "stdin": False, "stdout": True, "tty": False}
    command = ["echo", "from", "python"]
    told = stream(core.connect_get_namespaced_pod_exec, "modern", "default", command=command, **options)
    assert told == "from python\n"
    failing = stream(
        core.connect_get_namespaced_pod_exec,
        "modern",
        "default",
        command=["exit", "4"],
        _preload_content=False,
        **options,
    )
    failing.run_forever(timeout=20)
    assert failing.returncode == 4 and failing.read_stderr() == "something went wrong\n"
    log = core.read_namespaced_pod_log("p", "default", container="b", tail_lines=1)
    assert log == "b line 4\n"


def test_what_is_translated_is_counted(cluster: Cluster) -> None:
    def counted() -> dict[str, float]:
        lines = cluster.server.request("GET", "/metrics")[1].decode().splitlines()
        values = (line.rpartition(" ") for line in lines if line.startswith("apiserver_stream_"))
        return {name: float(value) for name, _, value in values}

    one = Channels(connect(cluster, exec_path("p", "exit", "1", flags="stdout=1&stderr=1"), V5))
    one.read()
    before = counted()
    one = Channels(connect(cluster, exec_path("p", "exit", "1", flags="stdout=1&stderr=1"), V5))
    one.read()
    name = 'apiserver_stream_translator_requests_total{code="200"}'
    assert counted()[name] == before[name] + 1
