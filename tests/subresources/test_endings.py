"""Streams through to nodes: how long they may take, how fast they go, and that none of them keeps the server from ending."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiserver_supervisor.certificates import Pki, serving_subject

from tests.running import RunningServer
from tests.subresources.backend import own_address
from tests.subresources.conftest import POD, create_node, create_pod
from tests.subresources.kubelet import FakeKubelet

pytestmark = pytest.mark.e2e
ADDRESS = own_address() or "127.0.0.1"
RATE = 20_000


class Slow:
    """A server that lets requests run for a second and streams go at RATE; its kubelet, whose certificate nobody knows."""

    def __init__(self, server: RunningServer, kubelet: FakeKubelet) -> None:
        self.server = server
        self.kubelet = kubelet

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        host, _, port = self.server.url.removeprefix("https://").partition(":")
        one = http.client.HTTPSConnection(host, int(port), context=self.server.admin_tls(), timeout=20)
        one.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        self.connection = one
        self.socket = one.sock
        return one.getresponse()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slow]:
    folder = tmp_path_factory.mktemp("slow")
    pki = Pki(Path(folder, "unknown"))
    leaf = pki.leaf("kubelet", pki.authority("unknown-ca"), serving_subject(ADDRESS, "", "", "elsewhere"))
    flags = ("--request-timeout=1s", f"--max-connection-bytes-per-sec={RATE}", "--advertise-address=192.0.2.10")
    with (
        FakeKubelet(leaf.certificate, leaf.key, address=ADDRESS) as kubelet,
        RunningServer(folder, *flags) as server,
    ):
        create_node(server, "n", kubelet)
        create_pod(server, "p", "n")
        yield Slow(server, kubelet)


@pytest.mark.seed("S26", "S63", "S67")
def test_a_log_may_take_longer_than_a_request(slow: Slow) -> None:
    slow.kubelet.pause = 0.4
    started = time.monotonic()
    answer = slow.ask("GET", f"{POD}/log?container=a&follow=true")
    assert answer.read().splitlines() == [f"a line {number}".encode() for number in range(5)]
    assert time.monotonic() - started > 1.5
    assert slow.kubelet.requests[-1] == "/containerLogs/default/p/a?follow=true"
    assert slow.kubelet.headers[-1]["host"] == f"{ADDRESS}:{slow.kubelet.port}"


@pytest.mark.seed("S59")
@pytest.mark.skipif(ADDRESS == "127.0.0.1", reason="nodes are not proxied to on loopback")
def test_bodies_go_no_faster_than_they_may(slow: Slow) -> None:
    body = b"x" * RATE
    started = time.monotonic()
    answer = slow.ask("POST", "/api/v1/nodes/n/proxy/echo", body)
    assert json.loads(answer.read())["body"] == body.decode()
    assert 1.5 < time.monotonic() - started < 8


def websocket(slow: Slow) -> socket.socket:
    """`cat` in the container, as a WebSocket client sees it."""
    host, _, port = slow.server.url.removeprefix("https://").partition(":")
    plain = socket.create_connection((host, int(port)), 10)
    one = slow.server.admin_tls().wrap_socket(plain, server_hostname=host)
    lines = (
        f"GET {POD}/exec?container=a&command=cat&stdin=1&stdout=1 HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: v5.channel.k8s.io",
    )
    one.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += one.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return one


def frame(data: bytes) -> bytes:
    """A masked binary frame of channel 0, standard input; the mask is zero."""
    message = b"\0" + data
    return b"\x82\xfe" + len(message).to_bytes(2, "big") + bytes(4) + message


@pytest.mark.seed("S59")
def test_tunnels_go_no_faster_than_they_may(slow: Slow) -> None:
    one = websocket(slow)
    data = b"y" * (RATE // 2)
    started = time.monotonic()
    one.sendall(frame(data) * 2)
    came = b""
    while came.count(b"y") < RATE:
        came += one.recv(1 << 16)
    assert 0.9 < time.monotonic() - started < 8
    one.close()


def test_neither_a_log_nor_a_tunnel_keeps_the_server_from_ending(slow: Slow) -> None:
    slow.kubelet.pause = 30
    log = slow.ask("GET", f"{POD}/log?container=a&follow=true")
    assert log.readline() == b"a line 0\n"
    tunnel = websocket(slow)
    started = time.monotonic()
    assert slow.server.stop() == 0
    assert time.monotonic() - started < 5
    with pytest.raises((http.client.IncompleteRead, OSError)):
        log.read()
    tunnel.settimeout(5)
    with contextlib.suppress(ConnectionError):
        while tunnel.recv(100):
            pass
