"""A server whose groups come, change and go while it serves: routing, discovery, OpenAPI, watches, memory."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from apiserver_workers.apimachinery.types import model
from apiserver_workers.server.discovery.endpoints import DiscoveryEndpoints
from apiserver_workers.server.http.request_info import RequestInfo
from apiserver_workers.server.openapi.endpoints import OpenAPIEndpoints
from apiserver_workers.server.resource_set import key_of
from apiserver_workers.server.surface import Surface

from tests.made_up import INT, TEXT, ServedKind, made_up
from tests.registry.api import Api, running

APPLY = "application/apply-patch+yaml"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
GROUP = "example.com"
WIDGETS = f"/apis/{GROUP}/v1/namespaces/default/widgets"
DOCUMENT = f"apis/{GROUP}/v1"


class Server:
    """A running server, its documents, and what changes it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.call = api.call
        self.surface = Surface(api.server, api.backend.registry)
        server = api.server
        discovery = DiscoveryEndpoints(
            lambda: server.resources.infos, minor="1.36", server_address="192.0.2.1:6443", otherwise=server.unknown
        )
        self.openapi = OpenAPIEndpoints(lambda: server.resources.kinds, model(), version="v1.36.2")
        server.prefixes.update(discovery.prefixes | self.openapi.prefixes)
        server.paths.update(self.openapi.exact)

    async def add(self, kind: ServedKind) -> None:
        await self.surface.change(add=[kind])

    async def remove(self, kind: ServedKind) -> None:
        await self.surface.change(remove=[key_of(kind.info)])

    async def create(self, name: str, **spec: Any) -> int:
        body = {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}
        return (await self.call("POST", WIDGETS, body)).status

    async def groups(self) -> tuple[set[str], str]:
        """The groups by the aggregated form, and its tag; the older form says the same."""
        old = await self.call("GET", "/apis")
        new = await self.call("GET", "/apis", accept=AGGREGATED)
        found = {item["metadata"]["name"] for item in new.obj["items"]}
        assert found == {group["name"] for group in old.obj["groups"]}
        return found, dict(new.headers)["ETag"]

    async def urls(self) -> dict[str, str]:
        """OpenAPI v3: the URL, with the hash, of each document."""
        index = await self.call("GET", "/openapi/v3")
        paths = json.loads(index.body)["paths"]
        return {name: entry["serverRelativeURL"] for name, entry in paths.items()}

    async def v2(self) -> tuple[Any, str]:
        answer = await self.call("GET", "/openapi/v2", accept="application/json")
        return answer.obj, dict(answer.headers)["Etag"]


@asynccontextmanager
async def serving(etcd: Any, root: str) -> AsyncIterator[Server]:
    async with running(etcd, root) as api:
        yield Server(api)


async def test_a_group_that_comes_is_served_discovered_and_described(etcd, root):
    async with serving(etcd, root) as server:
        before, tag = await server.groups()
        urls, (_, v2_tag) = await server.urls(), await server.v2()
        assert (await server.call("GET", WIDGETS)).status == 404
        await server.add(made_up(GROUP))
        after, new_tag = await server.groups()
        assert (after - before, new_tag != tag) == ({GROUP}, True)
        listed = (await server.call("GET", f"/apis/{GROUP}/v1")).obj["resources"]
        assert [one["name"] for one in listed] == ["widgets", "widgets/status"]
        assert (await server.call("GET", f"/apis/{GROUP}")).obj["preferredVersion"]["version"] == "v1"
        new_urls = await server.urls()
        assert new_urls.keys() - urls.keys() == {f"apis/{GROUP}", DOCUMENT}
        assert all(new_urls[name] == url for name, url in urls.items()), "the other documents are as before"
        document = (await server.call("GET", f"/openapi/v3/{DOCUMENT}")).obj
        assert f"{WIDGETS.replace('default', '{namespace}')}/{{name}}" in document["paths"]
        assert document["components"]["schemas"]["com.example.v1.WidgetSpec"]["properties"].keys() == {"size"}
        v2, new_v2_tag = await server.v2()
        assert "com.example.v1.Widget" in v2["definitions"]
        assert new_v2_tag != v2_tag
        assert await server.create("a", size=1) == 201
        assert len((await server.call("GET", WIDGETS)).obj["items"]) == 1


async def test_a_schema_that_changes_changes_hashes_and_keeps_objects(etcd, root):
    async with serving(etcd, root) as server:
        await server.add(made_up(GROUP, size=INT))
        await server.create("old", size=1, colour="red")
        before, (_, v2_tag), (_, tag) = await server.urls(), await server.v2(), await server.groups()
        await server.add(made_up(GROUP, size=INT, colour=TEXT))
        after = await server.urls()
        assert {name for name in after if after[name] != before[name]} == {DOCUMENT}
        moved = await server.call("GET", f"/openapi/v3/{DOCUMENT}", hash=before[DOCUMENT].partition("hash=")[2])
        assert (moved.status, dict(moved.headers)["Location"]) == (301, after[DOCUMENT])
        assert (await server.v2())[1] != v2_tag
        assert (await server.groups())[1] == tag, "discovery does not tell of fields"
        assert (await server.call("GET", f"{WIDGETS}/old")).obj["spec"] == {"size": 1}
        assert await server.create("new", colour="red") == 201
        assert (await server.call("GET", f"{WIDGETS}/new")).obj["spec"] == {"colour": "red"}


