"""The h2 package, which is an implementation of others, as the client."""

import asyncio

import h2.config
import h2.connection
import h2.events
import pytest
from apiserver_workers.server.http.messages import Response

from tests.server.http2.raw import serving_http2

HEADERS = [
    (":scheme", "https"),
    (":authority", "server"),
    ("accept", "application/json"),
    ("authorization", "Bearer x"),
]


async def handle(request):
    if request.upload is not None:
        request.body = await request.upload.whole(1 << 24)
    if request.path == "/lines":
        return Response(200, lines())
    if request.path == "/large":
        return Response(200, [b"z" * 100_000] * 20)
    if request.path == "/slow":
        await asyncio.sleep(0.05)
    return Response(200, b"%s %s %d" % (request.method.encode(), request.path.encode(), len(request.body)))


async def lines():
    for number in range(5):
        await asyncio.sleep(0.01)
        yield b"line %d\n" % number


class H2Client:
    """Requests over one connection, all at the same time."""

    def __init__(self, connection):
        self.socket = connection
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.bodies = {}
        self.statuses = {}
        self.ended = set()
        self.unsent = {}

    def ask(self, method, path, body=b""):
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, [(":method", method), (":path", path), *HEADERS], end_stream=not body)
        self.bodies[stream] = b""
        if body:
            self.unsent[stream] = body
        return stream

    def run(self):
        while len(self.ended) < len(self.bodies):
            self.send_bodies()
            self.socket.sendall(self.h2.data_to_send())
            for event in self.h2.receive_data(self.socket.recv(65536)):
                self.take(event)

    def send_bodies(self):
        for stream, body in list(self.unsent.items()):
            size = min(len(body), self.h2.local_flow_control_window(stream), 16384)
            if size:
                self.h2.send_data(stream, body[:size], end_stream=size == len(body))
                self.unsent[stream] = body[size:]
                if size == len(body):
                    del self.unsent[stream]

    def take(self, event):
        if isinstance(event, h2.events.ResponseReceived):
            self.statuses[event.stream_id] = int(dict(event.headers)[":status"])
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(event.stream_id)
        assert not isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)), event


@pytest.fixture
def client():
    with serving_http2(handle) as served:
        yield H2Client(served.connect())


def test_a_hundred_requests_at_once(client):
    asked = {client.ask("GET", f"/slow?{number}"): number for number in range(100)}
    client.run()
    assert set(client.statuses.values()) == {200}
    assert {client.bodies[stream] for stream in asked} == {b"GET /slow 0"}


def test_long_answers_beside_short_ones_and_streams(client):
    large = [client.ask("GET", "/large") for _ in range(5)]
    streamed = client.ask("GET", "/lines")
    head = client.ask("HEAD", "/large")
    client.run()
    assert [client.bodies[stream] for stream in large] == [b"z" * 2_000_000] * 5
    assert client.bodies[streamed] == b"".join(b"line %d\n" % number for number in range(5))
    assert client.bodies[head] == b""


def test_long_bodies_beside_each_other(client):
    sizes = (1, 100_000, 1_000_000, 2_000_000)
    asked = [client.ask("POST", "/up", bytes(size)) for size in sizes]
    client.run()
    assert [client.bodies[stream] for stream in asked] == [b"POST /up %d" % size for size in sizes]


def test_many_requests_after_each_other_use_the_header_table(client):
    for number in range(300):
        client.ask("GET", f"/{number}")
        client.run()
    assert len(client.bodies) == 300 and set(client.statuses.values()) == {200}
