"""The HTTP/1.1 protocol as clients see it, byte by byte."""

import asyncio
import json
import socket
import time

import pytest
from apiserver_workers.apimachinery.errors import ApiError, not_found, too_many_requests
from apiserver_workers.server.filters.cache_control import CacheControl
from apiserver_workers.server.filters.request_body import read_body
from apiserver_workers.server.filters.warning_recorder import WarningRecorder
from apiserver_workers.server.http.messages import Response, text_response
from apiserver_workers.server.http.request_info import request_info

from tests.server.serving import read_answer, serving

closed = []


async def endless():
    try:
        while True:
            yield b"tick\n"
            await asyncio.sleep(0.02)
    finally:
        closed.append("endless")


async def three():
    for word in (b"one", b"", b"two", b"three"):
        yield word


async def broken():
    yield b"some"
    raise RuntimeError("broken on purpose")


async def flood():
    while True:
        yield b"x" * 65536


async def handle(request):
    request.info = request_info(request.method, request.path, request.raw_query)
    await read_body(request)
    match request.path:
        case "/echo":
            facts = {"method": request.method, "query": request.raw_query, "body": request.body.decode("latin-1")}
            return Response(body=json.dumps(facts).encode())
        case "/list":
            return Response(body=[b"[", b"1", b"]"])
        case "/three":
            return Response(body=three())
        case "/api/v1/pods" | "/endless":
            return Response(body=endless())
        case "/flood":
            return Response(body=flood())
        case "/broken":
            return Response(body=broken())
        case "/crash":
            raise RuntimeError("secret")
        case "/missing":
            raise not_found("pods", "", "x")
        case "/busy":
            raise too_many_requests("later", 1)
        case "/warn":
            request.warnings += ['say "hi"\n', "b\\c", "b\\c"]
            return text_response("ok")
        case "/slow":
            await asyncio.sleep(0.1)
            return text_response("slow")
        case "/empty":
            return Response(204)
        case "/split":
            return text_response("ok", headers=[("X-Text", "a\r\nInjected: yes")])
        case "/unwrap":
            return text_response(request.headers["x-a"])
    return text_response(request.path)


@pytest.fixture(scope="module")
def server():
    with serving(WarningRecorder(CacheControl(handle))) as served:
        yield served


@pytest.fixture
def client(server):
    with server.connect() as connection:
        yield connection


def ask(client, target, method="GET", headers="", body=b"", **options):
    client.sendall(f"{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode() + body)
    status, headers, body, rest = read_answer(client, **options)
    assert rest == b""
    return status, headers, body


def test_an_answer_has_the_headers_of_every_answer(client):
    status, headers, body = ask(client, "/list")
    assert (status, body) == (200, b"[1]")
    assert headers["cache-control"] == "no-cache, private"
    assert headers["content-type"] == "application/json"
    assert len(headers["audit-id"]) == 36
    assert headers["date"].endswith("GMT")


def test_a_connection_serves_many_requests_and_keeps_a_given_audit_id(client):
    for number in range(3):
        status, headers, _ = ask(client, "/echo", headers=f"Audit-ID: id-{number}\r\n")
        assert (status, headers["audit-id"]) == (200, f"id-{number}")


def test_bodies_by_length_and_in_chunks(client):
    _, _, body = ask(client, "/echo?a=b", "POST", "Content-Length: 5\r\n", b"hello")
    assert json.loads(body) == {"method": "POST", "query": "a=b", "body": "hello"}
    chunks = b"3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nTrailer: t\r\n\r\n"
    _, _, body = ask(client, "/echo", "POST", "Transfer-Encoding: chunked\r\n", chunks)
    assert json.loads(body)["body"] == "hello"


def test_a_request_may_come_byte_by_byte(client):
    for byte in b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n":
        client.sendall(bytes([byte]))
    assert json.loads(read_answer(client)[2])["body"] == "hi"


def test_pipelined_requests_are_answered_in_order(client):
    paths = ["/slow", "/a", "/three", "/b"]
    client.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode() for path in paths))
    bodies, rest = [], b""
    for _ in paths:
        _, _, body, rest = read_answer(client, rest)
        bodies.append(body)
    assert bodies == [b"slow", b"/a", b"onetwothree", b"/b"]


