"""The front's documents with those of a server behind it, asked over its socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.apimachinery.types import DEFAULT_MINOR, model
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.discovery.endpoints import DiscoveryEndpoints
from apiserver_workers.server.discovery.sources import DelegateDiscovery
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.generic import GenericAPIServer
from apiserver_workers.server.http.http1 import parse_head
from apiserver_workers.server.http.messages import Request, Response, page_not_found
from apiserver_workers.server.openapi.endpoints import OpenAPIEndpoints
from apiserver_workers.server.openapi.sources import DelegateOpenAPI

from tests.made_up import made_up
from tests.registry.api import read
from tests.server.serving import serving

ADDRESS = "192.0.2.1:6443"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
JOBS = BuiltinKinds(model()).of(builtin_resources()["batch", "v1", "jobs"])
DOCUMENT = "apis/example.com/v1"


class Behind:
    """A server behind the front, which serves `kinds`."""

    def __init__(self) -> None:
        self.kinds: tuple[ServedKind, ...] = ()
        self.asked: list[str] = []
        self._server = server_of(lambda: self.kinds, names=())

    async def handle(self, request: Request) -> Response:
        self.asked.append(request.path)
        return await self._server.handle(request)


def server_of(kinds: Any, *, names: Sequence[str], target: DelegationTarget | None = None) -> GenericAPIServer:
    """A server that answers for discovery and OpenAPI, and merges what the target says."""

    async def last(request: Request) -> Response:
        return page_not_found() if target is None else await target.handle(request)

    server = GenericAPIServer(last)
    discovery = DiscoveryEndpoints(
        lambda: tuple(kind.info for kind in kinds()),
        minor=DEFAULT_MINOR,
        server_address=ADDRESS,
        sources=[] if target is None else [DelegateDiscovery(target)],
        otherwise=server.unknown,
    )
    sources = [] if target is None else [DelegateOpenAPI(target)]
    openapi = OpenAPIEndpoints(kinds, model(), version="v1.36.2", names=names, sources=sources)
    server.prefixes.update(discovery.prefixes | openapi.prefixes)
    server.paths.update(openapi.exact)
    return server


class Front:
    def __init__(self, path: str) -> None:
        self._server = server_of(lambda: (JOBS,), names=("version",), target=DelegationTarget(path))

    async def ask(self, path: str, accept: str = "application/json") -> tuple[int, dict[str, str], Any]:
        path, _, query = path.partition("?")
        head = parse_head(f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\nAccept: {accept}".encode())
        response = await PanicRecovery(self._server.handle)(Request("GET", path, query, {"accept": accept}, head=head))
        if response.wire:
            status, _, body = response.wire.partition(b"\r\n\r\n")
            return response.status, {}, json.loads(body) if body[:1] == b"{" else status
        body = await read(response)
        return response.status, dict(response.headers), json.loads(body) if body[:1] == b"{" else body


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[tuple[Behind, str]]:
    server, path = Behind(), str(tmp_path / "behind.sock")
    with serving(server.handle, path):
        yield server, path


def test_groups_of_a_server_behind_the_front_come_and_go(behind: tuple[Behind, str]) -> None:
    server, path = behind

    async def scenario() -> None:
        front = Front(path)

        async def groups() -> dict[str, Any]:
            items = (await front.ask("/apis", AGGREGATED))[2]["items"]
            return {item["metadata"]["name"]: item["versions"][0]["freshness"] for item in items}

        assert await groups() == {"batch": "Current"}
        tag = (await front.ask("/apis", AGGREGATED))[1]["ETag"]
        server.kinds = (made_up("example.com"),)
        assert await groups() == {"batch": "Current", "example.com": "Current"}
        assert (await front.ask("/apis", AGGREGATED))[1]["ETag"] != tag
        assert (await front.ask("/apis/example.com"))[2]["preferredVersion"]["version"] == "v1"
        status, _, listed = await front.ask("/apis/example.com/v1")
        assert (status, listed["resources"][0]["name"]) == (200, "widgets"), "the server that has it answers"
        server.kinds = ()
        assert await groups() == {"batch": "Current"}
        assert (await front.ask("/apis", AGGREGATED))[1]["ETag"] == tag
        assert (await front.ask("/apis/example.com/v1"))[0] == 404

    asyncio.run(scenario())


def test_what_a_server_said_last_is_shown_as_stale_while_it_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apiserver_workers.server.tagged_document.TIMEOUT", 0.3)
    server, path = Behind(), str(tmp_path / "behind.sock")
    server.kinds = (made_up("example.com"),)

    async def scenario() -> None:
        front = Front(path)
        with serving(server.handle, path):
            await front.ask("/apis", AGGREGATED)
        items = {item["metadata"]["name"]: item for item in (await front.ask("/apis", AGGREGATED))[2]["items"]}
        assert items["example.com"]["versions"][0]["freshness"] == "Stale"
        assert items["batch"]["versions"][0]["freshness"] == "Current"
        assert set((await front.ask("/openapi/v3"))[2]["paths"]) == {"apis/batch", "apis/batch/v1", "version"}

    asyncio.run(scenario())


def test_openapi_of_a_server_behind_the_front_is_merged(behind: tuple[Behind, str]) -> None:
    server, path = behind

    async def scenario() -> None:
        front = Front(path)
        _, headers, document = await front.ask("/openapi/v2")
        assert not [name for name in document["definitions"] if name.startswith("com.example")]
        server.kinds = (made_up("example.com"),)
        _, changed, merged = await front.ask("/openapi/v2")
        assert changed["Etag"] != headers["Etag"]
        assert merged["paths"].keys() > document["paths"].keys()
        assert "com.example.v1.Widget" in merged["definitions"]
        urls = {
            name: entry["serverRelativeURL"] for name, entry in (await front.ask("/openapi/v3"))[2]["paths"].items()
        }
        assert urls.keys() == {"version", "apis/batch", "apis/batch/v1", "apis/example.com", DOCUMENT}
        status, _, found = await front.ask(urls[DOCUMENT])
        assert (status, "com.example.v1.Widget" in found["components"]["schemas"]) == (200, True)
        server.asked.clear()
        assert (await front.ask(urls["apis/batch/v1"]))[0] == 200
        assert server.asked == [], "what the front describes itself is asked of nobody"
        server.kinds = ()
        _, _, again = await front.ask("/openapi/v2")
        assert again == document
        assert (await front.ask(f"/openapi/v3/{DOCUMENT}"))[0] == 404

    asyncio.run(scenario())
