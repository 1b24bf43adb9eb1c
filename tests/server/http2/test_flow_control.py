"""Windows both ways: who takes nothing gets nothing more, who sends too much is cut, and nobody waits for another."""

import asyncio
import threading

import pytest
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.http.messages import Response
from apiserver_workers.server.http2 import errors
from apiserver_workers.server.http2.receiving import BODY_WINDOW
from apiserver_workers.storage.transport.frames import (
    DATA,
    END_STREAM,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
    frame,
    settings,
    window_update,
    word,
)

from tests.server.http2.raw import GET, POST, serving_http2

INITIAL_WINDOW = 4
ADMIN = UserInfo(name="admin", groups=())


def path(text):
    return [*GET[:2], (":path", text), GET[3]]


class Handler:
    """Answers sizes; uploads are read when `go` is set."""

    def __init__(self):
        self.go = None
        self.written = 0
        self.closed = threading.Event()

    async def __call__(self, request):
        if request.path == "/stream":
            return Response(200, self.stream())
        if request.path.startswith("/size/"):
            return Response(200, [b"x" * int(request.path[6:])])
        if request.path == "/known":
            request.user = ADMIN
        if request.path == "/hold":
            request.user = ADMIN
            self.go = asyncio.Event()
            await self.go.wait()
        if request.upload is not None:
            request.body = await request.upload.whole(1 << 26)
        return Response(200, b"%d" % len(request.body))

    async def stream(self):
        try:
            while True:
                self.written += 1000
                yield b"y" * 1000
        finally:
            self.closed.set()


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def served(handler):
    with serving_http2(handler) as served:
        yield served


def test_no_more_is_sent_than_the_stream_takes(served):
    client = served.client(values={INITIAL_WINDOW: 10})
    client.headers(1, path("/size/25"))
    assert client.wait_for(DATA).payload == b"x" * 10
    client.send(window_update(1, 12))
    assert client.next().payload == b"x" * 12
    client.send(window_update(1, 100))
    assert client.next() == (DATA, END_STREAM, 1, b"xxx")


def test_no_more_is_sent_than_the_connection_takes(served):
    client = served.client(values={INITIAL_WINDOW: 1 << 20})
    client.headers(1, path("/size/70000"))
    client.headers(3, path("/size/1"))
    client.headers(5, path("/size/0"))
    got = 0
    while got < 65535:
        found = client.next()
        got += len(found.payload) if found.type == DATA else 0
        assert found.type != DATA or found.stream == 1 or got == 65535
    client.send(window_update(0, 10))
    assert client.wait_for(DATA).payload == b"x" * 10
    client.send(window_update(0, 1 << 20))
    found = {client.wait_for(DATA).stream for _ in range(2)}
    assert found == {1, 3}


def test_an_answer_without_a_body_needs_no_window(served):
    client = served.client(values={INITIAL_WINDOW: 0})
    client.headers(1, path("/size/0"))
    assert client.answer(1).status == 200


def test_a_setting_changes_the_windows_of_open_streams(served):
    client = served.client(values={INITIAL_WINDOW: 10})
    client.headers(1, path("/size/100"))
    assert len(client.wait_for(DATA).payload) == 10
    client.send(settings({INITIAL_WINDOW: 5}))  # the window is now -5
    client.send(window_update(1, 7))
    assert len(client.wait_for(DATA).payload) == 2
    client.send(settings({INITIAL_WINDOW: 200}))
    assert len(client.wait_for(DATA).payload) == 88


def test_streams_take_turns(served):
    client = served.client(values={INITIAL_WINDOW: 1 << 20})
    client.headers(1, path("/size/1000000"))
    client.headers(3, path("/size/100000"))
    order, got = [], 0
    while got < 65535:
        got += len(client.wait_for(DATA).payload)
    client.send(window_update(0, 1 << 24))
    while len([stream for stream, end in order if end]) < 2:
        found = client.wait_for(DATA)
        order.append((found.stream, found.flags))
    assert order.index((3, END_STREAM)) < 20, "the short answer waited for the long one"