async def test_what_goes_is_a_404_everywhere_and_as_if_it_had_never_been(etcd, root):
    async with serving(etcd, root) as server:
        before, urls, v2 = await server.groups(), await server.urls(), await server.v2()
        kind = made_up(GROUP)
        await server.add(kind)
        await server.create("a", size=1)
        await server.remove(kind)
        for path in (WIDGETS, f"{WIDGETS}/a", f"/apis/{GROUP}", f"/apis/{GROUP}/v1", f"/openapi/v3/{DOCUMENT}"):
            assert (await server.call("GET", path)).status == 404, path
        assert await server.create("b") == 404
        assert (await server.groups(), await server.urls(), await server.v2()) == (before, urls, v2)
        assert f"{GROUP}/widgets" not in server.api.backend.cache.counts()


@pytest.mark.parametrize("change", ["removed", "replaced"])
async def test_watches_of_what_goes_or_changes_end_without_an_error(etcd, root, change):
    async with serving(etcd, root) as server:
        kind = made_up(GROUP)
        await server.add(kind)
        await server.create("a", size=1)
        watch, other = await server.api.watch(WIDGETS), await server.api.watch("/api/v1/namespaces")
        assert (await anext(watch))["type"] == "ADDED"
        await anext(other)
        rest = asyncio.ensure_future(collect(watch))
        await asyncio.sleep(0)
        if change == "removed":
            await server.remove(kind)
        else:
            await server.add(made_up(GROUP, colour=TEXT))
        async with asyncio.timeout(5):
            assert await rest == []
        await server.call("POST", "/api/v1/namespaces", {"metadata": {"name": "later"}})
        async with asyncio.timeout(5):
            assert (await anext(other))["object"]["metadata"]["name"] == "later", "other watches go on"
        await other.aclose()


async def test_watches_that_etcd_serves_end_too(etcd, root, monkeypatch):
    monkeypatch.setattr("apiserver_workers.registry.registry.is_cached", lambda *name: False)
    async with serving(etcd, root) as server:
        kind = made_up(GROUP)
        await server.add(kind)
        await server.create("a", size=1)
        watch = await server.api.watch(WIDGETS)
        await anext(watch)
        rest = asyncio.ensure_future(collect(watch))
        await asyncio.sleep(0.05)
        await server.remove(kind)
        async with asyncio.timeout(5):
            assert await rest == []


async def test_groups_that_begin_alike_do_not_share_definitions(etcd, root):
    async with serving(etcd, root) as server:
        await server.surface.change(add=[made_up("example.com", size=INT), made_up("example.org", colour=TEXT)])
        definitions = (await server.v2())[0]["definitions"]
        assert definitions["com.example.v1.WidgetSpec"]["properties"].keys() == {"size"}
        assert definitions["org.example.v1.WidgetSpec"]["properties"].keys() == {"colour"}


async def test_a_built_in_resource_can_go_and_come_back(etcd, root):
    path = "/apis/batch/v1/namespaces/default/cronjobs"
    async with serving(etcd, root) as server:
        mounted = server.api.server.resources.find("batch", "v1", "cronjobs")
        assert mounted is not None
        await server.remove(mounted.view.kind)
        assert (await server.call("GET", path)).status == 404
        assert (await server.call("GET", path.replace("cronjobs", "jobs"))).status == 200
        await server.add(mounted.view.kind)
        assert (await server.call("GET", path)).obj["items"] == []


async def test_memory_returns_after_a_thousand_rounds(real_etcd, root):
    """Each round serves a group of its own with its types, uses it in every way, and lets go of it."""
    async with serving(real_etcd, root) as server:
        models: weakref.WeakSet[Any] = weakref.WeakSet()

        async def one(number: int) -> None:
            group = f"g{number}.example.com"
            path = f"/apis/{group}/v1/namespaces/default/widgets"
            kind = made_up(group)
            models.add(kind.model)  # every type of the kind refers to it
            await server.add(kind)
            body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"size": 1}}
            applied = await server.call("PATCH", f"{path}/a", body, type=APPLY, fieldManager="m")
            assert applied.status == 201, applied.body
            await server.call("GET", path, fieldSelector="spec.colour=red")
            if not number % 100:
                assert (await server.call("GET", "/apis", accept=AGGREGATED)).status == 200
                assert (await server.call("GET", f"/openapi/v3/apis/{group}/v1")).status == 200
            assert (await server.call("DELETE", f"{path}/a")).status == 200
            await server.remove(kind)

        for number in range(20):
            await one(number)
        await server.groups()
        await server.urls()
        before = objects()
        for number in range(1000):
            await one(number)
        await server.groups()
        await server.urls()
        grown = objects() - before
        assert not models
        assert grown.total() < 500, grown.most_common(10)


def objects() -> Counter[str]:
    """How many objects there are of each type, without what is remembered of the paths of requests, which is limited."""
    gc.collect()
    return Counter(type(found).__qualname__ for found in gc.get_objects() if not isinstance(found, RequestInfo))


async def collect(watch: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in watch]
