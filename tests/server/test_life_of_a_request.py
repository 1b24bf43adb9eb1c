"""However a request ends, whoever asked to be told is told once, and whether the client was sent the whole answer."""

import asyncio
import json
import socket
import struct
import threading
import time

import pytest
from apiserver_workers.apimachinery.errors import not_found
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.delegation.tunnel import part
from apiserver_workers.server.filters.deadline import RequestDeadline
from apiserver_workers.server.filters.request_body import read_body
from apiserver_workers.server.http.messages import Request, Response, text_response
from apiserver_workers.server.http.request_info import request_info

from tests.running import wait_for
from tests.server.serving import read_answer, serving

LARGE = 8 << 20


class Ends:
    """What was told of each request: its path, its status and whether the answer went out whole."""

    def __init__(self):
        self.told = []
        self.begun = []

    def follow(self, handler):
        """The handler, with its requests' ends noted."""

        def handle(request):
            request.info = request_info(request.method, request.path, request.raw_query)
            request.on_complete(lambda ended, whole: self.told.append((ended.path, ended.status, whole)))
            self.begun.append(request.path)
            return handler(request)

        return handle

    def wait(self, *expected):
        """These ends and no others, each once."""
        wait_for(lambda: len(self.told) >= len(expected), 5, f"the ends of {expected}, there are {self.told}")
        assert self.told == list(expected)

    def wait_for_begin(self, count=1):
        wait_for(lambda: len(self.begun) >= count, 5, "the request to begin")


async def pieces(count=None):
    number = 0
    while count is None or number < count:
        number += 1
        yield b"piece\n"
        await asyncio.sleep(0.002)


async def flood():
    while True:
        yield b"x" * 65536


async def broken():
    yield b"some"
    raise RuntimeError("broken on purpose")


async def never():
    await asyncio.Event().wait()


async def handle(request):
    match request.path:
        case "/list":
            return Response(body=[b"[", b"1", b"]"])
        case "/stream":
            return Response(body=pieces(3))
        case "/endless" | "/api/v1/pods":
            return Response(body=pieces())
        case "/flood":
            return Response(body=flood())
        case "/broken":
            return Response(body=broken())
        case "/large":
            return Response(body=b"x" * LARGE)
        case "/not-modified":
            return Response(304)
        case "/no-content":
            return Response(204)
        case "/missing":
            raise not_found("pods", "", "x")
        case "/crash":
            raise RuntimeError("secret")
        case "/never":
            await never()
        case "/read":
            await read_body(request)
    return text_response("ok")


@pytest.fixture
def ends():
    return Ends()


@pytest.fixture
def server(ends):
    with serving(ends.follow(RequestDeadline(handle, maximum=60))) as served:
        yield served


def head(path, method="GET", *lines):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: h", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/bytes", "GET", 200),
        ("/list", "GET", 200),
        ("/list", "HEAD", 200),
        ("/stream", "GET", 200),
        ("/stream", "HEAD", 200),
        ("/large", "HEAD", 200),
        ("/not-modified", "GET", 304),
        ("/no-content", "GET", 204),
        ("/missing", "GET", 404),
        ("/crash", "GET", 500),
        ("/large", "GET", 200),
    ],
)
def test_a_whole_answer(server, ends, path, method, status):
    with server.connect() as client:
        for number in range(1, 4):
            client.sendall(head(path, method))
            assert read_answer(client, head_only=method == "HEAD")[0] == status
            ends.wait(*[(path, status, True)] * number)
    assert len(ends.told) == 3


def test_pipelined_requests_end_in_their_order(server, ends):
    paths = ["/stream", "/list", "/missing", "/large", "/no-content", "/stream"]
    with server.connect() as client:
        client.sendall(b"".join(map(head, paths)))
        rest = b""
        for _ in paths:
            *_, rest = read_answer(client, rest)
    ends.wait(*[(path, {"/missing": 404, "/no-content": 204}.get(path, 200), True) for path in paths])


def test_an_answer_for_an_old_client(server, ends):
    with server.connect() as client:
        client.sendall(b"GET /stream HTTP/1.0\r\n\r\n")
        read_answer(client)
    ends.wait(("/stream", 200, True))


def vanish(client):
    """Reset the connection: a client that only closes its side may still wait for its answer."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def unread(server, client, path):
    """Ask for what is not read; the server's connection once it cannot write on."""
    client.sendall(head(path))
    return wait_for(lambda: next((one for one in list(server.connections) if one.paused), None), 5, "a full buffer")


def test_an_answer_is_over_when_it_has_been_taken(server, ends):
    with server.connect() as client:
        unread(server, client, "/large")
        assert ends.told == []
        client.sendall(head("/list"))
        *_, rest = read_answer(client)
        assert read_answer(client, rest)[2] == b"[1]"
        ends.wait(("/large", 200, True), ("/list", 200, True))


