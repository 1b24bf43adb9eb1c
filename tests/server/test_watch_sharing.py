"""Watches that ask the same share one upstream, from whatever revision each begins."""

import asyncio
import json
import random
import time

import pytest
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.delegation.watch_frames import after, chunk, whole_chunks
from apiserver_workers.server.http.messages import Response
from apiserver_workers.server.http.request_info import request_info
from apiserver_workers.server.internal_headers import Opening

from tests.server.serving import read_answer, serving


def event(version, kind="MODIFIED", size=0):
    metadata = {"resourceVersion": str(version), "padding": "x" * size}
    return json.dumps({"type": kind, "object": {"metadata": metadata}}, separators=(",", ":")).encode() + b"\n"


class Worker:
    """A worker whose watches follow one log of events, given to it by `emit`."""

    def __init__(self):
        self.log = []
        self.opened = []

    async def handle(self, request):
        query = dict(pair.split("=") for pair in request.raw_query.split("&"))
        self.opened.append(request.raw_query)
        version, timeout = int(query.get("resourceVersion", 0)), int(query.get("timeoutSeconds", 0))
        opening = Opening(version, initial=not version, shareable=version > 0, timeout=timeout)
        return Response(body=self.follow(version, timeout or 3600), headers=[opening.header()])

    async def follow(self, version, timeout):
        position = next((n for n, (seen, _) in enumerate(self.log) if seen > version), len(self.log))
        until = asyncio.get_running_loop().time() + timeout
        while asyncio.get_running_loop().time() < until:
            batch, position = self.log[position:], len(self.log)
            if batch:
                yield b"".join(frame for _, frame in batch)
            await asyncio.sleep(0.002)

    def emit(self, *versions, size=0):
        self.log += [(version, event(version, size=size)) for version in versions]


@pytest.fixture
def worker():
    return Worker()


@pytest.fixture
def servers(worker, tmp_path):
    path = str(tmp_path / "worker.sock")
    targets = []

    async def front(request):
        request.info = request_info(request.method, request.path, request.raw_query)
        if not targets:
            targets.append(DelegationTarget(path))
        return await targets[0].handle(request)

    with serving(worker.handle, path) as behind, serving(front) as served:
        yield behind, served


def watch(served, query):
    client = served.connect()
    client.sendall(f"GET /api/v1/pods?watch=1&{query} HTTP/1.1\r\nHost: h\r\nAccept: application/json\r\n\r\n".encode())
    status, _, _, rest = read_answer(client, head_only=True)
    assert status == 200
    return Client(client, rest)


class Client:
    """A watching client: the versions that it has seen."""

    def __init__(self, connection, data):
        self.connection = connection
        self._data = data
        self.versions = []

    def read_until(self, version):
        while version not in self.versions:
            self._read()
        return self.versions

    def read_to_end(self):
        while not self._data.endswith(b"0\r\n\r\n"):
            self._read()
        return self.versions

    def _read(self):
        end, _ = whole_chunks(self._data)
        if not end:
            piece = self.connection.recv(65536)
            if not piece:
                raise EOFError
            self._data += piece
            end, _ = whole_chunks(self._data)
        for line in self._data[:end].split(b"\r\n"):
            self.versions += [
                int(json.loads(e)["object"]["metadata"]["resourceVersion"]) for e in line.splitlines() if e[:1] == b"{"
            ]
        self._data = self._data[end:]


def emit(behind, worker, *versions, **options):
    behind.call(lambda: worker.emit(*versions, **options))


def open_upstreams(behind):
    return sum(1 for connection in list(behind.connections) if connection.answer is not None)


def eventually(condition, seconds=3.0):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_each_client_gets_what_is_newer_than_where_it_begins(servers, worker):
    behind, served = servers
    clients = [watch(served, "resourceVersion=10")]
    emit(behind, worker, 11, 12)
    clients[0].read_until(12)
    emit(behind, worker, 14, 16)
    clients[0].read_until(16)
    clients += [watch(served, f"resourceVersion={version}") for version in (10, 11, 13, 14, 16, 18)]
    eventually(lambda: open_upstreams(behind) == 1)
    emit(behind, worker, 17, 18, 19)
    seen = [client.read_until(19) for client in clients]
    everything = [11, 12, 14, 16, 17, 18, 19]
    assert seen == [[v for v in everything if v > start] for start in (10, 10, 11, 13, 14, 16, 18)]


