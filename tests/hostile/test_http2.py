"""Clients that mean no good over HTTP/2, of nobody and of a user who may do little. Other clients' GETs go on as before."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from apiserver_workers.server.http2 import errors
from apiserver_workers.storage.transport.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    frame,
    settings,
    window_update,
    word,
)

from tests.conftest import ADMIN_TOKEN
from tests.hostile.attacking import bystanders_unharmed
from tests.running import RunningServer
from tests.server.http2.whole import Http2Client

WHOLE = END_HEADERS | END_STREAM
MANY = 5000
AT_ONCE = 4  # connections
POD = "/api/v1/namespaces/default/pods/none"

pytestmark = [pytest.mark.e2e, pytest.mark.seed("S15")]


def fields(client: Http2Client, token: str, path: str = POD, method: str = "GET") -> list[tuple[str, str]]:
    own = [("authorization", f"Bearer {token}")] if token else []
    return [(":method", method), (":path", path), *client.fields, *own]


def rapid_reset(client: Http2Client, token: str) -> bytes:
    """CVE-2023-44487."""
    return b"".join(
        frame(HEADERS, WHOLE, number, client.block(fields(client, token))) + frame(RST_STREAM, 0, number, word.pack(8))
        for number in range(1, 2 * MANY, 2)
    )


def endless_head(client: Http2Client, token: str) -> bytes:
    """CVE-2024-27316."""
    beginning = frame(HEADERS, END_STREAM, 1, client.block(fields(client, token)))
    return beginning + frame(CONTINUATION, 0, 1, bytes([0, 1, 97, 1, 98]) * 3000) * 100


FLOODS: dict[str, Callable[[Http2Client, str], bytes]] = {
    "rapid reset": rapid_reset,
    "an endless head": endless_head,
    "empty continuations": lambda client, token: (
        frame(HEADERS, END_STREAM, 1, client.block(fields(client, token))) + frame(CONTINUATION, 0, 1) * 2 * MANY
    ),
    "pings": lambda client, token: frame(PING, 0, 0, bytes(8)) * 2 * MANY,
    "settings": lambda client, token: settings({4: 1 << 20, 1: 0}) * MANY,
    "windows": lambda client, token: window_update(0, 1) * 2 * MANY,
    "empty data": lambda client, token: (
        frame(HEADERS, END_HEADERS, 1, client.block(fields(client, token, method="POST")))
        + frame(DATA, 0, 1) * 2 * MANY
    ),
}


@pytest.mark.parametrize("token", ["", "test-alice-token"], ids=["nobody", "a user"])
@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood(server: RunningServer, flood: Callable[[Http2Client, str], bytes], token: str) -> None:
    with bystanders_unharmed(server):
        for _ in range(AT_ONCE):
            client = Http2Client(server, admin=False)
            try:
                client.send(flood(client, token))
            except OSError:
                pass  # it was cut off before all was read
            try:
                code = client.wait_for(GOAWAY).code
                if not token and code == errors.NO_ERROR:
                    continue  # nobody gets one answer, whatever else they send
                assert code == errors.ENHANCE_YOUR_CALM
            except (EOFError, OSError):
                pass  # the goodbye was lost with what nobody reads any more
            assert client.is_closed()


def test_large_heads(server: RunningServer) -> None:
    """Huffman-coded, no two alike: decoding them is the work of a thread."""
    with bystanders_unharmed(server):
        for attempt in range(4):
            client = Http2Client(server, admin=False)
            values = [(f"n{attempt}-{number}", f"{attempt}{number}" + "a" * 3900) for number in range(200)]
            block = client.block([*fields(client, "test-alice-token", "/version"), *values])
            pieces = [block[start : start + 16384] for start in range(0, len(block), 16384)]
            client.send(frame(HEADERS, END_STREAM, 1, pieces[0]))
            client.send(b"".join(frame(CONTINUATION, 0, 1, piece) for piece in pieces[1:]))
            client.send(frame(CONTINUATION, END_HEADERS, 1))
            assert client.answer(1).status == 200
            client.socket.close()


def test_bombs_of_the_header_table(server: RunningServer) -> None:
    """A byte of each stands for 4 KB."""
    with bystanders_unharmed(server):
        client = Http2Client(server, admin=False)
        filling = [*fields(client, "test-alice-token", "/version"), ("x", "a" * 3000)]
        client.headers(1, filling)
        assert client.answer(1).status == 200
        for number in range(3, 43, 2):
            block = client.block(fields(client, "test-alice-token", "/version"))
            client.send(frame(HEADERS, WHOLE, number, block + client.block([("x", "a" * 3000)]) * 5000))
            assert client.answer(number).status == 431


def test_answers_that_nobody_takes(server: RunningServer) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "large"}, "data": {"a": "x" * 900_000}}
    path = "/api/v1/namespaces/default/configmaps"
    assert server.request("POST", path, body)[0] == 201
    with bystanders_unharmed(server):
        clients = []
        for _ in range(AT_ONCE):
            client = Http2Client(server, admin=False)
            client.send(settings({4: 0}))
            for number in range(1, 41, 2):
                client.headers(number, fields(client, ADMIN_TOKEN, f"{path}/large"))
            clients.append(client)
        for client in clients:
            while client.next().type != HEADERS:
                pass
        for client in clients:
            client.socket.close()
    server.request("DELETE", f"{path}/large")


def test_bodies_that_nobody_may_send(server: RunningServer) -> None:
    with bystanders_unharmed(server):
        for _ in range(AT_ONCE):
            client = Http2Client(server, admin=False)
            for number in range(1, 21, 2):
                client.headers(number, fields(client, "test-alice-token", method="POST"), end=False)
            for number in range(1, 9, 2):
                client.data(number, bytes(16000))
            answered = set()
            while len(answered) < 10:
                found = client.next()
                if found.type == HEADERS:
                    answered.add(found.stream)
            client.headers(21, fields(client, "test-alice-token", "/version"))
            client.decoder = None
            while client.next()[:3:2] != (HEADERS, 21):
                pass
            client.socket.close()
