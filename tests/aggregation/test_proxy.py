"""What aggregated servers are sent, and how their connections are used again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from apiserver_workers.aggregator.connections import WRITE_IDLE_SECONDS, Connections, KeptBody, Unreachable
from apiserver_workers.aggregator.proxy import Refused, at_backend, is_discovery, proxied_message, target_of
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.aggregation.identity import Unsendable, identity_lines
from apiserver_workers.server.http.http1 import parse_head
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.request_info import request_info
from apiserver_workers.server.proxy.location import Location

JANE = UserInfo("jane", uid="u1", groups=("a", "b"), extra={"example.org/role x": ["1", "2"]})


def request_of(line: str, *headers: str) -> Request:
    head = parse_head("\r\n".join((f"{line} HTTP/1.1", "Host: front", *headers)).encode())
    return Request(
        head.method,
        head.path,
        head.raw_query,
        head.block.headers.copy(),
        repeated=head.block.repeated,
        client="192.0.2.9",
        info=request_info(head.method, head.path, head.raw_query),
        user=JANE,
        audit_id="id",
        head=head,
    )


@pytest.mark.parametrize(
    ("target", "sent"),
    [
        ("/apis/g/v1/things", "/apis/g/v1/things"),
        ("/apis/g/v1/things?", "/apis/g/v1/things"),
        ("/apis/g/v1/things?b=2&a=1&b=1", "/apis/g/v1/things?a=1&b=2&b=1"),
        ("/apis/g/v1/a%20b?x=%2Fy%20z", "/apis/g/v1/a%20b?x=%2Fy+z"),
        ("/apis/g/v1/things?a;b&c", "/apis/g/v1/things?c="),
        ("/apis/g/v1/%3Fx", "/apis/g/v1/%3Fx"),
    ],
)
def test_path_and_query_are_escaped_anew(target: str, sent: str) -> None:
    assert target_of(request_of(f"GET {target}")) == sent


def message_of(request: Request) -> list[str]:
    location = Location("https", "2001:db8::1", 443, raw_target=target_of(request))
    return proxied_message(request, location, JANE).decode().split("\r\n")


def test_a_server_is_told_who_asks_and_whom_it_came_through() -> None:
    secrets = ("Authorization: Bearer x", "X-Remote-User: eve", "Impersonate-User: eve", "x-apiserver-internal-user: x")
    forged = ("X-Forwarded-Host: evil", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Uri: /evil", "Connection: X-Mine")
    lines = message_of(request_of("GET /apis/g/v1/things?b=1", *secrets, *forged, "X-Mine: 1", "Accept: a/b"))
    assert lines == [
        "GET /apis/g/v1/things?b=1 HTTP/1.1",
        "Host: [2001:db8::1]:443",
        "Accept: a/b",
        "Audit-Id: id",
        "X-Forwarded-For: 192.0.2.1, 192.0.2.9",
        "X-Forwarded-Uri: /apis/g/v1/things",
        "X-Forwarded-Host: [2001:db8::1]:443",
        "X-Forwarded-Proto: https",
        "X-Remote-User: jane",
        "X-Remote-Uid: u1",
        "X-Remote-Group: a",
        "X-Remote-Group: b",
        "X-Remote-Extra-example.org%2Frole%20x: 1",
        "X-Remote-Extra-example.org%2Frole%20x: 2",
        "",
        "",
    ]


@pytest.mark.parametrize("name", ["a\r\nX-Remote-Group: system:masters", "a\0", "a\x7f"])
def test_no_name_can_become_another_header(name: str) -> None:
    with pytest.raises(Unsendable, match='invalid header field value for "X-Remote-User"'):
        identity_lines(UserInfo(name))
    request = request_of("GET /apis/g/v1/things")
    with pytest.raises(Refused, match="error trying to reach service: net/http: invalid header"):
        proxied_message(request, Location("https", "h", 443), UserInfo(name))


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/apis/g/v1", True), ("/apis/g/v1/", True), ("/apis/g/v1/things", False), ("/api/v1", False)],
)
def test_discovery_of_a_group_version_has_little_time(path: str, expected: bool) -> None:
    assert is_discovery(request_of(f"GET {path}")) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/a?b", "https://h:1/a?b"),
        ("https://h:1/a", "https://h:1/a"),
        ("http://other/a", "http://other/a"),
        ("a", "a"),
        ("//[", "//["),
    ],
)
def test_links_of_a_server_name_it(url: str, expected: str) -> None:
    assert at_backend(Location("https", "h", 1))(url) == expected


# ---- connections, to a server without TLS

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], object]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"


class Backend:
    """Answers `answers` requests on each connection and then closes it."""

    def __init__(self, answers: int = 100) -> None:
        self.answers = answers
        self.connections = 0
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for _ in range(self.answers):
            try:
                await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            self.requests += 1
            writer.write(ANSWER)
        if self.answers < 100:  # the next request is read and not answered
            await reader.read(1)
        writer.close()

    async def start(self) -> tuple[asyncio.Server, Location]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return server, Location("http", "127.0.0.1", server.sockets[0].getsockname()[1])


async def asked(connections: Connections, location: Location, method: str = "GET") -> bytes:
    _, connection = await connections.ask(location, GET.replace(b"GET", method.encode()), method=method, upload=None)
    return b"".join([piece async for piece in KeptBody(connections, location, connection)])


def test_connections_are_used_again() -> None:
    async def scenario() -> None:
        backend, connections = Backend(), Connections()
        server, location = await backend.start()
        for _ in range(5):
            assert await asked(connections, location) == b"ok"
        assert await asked(connections, location, "POST") == b"ok"
        assert (backend.connections, backend.requests) == (1, 6)
        connections.close()
        server.close()

    asyncio.run(scenario())


def test_what_a_kept_connection_loses_is_repeated_only_if_it_may_be() -> None:
    async def scenario() -> None:
        backend, connections = Backend(answers=1), Connections()
        server, location = await backend.start()
        assert await asked(connections, location) == b"ok"
        assert await asked(connections, location) == b"ok", "the first connection is lost, a second one answers"
        assert backend.connections == 2
        with pytest.raises(Unreachable, match="EOF"):
            await asked(connections, location, "POST")
        assert await asked(connections, location, "POST") == b"ok", "over a new connection"
        connections.close()
        server.close()

    asyncio.run(scenario())


def test_writes_take_no_connection_that_was_idle_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apiserver_workers.aggregator.connections.WRITE_IDLE_SECONDS", 0.0)
    assert WRITE_IDLE_SECONDS > 0

    async def scenario() -> None:
        backend, connections = Backend(), Connections()
        server, location = await backend.start()
        await asked(connections, location)
        await asked(connections, location, "POST")
        assert backend.connections == 2
        await asked(connections, location)
        assert backend.connections == 2
        connections.close()
        server.close()

    asyncio.run(scenario())


def test_what_cannot_be_dialled_says_so() -> None:
    async def scenario() -> None:
        server, location = await Backend().start()
        server.close()
        await server.wait_closed()
        with pytest.raises(Unreachable, match=f"dial tcp 127.0.0.1:{location.port}: connect: connection refused"):
            await Connections().ask(location, GET, method="GET", upload=None)

    asyncio.run(scenario())
