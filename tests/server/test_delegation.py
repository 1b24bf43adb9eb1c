"""Delegation between two real servers: a front on a port, a worker on a Unix socket."""

import asyncio
import json
import socket
import threading
import time
from urllib.parse import quote

import pytest
from apiserver_workers.apimachinery.errors import not_found
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.chain import build_inner_chain
from apiserver_workers.server.delegation.target import DelegationTarget, delegate
from apiserver_workers.server.http.messages import Response, text_response
from apiserver_workers.server.http.request_info import request_info
from apiserver_workers.server.internal_headers import UNKNOWN, Opening

from tests.server.serving import read_answer, serving

ALICE = UserInfo("alice", groups=("a", "b"), extra={"k": ["v"]})
closed = []


async def flood(chunks):
    try:
        for _ in range(chunks):
            yield b"x" * 65536
    finally:
        closed.append("flood")


async def worker(request):
    match request.path:
        case "/echo":
            facts = {"user": request.user and request.user.name, "headers": request.headers, "body": len(request.body)}
            facts["target"] = f"{request.method} {request.path}?{request.raw_query}"
            return Response(body=json.dumps(facts).encode())
        case "/missing":
            raise not_found("pods", "", "x")
        case "/big":
            return Response(body=b"b" * 5_000_000)
        case "/flood":
            return Response(body=flood(400))
        case "/short":
            return Response(body=flood(2))
        case "/upgrade":
            transport, rest = request.hijack()

            class Shout(asyncio.Protocol):
                def data_received(self, data):
                    transport.write(data.upper())

            transport.set_protocol(Shout())
            transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nhello " + rest.upper())
            return Response()
    return text_response("?")


def front(path, user=ALICE):
    async def handle(request):
        request.info = request_info(request.method, request.path, request.raw_query)
        request.user = user
        return await delegate(request, path)

    return handle


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "worker.sock")


@pytest.fixture
def server(path):
    with serving(build_inner_chain(worker), path), serving(front(path)) as served:
        yield served


@pytest.fixture
def client(server):
    with server.connect() as connection:
        yield connection


