"""What a pod answers through the proxy is read strictly: no answer of it confuses the client or stops a worker."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.hostile.attacking import bystanders_unharmed
from tests.hostile.test_inward_addresses import make_node
from tests.running import RunningServer
from tests.subresources.backend import own_address

ADDRESS = own_address()
pytestmark = pytest.mark.skipif(not ADDRESS, reason="this host has no address but loopback's")


class Backend:
    """Gives each connection one answer, whatever was asked."""

    def __init__(self) -> None:
        self._listener = socket.create_server((ADDRESS, 0))
        self.port = self._listener.getsockname()[1]
        self.answer = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                client.recv(65536)
                try:
                    client.sendall(self.answer)
                except OSError:
                    pass  # refused before all of it was read

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture(scope="module")
def backend(server: RunningServer) -> Iterator[Backend]:
    backend = Backend()
    make_node(server, "web", ADDRESS, 10250)
    yield backend
    backend.close()


def proxied(server: RunningServer, backend: Backend, answer: bytes) -> tuple[int, http.client.HTTPMessage, bytes]:
    """What the client is told of such an answer."""
    backend.answer = answer
    connection = http.client.HTTPSConnection(
        server.url.removeprefix("https://"), timeout=30, context=server.admin_tls()
    )
    connection.request("GET", f"/api/v1/nodes/http:web:{backend.port}/proxy/page")
    told = connection.getresponse()
    body = told.read()
    connection.close()
    return told.status, told.headers, body


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nforged",
        b"HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xc2\xb2\r\n\r\nok",
        b"HTTP/1.1 20x OK\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\nok",
        b"hello",
        b"",
        b"HTTP/1.1 200 OK\r\nA: " + b"x" * (3 << 20),
    ],
    ids=lambda answer: repr(answer[:60]),
)
def test_bad_answers_are_errors(server: RunningServer, backend: Backend, answer: bytes) -> None:
    status, _, body = proxied(server, backend, answer)
    assert status in (500, 502, 503), body
    assert b"web" not in body, "the backend was not reached"
    assert body != b"ok" and b"forged" not in body


def test_headers_that_connection_names_are_dropped(server: RunningServer, backend: Backend) -> None:
    answer = b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: a\r\nX-End: b\r\nContent-Length: 2\r\n\r\nok"
    status, headers, body = proxied(server, backend, answer)
    assert (status, headers.get("X-Hop"), headers.get("X-End"), body) == (200, None, "b", b"ok")


def test_a_page_of_links_in_little_gzip(server: RunningServer, backend: Backend) -> None:
    """4 KB that inflate to 1.3 MB of links: they are rewritten slice by slice, between the requests of others."""
    page = gzip.compress(b'<a href="/x">' * 100_000)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    with bystanders_unharmed(server):
        status, _, body = proxied(server, backend, head % len(page) + page)
    assert status == 200
    assert gzip.decompress(body).count(b"/proxy/x") == 100_000
