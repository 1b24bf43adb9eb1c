"""Bad input gets its documented answer, tells nothing, and harms nobody."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.conftest import ADMIN_TOKEN
from tests.running import RunningServer

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(autouse=True)
def workers_live_on(server: RunningServer) -> Iterator[None]:
    roles = ("aggregator worker", "core worker", "extensions worker")
    before = [server.processes(role) for role in roles]
    yield
    assert [server.processes(role) for role in roles] == before
    assert server.request("GET", "/readyz")[0] == 200
    assert "Traceback" not in server.logs() and ADMIN_TOKEN not in server.logs()


def send(server: RunningServer, head: str, body: bytes = b"") -> bytes:
    """The answer to a request as it stands, up to where the server stops sending."""
    host, _, port = server.url.removeprefix("https://").partition(":")
    raw = socket.create_connection((host, int(port)), 10)
    with server.admin_tls().wrap_socket(raw, server_hostname=host) as connection:
        connection.settimeout(5)
        connection.sendall(head.encode())
        answer = b""
        try:
            connection.sendall(body)
            while chunk := connection.recv(65536):
                answer += chunk
        except OSError:
            pass
        return answer


def post(server: RunningServer, body: bytes, content_type: str = "application/json") -> tuple[int, dict]:
    head = (
        f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\nConnection: close\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    answer = send(server, head, body)
    head_part, _, content = answer.partition(b"\r\n\r\n")
    return int(head_part.split()[1]), json.loads(content)


def test_truncated_json(server: RunningServer) -> None:
    status, answer = post(server, b'{"metadata": {"name": "x"')
    assert (status, answer["reason"]) == (400, "BadRequest") and "unexpected" in answer["message"]


def test_deep_nesting(server: RunningServer) -> None:
    status, answer = post(server, b'{"data":' * 10_000 + b"1" + b"}" * 10_000)
    assert (status, answer["reason"]) == (400, "BadRequest") and "depth" in answer["message"]


def test_four_megabytes(server: RunningServer) -> None:
    status, answer = post(server, b'{"data":{"a":"' + b"x" * (4 << 20) + b'"}}')
    assert (status, answer["reason"]) == (413, "RequestEntityTooLarge")


def test_alias_bomb(server: RunningServer) -> None:
    levels = ["a: &a0 [x,x,x,x,x,x,x,x,x]"]
    levels += [f"b{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    status, answer = post(server, "\n".join(levels).encode(), "application/yaml")
    assert (status, answer["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2, 2",
        "Content-Length: -1",
        "X-Folded: a\r\n b",
    ],
)
def test_ambiguous_framing_is_refused_and_the_connection_closed(server: RunningServer, lengths: str) -> None:
    head = f"POST {CONFIG_MAPS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n{lengths}\r\n\r\n{{}}"
    answer = send(server, head)
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/api/v1/nopes", 404),
        ("GET", "/apis/nope.example/v1", 404),
        ("POST", CONFIG_MAPS + "/x", 405),
        ("PROPFIND", CONFIG_MAPS, 405),
        ("DELETE", "/api/v1/namespaces/default/configmaps/x/status", 404),
        ("GET", "/api/v1/namespaces/default/configmaps/%2e%2e%2fsecrets", 404),
    ],
)
def test_unknown_paths_and_verbs(server: RunningServer, method: str, path: str, status: int) -> None:
    assert server.request(method, path)[0] == status