def test_expect_100_continue(client):
    client.sendall(b"POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert read_answer(client)[0] == 100
    client.sendall(b"ok")
    assert json.loads(read_answer(client)[2])["body"] == "ok"


def test_head_has_a_length_and_no_body(client):
    status, headers, body = ask(client, "/list", "HEAD", head_only=True)
    assert (status, headers["content-length"], body) == (200, "3", b"")
    assert ask(client, "/list")[2] == b"[1]"


def test_no_content(client):
    status, headers, _ = ask(client, "/empty")
    assert status == 204
    assert "content-length" not in headers
    assert "content-type" not in headers


def test_old_clients_get_an_unchunked_stream_and_the_end_of_the_connection(client):
    client.sendall(b"GET /three HTTP/1.0\r\n\r\n")
    _, headers, body, _ = read_answer(client)
    assert body == b"onetwothree"
    assert "transfer-encoding" not in headers


def test_connection_close_is_honoured(client):
    _, headers, _ = ask(client, "/a", headers="Connection: close\r\n")
    assert headers["connection"] == "close"
    assert client.recv(1) == b""


def test_errors_become_status_objects(client):
    status, headers, body = ask(client, "/missing")
    assert (status, json.loads(body)["message"]) == (404, 'pods "x" not found')
    status, headers, body = ask(client, "/busy")
    assert (status, headers["retry-after"]) == (429, "1")


def test_an_unexpected_error_is_logged_and_nothing_leaks(client, caplog):
    status, headers, body = ask(client, "/crash")
    assert (status, headers["content-type"]) == (500, "text/plain; charset=utf-8")
    assert body == b"This request caused apiserver to panic. Look in the logs for details.\n"
    assert b"secret" not in body
    assert "secret" in caplog.text
    assert headers["audit-id"] in caplog.text
    assert ask(client, "/a")[0] == 200


def test_warnings_are_quoted_and_said_once(client):
    _, headers, _ = ask(client, "/warn")
    assert headers["warning"] == '299 - "say \\"hi\\"", 299 - "b\\\\c"'


def test_a_header_value_cannot_add_a_line(client):
    _, headers, _ = ask(client, "/split")
    assert "injected" not in headers


def test_a_stream_that_breaks_is_not_ended_properly(client):
    client.sendall(b"GET /broken HTTP/1.1\r\nHost: h\r\n\r\n")
    with pytest.raises((EOFError, ConnectionResetError)):
        read_answer(client)


def test_the_stream_of_a_client_that_goes_away_is_closed(server):
    closed.clear()
    with server.connect() as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")
        client.recv(1000)
    deadline = time.monotonic() + 2
    while not closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert closed == ["endless"]


def test_a_slow_reader_holds_its_stream_back(server):
    with server.connect() as client:
        client.sendall(b"GET /flood HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.2)
        (connection,) = [c for c in server.connections if c.answer and c.answer.request.path == "/flood"]
        assert connection.paused
        assert connection._transport.get_write_buffer_size() < 1 << 20


REFUSED = {
    "length and chunked": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "two lengths, odd case": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nCONTENT-LENGTH: 4\r\n\r\nabc",
    "listed lengths": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc",
    "signed length": b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc",
    "folded header": b"GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n",
    "space before colon": b"GET / HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
    "bare LF": b"GET / HTTP/1.1\nHost: h\n\n",
    "bare LF in the middle": b"GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n",
    "bare CR": b"GET / HTTP/1.1\r\nHost: h\rA: b\r\n\r\n",
    "NUL": b"GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "two spaces": b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
    "bad escape": b"GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n",
    "not a path": b"GET foo HTTP/1.1\r\nHost: h\r\n\r\n",
    "chunk size": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
    "chunk without end": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
    "chunk size with LF": b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "chunked, old version": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_ambiguous_messages_are_refused_and_the_connection_closed(server, client, name):
    client.sendall(REFUSED[name])
    status, headers, _, _ = read_answer(client)
    assert (status, headers["connection"]) == (400, "close")
    assert client.recv(1) == b""
    with server.connect() as other:
        assert ask(other, "/a")[0] == 200


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * (1 << 20) + b"\r\n\r\n", 431),
    ],
)
def test_other_refusals(client, message, status):
    client.sendall(message)
    assert read_answer(client)[0] == status


def test_a_body_beyond_the_limit(server):
    for framing, body in (("Content-Length: 4194304", b"x"), ("Transfer-Encoding: chunked", b"400000\r\nx")):
        with server.connect() as client:
            status, _, answer = ask(client, "/echo", "POST", framing + "\r\n", body)
            assert (status, json.loads(answer)["reason"]) == (413, "RequestEntityTooLarge")
            assert json.loads(answer)["message"] == "Request entity too large: limit is 3145728"


def test_silent_connections_are_closed(server, client):
    client.sendall(b"GET /a HTTP/1.1\r\n")
    time.sleep(0.05)
    for connection in list(server.connections):
        server.call(connection.expire, server.loop.time() + 33)
    assert read_answer(client)[0] == 408


def test_stopping_ends_watches_and_finishes_requests(server):
    with server.connect() as watch, server.connect() as slow, server.connect() as idle:
        watch.sendall(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert watch.recv(10)
        assert ask(idle, "/a")[0] == 200
        slow.sendall(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.03)
        for connection in list(server.connections):
            server.call(connection.shutdown)
        assert idle.recv(1) == b""
        status, headers, _, _ = read_answer(slow)
        assert (status, headers["connection"]) == (200, "close")
        tail = b""
        while piece := watch.recv(1000):
            tail += piece
        assert tail.endswith(b"\r\n0\r\n\r\n")


def test_a_request_that_comes_at_the_stop_is_answered(server):
    with server.connect() as client:
        assert ask(client, "/a")[0] == 200
        for connection in list(server.connections):
            server.call(connection.shutdown)
        status, headers, _ = ask(client, "/slow")
        assert (status, headers["connection"]) == (200, "close")
        assert client.recv(1) == b""


def test_the_front_sees_a_watch_break_off_when_a_worker_stops(tmp_path):
    with serving(handle, str(tmp_path / "s")) as served, served.connect() as watch:
        watch.sendall(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert watch.recv(10)
        time.sleep(0.05)
        for connection in list(served.connections):
            served.call(connection.shutdown)
        tail = b""
        with pytest.raises((ConnectionResetError, StopIteration)):
            while True:
                piece = watch.recv(1000)
                if not piece:
                    raise StopIteration
                tail += piece
        assert not tail.endswith(b"0\r\n\r\n")


def test_hijacking_hands_over_the_connection():
    async def upgrade(request):
        if request.hijack is None:
            raise ApiError(400, "BadRequest", "no upgrade")
        transport, rest = request.hijack()

        class Shout(asyncio.Protocol):
            def data_received(self, data):
                transport.write(data.upper())

        transport.set_protocol(Shout())
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + rest.upper())
        return Response()

    with serving(upgrade) as served, served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly ")
        assert read_answer(client)[0] == 101
        client.sendall(b"late")
        assert _until(client, b"LATE")
        with served.connect() as plain:
            assert ask(plain, "/")[0] == 400


def _until(client: socket.socket, ending: bytes) -> bytes:
    data = b""
    while not data.endswith(ending):
        data += client.recv(100)
    return data
