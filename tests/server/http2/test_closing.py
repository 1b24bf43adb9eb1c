"""The ends of a connection: GOAWAY, the streams that are still answered, and those that are not."""

import asyncio

import pytest
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.http.messages import Response
from apiserver_workers.server.http.request_info import request_info
from apiserver_workers.server.http2 import errors
from apiserver_workers.storage.transport.frames import DATA, END_STREAM, GOAWAY, frame, word

from tests.server.http2.raw import GET, serving_http2

LAST = (1 << 31) - 1


class Handler:
    def __init__(self):
        self.go = asyncio.Event()

    async def __call__(self, request):
        request.info = request_info(request.method, request.path, request.raw_query)
        if request.path == "/wait":
            await self.go.wait()
        if request.path == "/broken":
            return Response(200, broken())
        if "watch" in request.raw_query:
            return Response(200, endless())
        if request.path == "/close":
            return Response(429, headers=[("Connection", "close")])
        return Response(200, request.path.encode())


async def endless():
    yield b"event"
    await asyncio.sleep(60)


async def broken():
    yield b"a piece"
    raise OSError("gone")


def path(text):
    return [*GET[:2], (":path", text), GET[3]]


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def served(handler):
    with serving_http2(handler) as served:
        yield served


def last_stream(found):
    return word.unpack_from(found.payload)[0]


def test_at_the_stop_requests_finish_watches_end_and_the_client_is_told_which_were_served(served, handler):
    client = served.client()
    client.headers(1, path("/wait"))
    client.headers(3, path("/api/v1/pods?watch=1"))
    assert client.wait_for(DATA).payload == b"event"
    served.call(served.only_connection().shutdown)
    seen = []
    while len(seen) < 3:
        found = client.next()
        if found.type == GOAWAY:
            seen.append(last_stream(found))
            if found.payload[4:8] != bytes(4):
                pytest.fail("a fault")
            if len([one for one in seen if one != "end"]) == 1:
                client.headers(5, path("/on-its-way"))
        elif found.type == DATA and found.stream == 3:
            assert found.flags == END_STREAM
            seen.append("end")
    assert sorted(map(str, seen)) == [str(LAST), "5", "end"]
    client.headers(7, path("/too-late"))
    served.call(handler.go.set)
    assert client.answer(1).body == b"/wait"
    assert client.is_closed()


def test_an_idle_connection_closes_at_the_stop(served):
    client = served.client()
    served.call(served.only_connection().shutdown)
    assert last_stream(client.wait_for(GOAWAY)) == LAST
    assert last_stream(client.wait_for(GOAWAY)) == 0
    assert client.is_closed()


def test_a_worker_that_retires_lets_watches_go_on(served):
    client = served.client()
    client.headers(1, path("/api/v1/pods?watch=1"))
    client.wait_for(DATA)
    connection = served.only_connection()
    served.call(connection.retire, 0.0)
    assert last_stream(client.wait_for(GOAWAY)) == LAST
    assert last_stream(client.wait_for(GOAWAY)) == 1
    assert connection.is_watch and connection.busy
    client.send(frame(3, 0, 1, word.pack(errors.CANCEL)))
    assert client.is_closed()


def test_a_handler_may_ask_the_client_to_leave(served):
    client = served.client()
    client.headers(1, path("/close"))
    assert last_stream(client.wait_for(GOAWAY)) == LAST
    assert last_stream(client.wait_for(GOAWAY)) == 1
    assert client.is_closed()


def test_some_are_asked_to_leave_by_chance(handler):
    with serving_http2(handler, goaway_chance=1.0) as served:
        client = served.client()
        client.headers(1, path("/a"))
        assert last_stream(client.wait_for(GOAWAY)) == LAST
        assert client.wait_for(DATA).payload == b"/a"
        assert last_stream(client.wait_for(GOAWAY)) == 1
        assert client.is_closed()


def test_a_client_that_leaves_gets_its_answers(served, handler):
    client = served.client()
    client.headers(1, path("/wait"))
    client.send(frame(GOAWAY, 0, 0, bytes(8)))
    client.wait_for(GOAWAY)
    served.call(handler.go.set)
    assert client.wait_for(DATA).payload == b"/wait"
    assert client.is_closed()


def test_a_stream_that_breaks_off_is_reset(served):
    client = served.client()
    client.headers(1, path("/broken"))
    assert client.reset_of(1) == errors.INTERNAL_ERROR
    client.headers(3, path("/a"))
    assert client.answer(3).body == b"/a"


def test_who_asks_nothing_is_asked_to_leave(served):
    client = served.client()
    client.headers(1, path("/a"))
    client.answer(1)
    connection, now = served.only_connection(), served.loop.time()
    served.call(connection.expire, now + 85)
    served.call(connection.expire, now + 95)
    assert client.goaway() == errors.NO_ERROR
    assert client.is_closed()


def test_a_client_that_goes_ends_its_requests(handler):
    ended = []

    async def tell(request):
        request.on_complete(lambda request, whole: ended.append((request.path, whole)))
        return await handler(request)

    with serving_http2(tell) as served:
        client = served.client()
        client.headers(1, path("/a"))
        client.answer(1)
        client.headers(3, path("/wait"))
        client.headers(5, path("/api/v1/pods?watch=1"))
        client.wait_for(DATA)
        client.socket.close()
        while served.connections:
            pass
        assert sorted(ended) == [("/a", True), ("/api/v1/pods", False), ("/wait", False)]


def test_requests_that_stream_are_counted(served):
    client = served.client()
    client.headers(1, path("/api/v1/pods?watch=1"))
    client.wait_for(DATA)
    client.headers(3, path("/wait"))
    client.headers(5, path("/a"))
    client.answer(5)
    (info,) = served.only_connection().streams
    assert (info.verb, info.resource) == ("watch", "pods")


@pytest.mark.parametrize(
    "user, status, impersonator, leaves",
    [
        (None, 401, None, True),
        (None, 200, None, False),  # a preflight, which nobody is asked for
        ("system:anonymous", 200, None, True),
        ("system:anonymous", 403, None, True),
        ("system:anonymous", 200, "admin", False),
        ("alice", 200, None, False),
        ("alice", 401, None, False),  # of a backend
    ],
)
def test_whoever_is_not_authenticated_may_not_go_on(user, status, impersonator, leaves):
    async def answer(request):
        request.user = user and UserInfo(name=user, groups=())
        if impersonator:
            request.context["impersonator"] = impersonator
        return Response(status)

    with serving_http2(answer) as served:
        client = served.client()
        client.headers(1)
        client.send(frame(6, 0, 0, b"question"))
        seen = [client.next() for _ in range(2)]
        if leaves:
            assert [last_stream(found) for found in seen if found.type == GOAWAY] == [1]
            assert client.is_closed()
        else:
            assert GOAWAY not in {found.type for found in seen}
            client.headers(3)
            assert client.answer(3).status == status