@pytest.mark.parametrize("path", ["/large", "/flood"])
def test_a_client_that_goes_without_reading(server, ends, path):
    with server.connect() as client:
        unread(server, client, path)
        assert ends.told == []
    ends.wait((path, 200, False))


@pytest.mark.parametrize("path", ["/large", "/flood"])
def test_a_client_that_never_reads_is_cut(server, ends, path):
    with server.connect() as client:
        connection = unread(server, client, path)
        server.call(connection.expire, server.loop.time() + 59)
        assert ends.told == []
        server.call(connection.expire, server.loop.time() + 61)
        ends.wait((path, 200, False))


def test_a_client_that_trickles_is_cut_at_the_deadline(server, ends):
    with server.connect() as client:
        connection = unread(server, client, "/large?timeout=30s")
        server.call(connection.expire, server.loop.time() + 29)
        assert ends.told == []
        server.call(connection.expire, server.loop.time() + 31)
        ends.wait(("/large", 200, False))


def test_a_long_running_answer_has_no_deadline(server, ends):
    with server.connect() as client:
        client.sendall(head("/api/v1/pods?watch=1&timeout=1s"))
        assert client.recv(100)
        (connection,) = server.connections
        server.call(connection.expire, server.loop.time() + 3600)
        assert client.recv(100)
        assert ends.told == []


def test_a_client_that_goes_while_its_request_is_handled(server, ends):
    with server.connect() as client:
        client.sendall(head("/never"))
        ends.wait_for_begin()
        vanish(client)
    ends.wait(("/never", 0, False))


@pytest.mark.parametrize("path", ["/endless", "/api/v1/pods?watch=1"])
def test_a_client_that_goes_in_the_middle_of_a_stream(server, ends, path):
    with server.connect() as client:
        client.sendall(head(path))
        assert client.recv(100)
        assert ends.told == []
    ends.wait((path.partition("?")[0], 200, False))


def test_a_stream_that_breaks_off(server, ends):
    with server.connect() as client:
        client.sendall(head("/broken"))
        with pytest.raises((EOFError, ConnectionResetError)):
            read_answer(client)
    ends.wait(("/broken", 200, False))


def test_a_client_that_has_closed_its_side(server, ends):
    for path in ("/list", "/endless"):
        with server.connect() as client:
            client.sendall(head(path))
            client.shutdown(socket.SHUT_WR)
            while client.recv(1000):
                pass
        wait_for(lambda path=path: path in [one for one, *_ in ends.told], 5)
    assert [(path, whole) for path, _, whole in ends.told] == [("/list", True), ("/endless", False)]


def test_the_deadline_of_the_handler(ends):
    with serving(ends.follow(RequestDeadline(handle, maximum=0.05))) as served, served.connect() as client:
        client.sendall(head("/never"))
        assert read_answer(client)[0] == 504
    ends.wait(("/never", 504, True))


def test_a_body_that_is_not_read(server, ends):
    with server.connect() as client:
        client.sendall(head("/list", "POST", "Content-Length: 1000000"))
        assert read_answer(client)[0] == 200
    ends.wait(("/list", 200, True))


def test_a_body_that_breaks_off(server, ends):
    with server.connect() as client:
        client.sendall(head("/read", "POST", "Content-Length: 1000000") + b"{")
        ends.wait_for_begin()
    wait_for(lambda: ends.told, 5)
    assert [path for path, _, _ in ends.told] == ["/read"]


def test_bytes_that_are_no_request_have_no_end(server, ends):
    with server.connect() as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert read_answer(client)[0] == 400
    assert ends.told == []


def test_a_server_that_stops_ends_streams_and_finishes_requests(server, ends):
    with server.connect() as watch, server.connect() as large:
        watch.sendall(head("/api/v1/pods?watch=1"))
        assert watch.recv(10)
        unread(server, large, "/large")
        for connection in list(server.connections):
            server.call(connection.shutdown)
        ends.wait(("/api/v1/pods", 200, True))
        assert len(read_answer(large)[2]) == LARGE
        ends.wait(("/api/v1/pods", 200, True), ("/large", 200, True))


# ---- through another process


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "worker.sock")


def front(path):
    target = []

    async def handle(request):
        if not target:
            target.append(DelegationTarget(path))
        return await target[0].handle(request)

    return handle


@pytest.fixture
def pair(ends, path):
    """A front and the worker behind it."""
    behind = Ends()
    with serving(behind.follow(handle), path) as worker, serving(ends.follow(front(path))) as served:
        yield served, worker, behind