def test_a_client_that_begins_before_the_stream_has_its_own(servers, worker):
    behind, served = servers
    emit(behind, worker, 5, 6)
    late = watch(served, "resourceVersion=6")
    early = watch(served, "resourceVersion=4")
    assert early.read_until(6) == [5, 6]
    emit(behind, worker, 7)
    assert (early.read_until(7), late.read_until(7)) == ([5, 6, 7], [7])
    assert open_upstreams(behind) == 2


def test_other_questions_are_not_shared(servers, worker):
    behind, served = servers
    clients = [watch(served, f"resourceVersion=1{query}") for query in ("", "&labelSelector=a", "&pretty=1")]
    clients += [watch(served, "resourceVersion=0") for _ in range(2)]
    eventually(lambda: open_upstreams(behind) == len(clients))


def test_history_that_was_forgotten_is_not_made_up(servers, worker):
    behind, served = servers
    first = watch(served, "resourceVersion=1")
    for version in range(2, 12):
        emit(behind, worker, version, size=30_000)
        first.read_until(version)
    assert watch(served, "resourceVersion=2").read_until(11) == list(range(3, 12))
    assert watch(served, "resourceVersion=10").read_until(11) == [11]


def test_all_clients_go_on_when_the_worker_dies(servers, worker):
    behind, served = servers
    clients = [watch(served, "resourceVersion=1") for _ in range(5)]
    emit(behind, worker, 2)
    assert [client.read_until(2) for client in clients] == [[2]] * 5
    for connection in list(behind.connections):
        behind.call(connection._transport.abort)
    emit(behind, worker, 3)
    assert [client.read_until(3) for client in clients] == [[2, 3]] * 5
    assert worker.opened[-1] == "watch=1&resourceVersion=2"


def test_the_upstream_ends_with_its_last_client(servers, worker):
    behind, served = servers
    clients = [watch(served, "resourceVersion=1") for _ in range(3)]
    clients[0].connection.close()
    emit(behind, worker, 2)
    assert clients[1].read_until(2) == clients[2].read_until(2) == [2]
    for client in clients:
        client.connection.close()
    eventually(lambda: open_upstreams(behind) == 0)


def test_each_client_ends_at_its_own_time(servers, worker):
    behind, served = servers
    short = watch(served, "resourceVersion=1&timeoutSeconds=1")
    long = watch(served, "resourceVersion=1")
    middle = watch(served, "resourceVersion=1&timeoutSeconds=2")
    started = time.monotonic()
    assert short.read_to_end() == []
    assert 0.5 < time.monotonic() - started < 1.7
    emit(behind, worker, 2)
    assert middle.read_to_end() == [2]
    assert 1.7 < time.monotonic() - started < 2.7
    emit(behind, worker, 3)
    assert long.read_until(3) == [2, 3]


def test_a_slow_client_is_dropped_alone(servers, worker):
    behind, served = servers
    slow, quick = watch(served, "resourceVersion=1"), watch(served, "resourceVersion=1")
    for version in range(2, 152):
        emit(behind, worker, version, size=100_000)
        quick.read_until(version)
    assert quick.versions == list(range(2, 152))
    with pytest.raises((EOFError, ConnectionResetError)):
        slow.read_to_end()
    assert slow.versions == list(range(2, 2 + len(slow.versions)))


def test_events_after_a_version_are_cut_out_exactly():
    rng = random.Random(1)
    for _ in range(200):
        versions = sorted(rng.sample(range(1, 60), rng.randint(1, 20)))
        region, left = b"", versions[:]
        while left:
            size = rng.randint(1, 4)
            region += chunk(b"".join(event(version) for version in left[:size]))
            left = left[size:]
        start = rng.randint(0, 60)
        rest, found = after(region, start)
        client = Client(None, rest)
        while client._data:
            client._read()
        assert client.versions == [version for version in versions if version > start]
        assert found == bool(client.versions)
