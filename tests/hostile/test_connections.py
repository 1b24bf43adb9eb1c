"""Connections that send bodies before anybody knows whose they are, ask without reading, or only stand there."""

from __future__ import annotations

import json
import socket
import time

from tests.conftest import ADMIN_TOKEN
from tests.hostile.attacking import ask, bystanders_unharmed, connect, get
from tests.running import RunningServer
from tests.server.serving import read_answer

ADMIN = b"Authorization: Bearer " + ADMIN_TOKEN.encode()
PODS = b"/api/v1/namespaces/default/pods"
JSON = b"Content-Type: application/json"
MIB = 1 << 20


def test_nobodys_body_is_awaited(server: RunningServer) -> None:
    for lines in (
        (b"Content-Length: 3000000",),
        (b"Content-Length: 3000000", b"Expect: 100-continue"),
        (b"Content-Length: 300000000",),
        (b"Transfer-Encoding: chunked",),
        (b"Transfer-Encoding: chunked", b"Expect: 100-continue"),
    ):
        with connect(server) as client:
            started = time.monotonic()
            client.sendall(get(PODS, JSON, *lines, method=b"POST"))
            status, headers, _, _ = read_answer(client)
            assert (status, headers["connection"]) == (403, "close")
            assert client.recv(1) == b""
            assert time.monotonic() - started < 5


def test_a_client_that_sends_on_sees_the_refusal(server: RunningServer) -> None:
    message = get(PODS, JSON, b"Content-Length: 3000000", method=b"POST") + b" " * MIB
    assert ask(server, message)[0] == 403


def test_a_user_is_invited_to_send(server: RunningServer) -> None:
    with connect(server) as client:
        body = json.dumps({"metadata": {"name": "invited"}}).encode()
        lines = (ADMIN, JSON, b"Content-Length: %d" % len(body), b"Expect: 100-continue")
        client.sendall(get(b"/api/v1/namespaces/default/configmaps", *lines, method=b"POST"))
        assert read_answer(client)[0] == 100
        client.sendall(body)
        assert read_answer(client)[0] == 201


def test_a_users_body_may_come_in_pieces_and_the_connection_stays(server: RunningServer) -> None:
    with connect(server) as client:
        for number in range(3):
            body = json.dumps({"metadata": {"name": f"pieces-{number}"}, "data": {"a": "x" * 500_000}}).encode()
            head = get(
                b"/api/v1/namespaces/default/configmaps", ADMIN, JSON, b"Content-Length: %d" % len(body), method=b"POST"
            )
            client.sendall(head)
            for start in range(0, len(body), 100_000):
                client.sendall(body[start : start + 100_000])
            status, headers, answer, _ = read_answer(client)
            assert status == 201, answer
            assert "connection" not in headers


def test_a_body_that_is_too_large_is_refused_unread(server: RunningServer) -> None:
    message = get(PODS, ADMIN, JSON, b"Content-Length: 4000000", b"Expect: 100-continue", method=b"POST")
    status, _, body = ask(server, message)
    assert (status, json.loads(body)["reason"]) == (413, "RequestEntityTooLarge")


def test_many_bodies_of_nobody_cost_no_memory(server: RunningServer) -> None:
    with bystanders_unharmed(server, growth=64 * MIB):
        clients = [connect(server) for _ in range(60)]
        for client in clients:
            client.sendall(get(PODS, JSON, b"Content-Length: 3000000", method=b"POST"))
            try:
                client.sendall(b" " * MIB)
            except OSError:
                pass  # refused already
        for client in clients:
            client.close()


def test_requests_sent_ahead_wait_until_answers_are_read(server: RunningServer) -> None:
    """The limit is for what stays while the client is still there: it is not one answer for each request."""
    with bystanders_unharmed(server, growth=80 * MIB), connect(server) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(get(b"/openapi/v2", ADMIN) * 250)
        time.sleep(1)
        assert ask(server, get(b"/version"))[0] == 200
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_heads_that_never_end_have_only_so_much_room(server: RunningServer) -> None:
    with bystanders_unharmed(server, growth=80 * MIB):
        clients = [connect(server) for _ in range(50)]
        for client in clients:
            try:
                client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"x" * 900_000)
            except OSError:
                pass  # refused already: there is no more room
        for client in clients:
            client.close()


def test_a_body_of_tiny_chunks_costs_no_more_than_its_bytes(server: RunningServer) -> None:
    body = b"1\r\n \r\n" * 150_000 + b"2\r\n{}\r\n0\r\n\r\n"
    message = get(b"/api/v1/namespaces", ADMIN, JSON, b"Transfer-Encoding: chunked", method=b"POST") + body
    with bystanders_unharmed(server):
        assert ask(server, message)[0] in (400, 422)