@pytest.mark.parametrize(("asked", "status"), [("/list", 200), ("/stream", 200), ("/large", 200), ("/missing", 404)])
def test_an_answer_of_another_process(pair, ends, asked, status):
    served, _, behind = pair
    with served.connect() as client:
        for _ in range(2):
            client.sendall(head(asked))
            assert read_answer(client)[0] == status
    ends.wait(*[(asked, status, True)] * 2)
    behind.wait(*[(asked, status, True)] * 2)


@pytest.mark.parametrize("asked", ["/large", "/flood", "/endless"])
def test_a_client_that_goes_ends_both(pair, ends, asked):
    served, _, behind = pair
    with served.connect() as client:
        client.sendall(head(asked))
        client.recv(10)
        assert ends.told == []
    ends.wait((asked, 200, False))
    wait_for(lambda: behind.told, 5)
    assert len(behind.told) == 1


def test_a_client_that_goes_before_there_is_an_answer(pair, ends):
    served, _, behind = pair
    with served.connect() as client:
        client.sendall(head("/never"))
        behind.wait_for_begin()
        vanish(client)
    ends.wait(("/never", 0, False))
    behind.wait(("/never", 0, False))


class Dying:
    """A worker that sends some bytes of an answer and dies."""

    def __init__(self, path, answer):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._answer = answer
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        connection, _ = self._listener.accept()
        self._listener.close()
        connection.recv(65536)
        connection.sendall(self._answer)
        time.sleep(0.05)
        connection.close()


@pytest.mark.parametrize(
    ("method", "answer", "told"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n", ("/x", 200, False)),
        ("POST", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome", ("/x", 200, False)),
        ("POST", b"", ("/x", 503, True)),
    ],
)
def test_a_worker_that_is_killed(ends, path, method, answer, told):
    Dying(path, answer)
    with serving(ends.follow(front(path))) as served, served.connect() as client:
        client.sendall(head("/x", method))
        while client.recv(65536) and told[1] != 503:
            pass
        ends.wait(told)


# ---- tunnels


async def shouting(reader, writer):
    """A backend that switches protocols and answers in capitals, until it reads a full stop."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    while data := await reader.read(100):
        writer.write(data.upper())
        if b"." in data:
            break
    writer.close()


class Backend:
    def __init__(self, path):
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_unix_server(shouting, path))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def stop(self):
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_tunnel(ends, path, who):
    backend = Backend(path)
    with serving(ends.follow(front(path))) as served, served.connect() as client:
        client.sendall(head("/x", "GET", "Connection: Upgrade", "Upgrade: x"))
        assert read_answer(client)[0] == 101
        client.sendall(b"hello")
        assert client.recv(100) == b"HELLO"
        assert ends.told == []
        if who == "backend":
            client.sendall(b".")
            assert client.recv(100) == b"."
            assert client.recv(100) == b""
        client.close()
        ends.wait(("/x", 101, True))
    backend.stop()


def test_an_upgrade_that_is_answered_and_closed(ends):
    async def refuse(request):
        return part(request, Response(101, wire=b"HTTP/1.1 101 Switching Protocols\r\n\r\nbye"))

    with serving(ends.follow(refuse)) as served, served.connect() as client:
        client.sendall(head("/x", "GET", "Connection: Upgrade", "Upgrade: x"))
        data = b""
        while piece := client.recv(100):
            data += piece
        assert data.endswith(b"bye")
        ends.wait(("/x", 101, True))


# ---- callbacks


def test_the_last_callback_is_called_first_and_a_failing_one_keeps_none_from_being_called(caplog):
    request, order = Request("GET", "/", "", {}, audit_id="x"), []

    def fail(request, whole):
        raise RuntimeError("on purpose")

    request.on_complete(lambda request, whole: order.append("outer"))
    request.on_complete(fail)
    request.on_complete(lambda request, whole: order.append("inner"))
    request.complete(whole=True)
    request.complete(whole=False)
    assert order == ["inner", "outer"]
    assert "the end of request x" in caplog.text


def test_whoever_comes_late_is_told_at_once():
    request, told = Request("GET", "/", "", {}), []
    request.complete(whole=True)
    request.on_complete(lambda request, whole: told.append(whole))
    assert told == [False]


def test_headers_can_be_added_to_an_answer_before_it_is_written():
    async def answer(request):
        request.on_answer(lambda request, response: setattr(response, "headers", [("X-Status", str(request.status))]))
        raise not_found("pods", "", "x")

    with serving(answer) as served, served.connect() as client:
        client.sendall(head("/"))
        status, headers, body, _ = read_answer(client)
    assert (status, headers["x-status"], json.loads(body)["reason"]) == (404, "404", "NotFound")
