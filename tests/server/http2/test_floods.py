"""Clients that mean no good: the connection ends, memory stays bounded, and others' requests go on."""

import asyncio

import pytest
from apiserver_workers.server.http.messages import Response
from apiserver_workers.server.http2 import errors
from apiserver_workers.server.http2.frame_budget import CAPACITY, PER_STREAM, FrameBudget
from apiserver_workers.storage.transport.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    frame,
    settings,
    window_update,
    word,
)

from tests.server.http2.raw import GET, POST, serving_http2

WHOLE = END_HEADERS | END_STREAM


class Counting:
    def __init__(self):
        self.begun = self.running = self.most = 0

    async def __call__(self, request):
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if request.path == "/wait":
                await asyncio.sleep(30)
            return Response(200)
        finally:
            self.running -= 1


@pytest.fixture(scope="module")
def handler():
    return Counting()


@pytest.fixture(scope="module")
def served(handler):
    with serving_http2(handler) as served:
        yield served


def waiting(client):
    return client.block([*GET[:2], (":path", "/wait"), GET[3]])


def resets(client):
    """CVE-2023-44487."""
    return b"".join(
        frame(HEADERS, WHOLE, 2 * number + 1, waiting(client)) + frame(RST_STREAM, 0, 2 * number + 1, word.pack(8))
        for number in range(20_000)
    )


FLOODS = {
    "pings": lambda c: frame(PING, 0, 0, bytes(8)) * 20_000,
    "settings": lambda c: settings({4: 100}) * 20_000,
    "acknowledgements": lambda c: frame(SETTINGS, 1, 0) * 20_000,
    "resets": resets,
    "priorities": lambda c: frame(PRIORITY, 0, 1, bytes(5)) * 20_000,
    "windows": lambda c: window_update(0, 1) * 20_000,
    "empty data": lambda c: frame(HEADERS, END_HEADERS, 1, c.block(POST)) + frame(DATA, 0, 1) * 20_000,
    "unknown frames": lambda c: frame(99, 0, 0) * 20_000,
    "empty continuations": lambda c: frame(HEADERS, END_STREAM, 1, c.block(GET)) + frame(CONTINUATION, 0, 1) * 20_000,
    "malformed requests": lambda c: b"".join(
        frame(HEADERS, WHOLE, 2 * number + 1, c.block([("X", "1")])) for number in range(20_000)
    ),
    "refused streams": lambda c: b"".join(
        frame(HEADERS, WHOLE, 2 * number + 1, waiting(c)) for number in range(20_000)
    ),
    "continuations without an end": lambda c: (
        frame(HEADERS, END_STREAM, 1, c.block(GET)) + frame(CONTINUATION, 0, 1, bytes(16384)) * 100
    ),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_ends_the_connection_and_nothing_else(served, handler, flood):
    other, client = served.client(), served.client()
    data = flood(client)
    handler.most = handler.running
    try:
        client.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert client.goaway() == errors.ENHANCE_YOUR_CALM
    other.headers(1)
    assert other.answer(1).status == 200
    assert handler.most <= 102
    assert served.state.large_heads == 0


def test_an_answer_is_not_dribbled():
    """CVE-2019-9511: a byte for each window update."""

    async def large(request):
        return Response(200, b"x" * 100_000)

    with serving_http2(large) as served:
        client = served.client(values={4: 0})
        client.headers(1)
        try:
            client.send(window_update(1, 1) * 10_000)
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert client.goaway() == errors.ENHANCE_YOUR_CALM


def test_requests_of_a_batch_that_are_taken_back_are_never_begun(served, handler):
    client = served.client()
    begun = handler.begun
    client.send(frame(HEADERS, WHOLE, 1, waiting(client)) + frame(RST_STREAM, 0, 1, word.pack(8)))
    client.headers(3)
    assert client.answer(3).status == 200
    assert handler.begun == begun + 1


def test_so_many_streams_and_no_more(handler):
    with serving_http2(handler, streams=3) as served:
        client = served.client()
        assert client.settings[3] == 3
        for stream in (1, 3, 5, 7):
            client.headers(stream, [*GET[:2], (":path", "/wait"), GET[3]])
        assert client.reset_of(7) == errors.REFUSED_STREAM
        client.send(frame(RST_STREAM, 0, 1, word.pack(errors.CANCEL)))
        client.headers(9)
        assert client.answer(9).status == 200


def test_long_answers_pay_for_window_updates():
    budget = FrameBudget(0, 0.0)
    for _ in range(20):
        for _ in range(16):
            budget.spend(1, 0.0)
        budget.earn(16384)
    budget.spend(int(CAPACITY), 0.0)
    with pytest.raises(errors.ConnectionFault):
        budget.spend(1, 0.0)


def test_a_piece_taken_whole_pays_for_the_credit_that_follows():
    budget = FrameBudget(0, 0.0)
    for _ in range(3000):
        budget.earn(300, 1)
        budget.spend(2, 0.0)
    budget.spend(int(CAPACITY) - 2, 0.0)


def test_time_fills_the_budget():
    budget = FrameBudget(10, 0.0)
    budget.spend(int(CAPACITY + 10 * PER_STREAM), 0.0)
    budget.spend(100, 1.0)
    with pytest.raises(errors.ConnectionFault):
        budget.spend(100, 1.5)


def test_a_head_that_does_not_end_is_not_waited_for(served):
    client = served.client()
    client.send(frame(HEADERS, END_STREAM, 1, client.block(GET)))
    connection = None
    while connection is None:  # until it was read
        connection = next((one for one in list(served.connections) if one._room.due), None)
    served.call(connection.expire, served.loop.time() + 33)
    assert client.goaway() == errors.ENHANCE_YOUR_CALM


def test_many_large_heads_find_no_room(served, monkeypatch):
    monkeypatch.setattr("apiserver_workers.server.http2.head_room.MAX_LARGE_HEADS", 40_000)
    first, second = served.client(), served.client()
    piece = frame(HEADERS, END_STREAM, 1, first.block(GET)) + frame(CONTINUATION, 0, 1, bytes(16384)) * 2
    first.send(piece)
    second.send(piece)
    codes = set()
    for client in (first, second):
        client.socket.settimeout(0.5)
        try:
            codes.add(client.goaway())
        except TimeoutError:
            pass
    assert codes == {errors.ENHANCE_YOUR_CALM}
