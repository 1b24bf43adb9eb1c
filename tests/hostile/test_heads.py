"""Heads of requests, most of them of nobody: long, many, wrong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.conftest import ADMIN_TOKEN
from tests.hostile.attacking import ask, ask_all, bystanders_unharmed, connect, get
from tests.running import RunningServer
from tests.server.serving import read_answer

ADMIN = b"Authorization: Bearer " + ADMIN_TOKEN.encode()
WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket")

# Each costs whoever sends it a megabyte at most. What it is answered: these statuses.
LONG = {
    "a header repeated": (get(b"/", *[b"a:"] * 200_000), {431}),
    "many headers": (get(b"/", *[b"a%d:" % number for number in range(100_000)]), {431}),
    "as many lines as there may be": (get(b"/", *[b"a:"] * 4_900), {403}),
    "a long value": (get(b"/", b"A: " + b"x" * 1_000_000), {403}),
    "connection tokens": (get(b"/", b"Connection: " + b"a," * 400_000), {431}),
    "spaces": (get(b"/", b"A: " + b" " * 900_000 + b"x"), {403}),
    "sub-protocols": (get(b"/", *WEBSOCKET, b"Sec-WebSocket-Protocol: " + b"a, " * 300_000), {431}),
    "sub-protocol tokens": (
        get(b"/", *WEBSOCKET, b"Sec-WebSocket-Protocol: " + b"base64url.bearer.authorization.k8s.io.YQ," * 380),
        {401},
    ),
    "a long path": (get(b"/" + b"a" * 900_000), {431}),
    "many parts": (get(b"/api/v1/" + b"a/" * 400_000), {431}),
    "escapes": (get(b"/" + b"%41" * 300_000), {431}),
    "as long a path as there may be": (get(b"/" + b"%41" * 21_000), {403}),
    "as many fields as there may be": (get(b"/?" + b"&".join([b"a%41=%c3%a9+"] * 10_000)), {403}),
    "escapes in a query": (get(b"/?" + b"%41" * 300_000), {403}),
    "wrong escapes in a query": (get(b"/?a=" + b"%" * 900_000), {403}),
    "fields of a query": (get(b"/?" + b"&a" * 400_000), {400}),
    "a long query": (get(b"/api/v1/pods?labelSelector=" + b"a" * 900_000), {403}),
    "a wide selector": (get(b"/api/v1/pods?labelSelector=a" + b",a" * 30_000, ADMIN), {200, 400}),
    "a long token": (get(b"/api", b"Authorization: Bearer " + b"a" * 900_000), {401}),
    "a token of many parts": (get(b"/api", b"Authorization: Bearer " + b"a." * 400_000), {401}),
    "a long Accept": (get(b"/api", b"Accept: " + b"a/b;q=0.1," * 50_000, ADMIN), {431}),
    "a long method": (b"A" * 900_000 + b" / HTTP/1.1\r\nHost: h\r\n\r\n", {403, 405}),
}  # fmt: skip


def test_long_heads_cost_nobody_else_anything(server: RunningServer) -> None:
    with bystanders_unharmed(server):
        answers = {name: ask(server, message)[0] for name, (message, _) in LONG.items()}
    assert {name: status for name, status in answers.items() if status not in LONG[name][1]} == {}


WRONG = {
    "Host with a space": (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: b/c@d\r\n\r\n", 400),
    "Host that is no ASCII": (b"GET / HTTP/1.1\r\nHost: h\xc3\xa9\r\n\r\n", 400),
    "expectation": (get(b"/version", b"Expect: nonsense"), 417),
    "control character in the first Audit-Id": (b"GET / HTTP/1.1\r\nAudit-Id: a\x1b[31m\r\nHost: h\r\n\r\n", 400),
    "line feed in the first Audit-Id": (b"GET / HTTP/1.1\r\nAudit-Id: a\nX: y\r\nHost: h\r\n\r\n", 400),
    "NUL in a later Audit-Id": (get(b"/", b"Audit-Id: a\0b"), 400),
    "timeout beyond an int64": (get(b"/version?timeout=9999999999999h"), 400),
    "timeout of many digits": (get(b"/version?timeout=" + b"9" * 5000 + b"s"), 400),
    "timeout with a long fraction": (get(b"/version?timeout=1." + b"9" * 200_000 + b"s"), 200),
    "limit of many digits": (get(b"/api/v1/pods?limit=" + b"9" * 5000, ADMIN), 400),
    "limit of another script": (get(b"/api/v1/pods?limit=%C2%B2", ADMIN), 400),
    "timeoutSeconds of many digits": (get(b"/api/v1/pods?watch=1&timeoutSeconds=" + b"9" * 5000, ADMIN), 400),
    "chunk extension": (
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: h\r\n%b\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2;%b\r\n{}\r\n0\r\n\r\n" % (ADMIN, b"x" * 20_000),
        400,
    ),
    "many tiny chunks with extensions": (
        b"POST /api/v1/namespaces HTTP/1.1\r\nHost: h\r\n%b\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n%b0\r\n\r\n" % (ADMIN, b"1;%b\r\n \r\n" % (b"x" * 200) * 200),
        400,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_heads_are_refused(server: RunningServer, name: str) -> None:
    message, status = WRONG[name]
    assert ask(server, message)[0] == status


def test_an_audit_id_comes_back_cut_and_clean_wherever_it_stands(server: RunningServer) -> None:
    first = b"GET /version HTTP/1.1\r\nAudit-Id: %b\r\nHost: h\r\n\r\n" % (b"i" * 500_000)
    for message in (first, get(b"/version", b"Audit-Id: " + b"i" * 500_000)):
        assert ask(server, message)[1]["audit-id"] == "i" * 64


def test_nothing_of_a_client_begins_a_line_of_the_log(server: RunningServer) -> None:
    for number in range(5):
        forged = b"%0a2030-01-01 1 E forged: line" + b"x" * 60_000
        ask(server, get(b"/api/v1/watch" + forged, b"Audit-Id: id%d" % number))
        ask(server, get(b"/api", b"Authorization: Bearer " + b"a\xc2\x85forged" * 1000))
    for log in (server.run_dir / "logs").glob("*.log"):
        content = log.read_bytes()
        assert b"\n2030-01-01 1 E forged" not in content
        assert max(map(len, content.split(b"\n"))) < 20_000


def test_unknown_methods_share_their_series(server: RunningServer) -> None:
    methods = [b"METHOD%d" % number for number in range(20)]
    asked = [get(target, ADMIN, method=method) for method in methods for target in (b"/made-up", b"/api/v1/pods")]
    assert set(ask_all(server, asked)) <= {404, 405}
    _, metrics = server.request("GET", "/metrics")
    assert b"METHOD" not in metrics
    assert b'verb="other"' in metrics


def test_a_watch_from_no_number_leaks_nothing(server: RunningServer) -> None:
    def descriptors() -> int:
        pids = [pid for role in ("aggregator worker", "core worker") for pid in server.processes(role)]
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)

    target = b"/api/v1/pods?watch=1&resourceVersion="
    before = descriptors()
    for text in (b"%C2%B2", b"%D9%A1", b"9" * 5000, b"-1", b"1e3"):
        assert set(ask_all(server, [get(target + text, ADMIN)] * 5)) <= {400, 500}
    assert descriptors() - before < 10


def test_http_on_the_tls_port_is_told_so(server: RunningServer) -> None:
    host, port = server.url.removeprefix("https://").rsplit(":", 1)
    with socket.create_connection((host, int(port)), 10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = client.recv(1000)
    assert answer.startswith(b"HTTP/1.0 400 Bad Request\r\n")
    assert answer.endswith(b"\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")


def test_names_of_users_are_utf_8_and_no_line_is_split(server: RunningServer) -> None:
    lines = ["Impersonate-User: josé", "Impersonate-Group: x, system:masters", "Impersonate-Group: größe"]
    review = b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
    head = ["Content-Type: application/json", f"Content-Length: {len(review)}", *lines]
    target = b"/apis/authentication.k8s.io/v1/selfsubjectreviews"
    message = get(target, ADMIN, *[line.encode() for line in head], method=b"POST") + review
    status, _, body = ask(server, message)
    assert status == 201, body
    assert '"username":"josé"'.encode() in body
    assert '"groups":["x, system:masters","größe","system:authenticated"]'.encode() in body


def test_distinct_long_requests_are_not_kept(server: RunningServer) -> None:
    with bystanders_unharmed(server, growth=64 << 20), connect(server) as client:
        for number in range(40):
            client.sendall(get(b"/%d/" % number + b"a" * 60_000, b"X: %d" % number + b"b" * 900_000))
            assert read_answer(client)[0] == 403
