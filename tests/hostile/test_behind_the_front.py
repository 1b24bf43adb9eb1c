"""Names, revisions, tokens and watches that are made to confuse the workers behind the front."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.conftest import ADMIN_TOKEN
from tests.e2e.connection import Watcher
from tests.hostile.attacking import ask, get
from tests.running import RunningServer, wait_for

ADMIN = b"Authorization: Bearer " + ADMIN_TOKEN.encode()
PATH = "/api/v1/namespaces/default/configmaps"


def continued(**fields: Any) -> str:
    token = {"v": "meta.k8s.io/v1", "rv": 5, "start": "a", **fields}
    return "?limit=1&continue=" + base64.urlsafe_b64encode(json.dumps(token).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (f"{PATH}/..", 400, "Name parameter invalid: \"..\": may not be '..'"),
        (f"{PATH}/%2e", 400, "Name parameter invalid: \".\": may not be '.'"),
        (f"{PATH}/a%25b", 400, "Name parameter invalid: \"a%b\": may not contain '%'"),
        ("/api/v1/namespaces/..", 400, "Name parameter invalid"),
        ("/api/v1/namespaces/%2e%2e/configmaps", 400, "Namespace parameter invalid"),
        (f"{PATH}?resourceVersion={1 << 63}&resourceVersionMatch=Exact", 504, "Too large resource version"),
        (f"{PATH}?resourceVersion={'9' * 5000}&resourceVersionMatch=Exact", 400, "value out of range"),
        (PATH + continued(rv=True), 400, "cannot unmarshal bool"),
        (PATH + continued(rv=(1 << 63) - 1), 504, "Too large resource version"),
        (PATH + continued(rv=1 << 63), 400, "cannot unmarshal number"),
    ],
)
def test_odd_paths_and_queries(server: RunningServer, path: str, code: int, message: str) -> None:
    found, body = server.request("GET", path)
    assert (found, message in json.loads(body)["message"]) == (code, True), body


@pytest.mark.parametrize("digits", [20, 400, 4_000, 5_000, 100_000])
def test_numbers_of_any_length_in_bodies(server: RunningServer, digits: int) -> None:
    number = b"9" * digits
    for body in (
        b'{"metadata":{"name":"x","generation":%b}}' % number,
        b'{"metadata":{"name":"x","generation":-%b}}' % number,
        b'{"metadata":{"name":"x"},"immutable":%b}' % number,
        b"metadata: {name: x, generation: %b}" % number,
    ):
        media_type = b"application/json" if body.startswith(b"{") else b"application/yaml"
        lines = (ADMIN, b"Content-Type: " + media_type, b"Content-Length: %d" % len(body))
        status, _, told = ask(server, get(PATH.encode(), *lines, method=b"POST") + body)
        assert (status, json.loads(told)["reason"]) == (400, "BadRequest"), told


@pytest.mark.parametrize("query", ["resourceVersion={now}&resourceVersion=1", "resourceVersion=&resourceVersion={now}"])
def test_no_watch_takes_events_from_another(server: RunningServer, query: str) -> None:
    since = revision(server)
    names = [f"taken-{len(query)}-{number}" for number in range(3)]
    for name in names:
        assert server.request("POST", PATH, {"metadata": {"name": name}})[0] in (201, 409)
    attacker = Watcher(server, f"{PATH}?watch=1&{query.format(now=revision(server))}")
    victim = Watcher(server, f"{PATH}?watch=1&resourceVersion={since}")
    try:
        wait_for(lambda: set(names) <= set(victim.names()), 10, "all events")
    finally:
        attacker.close()
        victim.close()
    for name in names:
        server.request("DELETE", f"{PATH}/{name}")


def revision(server: RunningServer) -> str:
    return str(json.loads(server.request("GET", PATH)[1])["metadata"]["resourceVersion"])