def ask(client, target, method="GET", headers="", body=b"", **options):
    client.sendall(f"{method} {target} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode() + body)
    return read_answer(client, **options)[:3]


def test_a_request_arrives_with_its_identity_and_without_its_credentials(client):
    headers = (
        "Authorization: Bearer secret\r\nX-Remote-User: mallory\r\nImpersonate-User: bob\r\nX-A: 1\r\n"
        "X-Apiserver-Internal-User: mallory\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAudit-ID: my-id\r\n"
    )
    status, answer_headers, body = ask(client, "/echo?a=%2F", headers=headers)
    facts = json.loads(body)
    assert (status, facts["user"], facts["target"]) == (200, "alice", "GET /echo?a=%2F")
    assert facts["headers"]["x-a"] == "1"
    assert not {"authorization", "x-remote-user", "impersonate-user", "x-hop", "connection"} & set(facts["headers"])
    assert "mallory" not in str(facts["headers"])
    assert answer_headers["audit-id"] == "my-id"


def test_bodies_and_errors_pass_both_ways(client):
    body = b"y" * 2_000_000
    status, _, answer = ask(client, "/echo", "POST", f"Content-Length: {len(body)}\r\n", body)
    assert (status, json.loads(answer)["body"]) == (200, len(body))
    assert ask(client, "/missing")[0] == 404
    assert len(ask(client, "/big")[2]) == 5_000_000
    assert ask(client, "/short")[2] == b"x" * 131072
    assert ask(client, "/big", "HEAD", head_only=True)[1]["content-length"] == "5000000"
    assert ask(client, "/echo")[0] == 200


def test_an_old_client_gets_a_stream_to_the_end_of_the_connection(client):
    client.sendall(b"GET /short HTTP/1.0\r\n\r\n")
    assert read_answer(client)[2] == b"x" * 131072


def test_connections_are_used_again(path):
    target = []

    async def handle(request):
        request.info = request_info(request.method, request.path)
        if not target:
            target.append(DelegationTarget(path))
        return await target[0].handle(request)

    with serving(worker, path) as behind, serving(handle) as served, served.connect() as client:
        for _ in range(5):
            assert ask(client, "/short")[0] == 200
        assert len(behind.connections) == 1


def test_a_slow_client_holds_the_worker_back_and_its_connection_is_fit_for_use_afterwards(path):
    """The upstream connection is paused when the answer ends: back in the pool it must read again."""
    with serving(worker, path) as behind, serving(front(path)) as served, served.connect() as client:
        client.sendall(b"GET /flood HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.3)
        (connection,) = behind.connections
        assert connection.paused
        assert len(read_answer(client)[2]) == 400 * 65536
        assert ask(client, "/echo")[0] == 200
        for _ in range(20):
            client.sendall(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
            time.sleep(0.005)
            assert len(read_answer(client)[2]) == 5_000_000


def test_a_client_that_goes_away_ends_the_worker_s_stream(server):
    closed.clear()
    with server.connect() as client:
        client.sendall(b"GET /flood HTTP/1.1\r\nHost: h\r\n\r\n")
        client.recv(1000)
    deadline = time.monotonic() + 2
    while not closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert closed


def test_upgrades_are_tunnelled(client):
    client.sendall(b"GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly ")
    assert read_answer(client)[0] == 101
    data = b""
    client.sendall(b"late")
    while not data.endswith(b"LATE"):
        data += client.recv(100)


def test_nobody_listens(path):
    with serving(front(path)) as served, served.connect() as client:
        status, headers, body = ask(client, "/echo")
        assert (status, headers["retry-after"], json.loads(body)["reason"]) == (503, "1", "ServiceUnavailable")


def test_a_request_waits_while_the_worker_is_started(path):
    with serving(front(path)) as served, served.connect() as client:
        client.sendall(b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
        time.sleep(0.2)
        with serving(build_inner_chain(worker), path):
            assert read_answer(client)[0] == 200


class FakeWorker:
    """Workers that die on cue: each connection is given to the next of `scripts`."""

    def __init__(self, path, *scripts):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.seen = []
        self._thread = threading.Thread(target=self._run, args=scripts, daemon=True)
        self._thread.start()

    def _run(self, *scripts):
        for script in scripts:
            connection, _ = self.listener.accept()
            with connection:
                script(self, connection)
        self.listener.close()

    def read(self, connection):
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        self.seen.append(data)


def dies_after_reading(fake, connection):
    fake.read(connection)


def dies_unread(fake, connection):
    time.sleep(0.2)


def answers(fake, connection):
    fake.read(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine")
    time.sleep(0.1)


def test_a_read_is_repeated_when_its_worker_dies(path):
    fake = FakeWorker(path, dies_after_reading, dies_unread, answers)
    with serving(front(path)) as served, served.connect() as client:
        assert ask(client, "/x")[2] == b"fine"
    assert len(fake.seen) == 2


def test_a_write_that_was_read_is_never_repeated(path):
    fake = FakeWorker(path, dies_after_reading, answers)
    with serving(front(path)) as served, served.connect() as client:
        status, headers, body = ask(client, "/x", "POST", "Content-Length: 2\r\n", b"ab")
        assert (status, headers["retry-after"]) == (503, "1")
        assert "may have taken effect" in json.loads(body)["message"]
        assert len(fake.seen) == 1


def test_a_write_that_was_not_read_is_repeated(path):
    fake = FakeWorker(path, dies_unread, answers)
    with serving(front(path)) as served, served.connect() as client:
        assert ask(client, "/x", "POST", "Content-Length: 2\r\n", b"ab")[2] == b"fine"
    assert len(fake.seen) == 1


def event(kind, version, **metadata):
    obj = {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": str(version), **metadata}}
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


WATCH_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def told(opening):
    """The head of a watch whose worker says this of it."""
    return WATCH_HEAD[:-2] + "{}: {}\r\n\r\n".format(*opening.header()).encode()


def watch(*chunks, end=b"", opening=UNKNOWN):
    def script(fake, connection):
        fake.read(connection)
        connection.sendall(told(opening) if opening is not UNKNOWN else WATCH_HEAD)
        for piece in chunks:
            connection.sendall(piece)
            time.sleep(0.02)
        connection.sendall(end)

    return script


def refusal(code):
    def script(fake, connection):
        fake.read(connection)
        body = b'{"kind":"Status","code":%d}\n' % code
        connection.sendall(
            b"HTTP/1.1 %d No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (code, len(body)) + body
        )

    return script


def watched(path, query, *scripts):
    """The events a client gets whose workers follow the scripts, and the queries that the workers saw."""
    fake = FakeWorker(path, *scripts)
    with serving(front(path)) as served, served.connect() as client:
        status, _, body = ask(client, f"/api/v1/pods?{query}")
        assert status == 200
    events = [json.loads(line) for line in body.splitlines()]
    queries = [seen.split(b" ")[1].partition(b"?")[2].decode() for seen in fake.seen]
    return [(e["type"], e["object"].get("metadata", {}).get("resourceVersion")) for e in events], queries


END = b"0\r\n\r\n"


def test_a_watch_goes_on_with_another_worker_after_the_last_event(path):
    broken = chunk(event("MODIFIED", 8))[:20]
    pieces = chunk(event("ADDED", 5)), chunk(event("MODIFIED", 6) + event("ADDED", 7)), broken
    first = watch(*pieces, opening=Opening(4))
    second = watch(chunk(event("MODIFIED", 8)), end=END)
    events, queries = watched(path, "watch=1&resourceVersion=4&labelSelector=a%3Db", first, second)
    assert events == [("ADDED", "5"), ("MODIFIED", "6"), ("ADDED", "7"), ("MODIFIED", "8")]
    assert queries[1] == "watch=1&labelSelector=a%3Db&resourceVersion=7"


def test_a_watch_that_had_no_event_is_opened_as_it_was(path):
    events, queries = watched(path, "watch=1", watch(), watch(chunk(event("ADDED", 5)), end=END))
    assert events == [("ADDED", "5")]
    assert queries == ["watch=1", "watch=1"]


def test_a_watch_in_the_middle_of_its_initial_events_ends(path):
    events, queries = watched(path, "watch=1", watch(chunk(event("ADDED", 5))))
    assert (events, len(queries)) == ([("ADDED", "5")], 1)


def test_a_watch_goes_on_after_its_last_initial_event(path):
    """Initial events are in no order: 5 is the last of the state at revision 9."""

    def first(fake, connection):
        fake.read(connection)
        connection.sendall(told(Opening(9, last=5, initial=True)))
        connection.sendall(chunk(event("ADDED", 8)) + chunk(event("ADDED", 5)))

    events, queries = watched(path, "watch=1", first, watch(chunk(event("ADDED", 10)), end=END))
    assert events == [("ADDED", "8"), ("ADDED", "5"), ("ADDED", "10")]
    assert queries[1] == "watch=1&resourceVersion=9"


@pytest.mark.parametrize(("version", "resumed"), [(8, 0), (5, 9), (9, 0), (10, 10)])
def test_only_the_last_initial_event_says_that_they_have_ended(version, resumed):
    assert Opening(revision=9, last=5, initial=True).resume_after(version) == resumed


def test_what_is_for_the_front_only_does_not_reach_the_client(path):
    def worker(fake, connection):
        fake.read(connection)
        connection.sendall(told(Opening(9, last=5)) + END)

    FakeWorker(path, worker)
    with serving(front(path)) as served, served.connect() as client:
        status, headers, body = ask(client, "/api/v1/pods?watch=1")
    assert (status, body) == (200, b"") and headers["content-type"] == "application/json"
    assert not any("internal" in header for header in headers)


def test_a_watch_list_goes_on_once_its_initial_events_have_ended(path):
    mark = event("BOOKMARK", 9, annotations={"k8s.io/initial-events-end": "true"})
    mark = mark.replace(b'": "', b'":"')
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    first = watch(chunk(event("ADDED", 5)), chunk(mark), opening=Opening(9, initial=True))
    events, queries = watched(path, query, first, watch(chunk(event("ADDED", 10)), end=END))
    assert events == [("ADDED", "5"), ("BOOKMARK", "9"), ("ADDED", "10")]
    assert queries[1] == "watch=1&allowWatchBookmarks=true&resourceVersion=9"


def test_the_worker_says_where_a_watch_begins_not_the_query(path):
    query = "watch=1&resourceVersion=9&resourceVersion=4&resourceVersion=77&timeoutSeconds=\u00b2".encode().decode(
        "latin-1"
    )
    first = watch(chunk(event("ADDED", 5)), opening=Opening(4, shareable=True))
    events, queries = watched(path, quote(query, safe="=&"), first, watch(end=END))
    assert events == [("ADDED", "5")]
    assert queries[1] == "watch=1&resourceVersion=5"


def test_a_position_that_is_gone_is_told_as_an_event(path):
    events, _ = watched(
        path, "watch=1&resourceVersion=4", watch(chunk(event("ADDED", 5)), opening=Opening(4)), refusal(410)
    )
    assert events == [("ADDED", "5"), ("ERROR", None)]


@pytest.mark.parametrize("code", [429, 500, 503, 504])
def test_a_worker_that_cannot_read_yet_is_asked_again(path, code):
    first = watch(chunk(event("ADDED", 5)), opening=Opening(4))
    second = watch(chunk(event("ADDED", 6)), end=END)
    events, queries = watched(path, "watch=1&resourceVersion=4", first, refusal(code), second)
    assert events == [("ADDED", "5"), ("ADDED", "6")]
    assert queries[1] == queries[2] == "watch=1&resourceVersion=5"


def test_the_time_left_is_passed_on(path):
    first = watch(chunk(event("ADDED", 5)), opening=Opening(4, timeout=100))
    _, queries = watched(path, "watch=1&resourceVersion=4&timeoutSeconds=100", first, watch(end=END))
    assert queries[1] == "watch=1&resourceVersion=5&timeoutSeconds=100"


def test_stopping_the_front_ends_a_watch_cleanly(path):
    hold = threading.Event()

    def endless(fake, connection):
        watch(chunk(event("ADDED", 5)))(fake, connection)
        hold.wait(5)

    FakeWorker(path, endless)
    with serving(front(path)) as served, served.connect() as client:
        client.sendall(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.2)
        for connection in list(served.connections):
            served.call(connection.shutdown)
        assert read_answer(client)[2] == event("ADDED", 5)
    hold.set()