def test_a_stream_that_nobody_takes_stands_still_and_others_go_on(served, handler):
    client = served.client(values={INITIAL_WINDOW: 1000})
    client.headers(1, path("/stream"))
    client.wait_for(DATA)
    client.headers(3, path("/size/900"))
    assert len(client.answer(3).body) == 900
    stopped = handler.written
    client.headers(5, path("/size/900"))
    assert len(client.answer(5).body) == 900
    assert handler.written == stopped < 200_000
    client.send(frame(RST_STREAM, 0, 1, word.pack(errors.CANCEL)))
    assert handler.closed.wait(5)


def test_a_stream_that_nobody_takes_is_reset_in_the_end(served):
    client = served.client(values={INITIAL_WINDOW: 1000})
    client.headers(1, path("/size/5000"))
    client.wait_for(DATA)
    connection, now = served.only_connection(), served.loop.time()
    served.call(connection.expire, now)
    served.call(connection.expire, now + 50)
    client.send(window_update(1, 1000))
    client.wait_for(DATA)
    served.call(connection.expire, now + 59)
    client.headers(3, path("/size/0"))
    assert client.answer(3).status == 200
    served.call(connection.expire, now + 130)
    assert client.reset_of(1) == errors.CANCEL


def test_requests_of_a_client_that_is_slow_cost_it_no_time(served, handler):
    """Those that begin while the transport is full, too."""
    client = served.client()
    client.headers(1, path("/hold"))
    connection, now = served.only_connection(), served.loop.time()
    served.call(connection.pause_writing)
    client.headers(3, path("/hold"))
    while len(connection._streams) < 2:
        pass
    served.call(connection.resume_writing)
    served.call(connection.pause_writing)
    served.call(connection.expire, now + 50)
    assert not connection.transport.is_closing()
    served.call(connection.expire, now + 200)
    assert client.is_closed()


def test_a_large_body_comes_while_it_is_read(served):
    client = served.client()
    client.headers(1, POST, end=False)
    sent, stream, connection = 0, BODY_WINDOW, 65535
    while sent < 3_000_000:
        size = min(16384, stream, connection)
        if size:
            client.data(1, bytes(size))
            sent, stream, connection = sent + size, stream - size, connection - size
            continue
        found = client.wait_for(WINDOW_UPDATE)
        credit = word.unpack(found.payload)[0]
        stream, connection = stream + credit * (found.stream == 1), connection + credit * (found.stream == 0)
    client.data(1, b"", end=True)
    assert client.answer(1).body == b"%d" % sent


def test_a_stranger_may_not_send_much_ahead(served):
    """However many streams there are."""
    client = served.client()
    for stream in (1, 3, 5, 7, 9):
        client.headers(stream, path("/hold"), end=False)
        client.data(stream, bytes(16384))
    assert client.goaway() == errors.FLOW_CONTROL_ERROR


def test_a_known_client_has_room_for_all_its_streams(served):
    client = served.client()
    client.headers(1, path("/known"))
    client.answer(1)
    client.headers(3, path("/known"))
    client.answer(3)
    for stream in (5, 7, 9, 11):
        client.headers(stream, path("/hold"), end=False)
        for _ in range(BODY_WINDOW // 16384):
            client.data(stream, bytes(16384))
    client.headers(13, path("/known"), end=False)
    client.data(13, b"body", end=True)
    assert client.answer(13).body == b"4"


def test_more_than_the_window_of_a_stream_is_a_fault_of_it(served):
    client = served.client()
    client.headers(1, path("/known"))
    client.answer(1)
    client.headers(3, path("/hold"), end=False)
    for _ in range(BODY_WINDOW // 16384):
        client.data(3, bytes(16384))
    client.data(3, b"x")
    assert client.reset_of(3) == errors.FLOW_CONTROL_ERROR
    client.headers(5, path("/known"))
    assert client.answer(5).status == 200


def test_a_body_that_is_expected_to_be_asked_for_is(served):
    client = served.client()
    client.headers(1, [*POST, ("expect", "100-continue"), ("content-length", "4")], end=False)
    interim = client.wait_for(HEADERS)
    assert client.decoder.decode(interim.payload) == [(":status", "100")]
    client.data(1, b"body", end=True)
    assert client.answer(1).body == b"4"
