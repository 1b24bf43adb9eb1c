"""The workloads: what is sent, and the budget in CPU milliseconds a request (microseconds a watch event)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from client import Connection, Request, run, tls_context
from http2_client import Http2Stream
from server import TOKEN, Server

NAMESPACE = "/api/v1/namespaces/default"
CONFIGMAPS = f"{NAMESPACE}/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(slots=True)
class Figure:
    """CPU milliseconds of each part of the server for one request or event."""

    name: str
    cpu: dict[str, float]
    budget: float | None


def configmap(number: int, value: str) -> bytes:
    """A ConfigMap of about 300 bytes."""
    data = {"key": value, "text": "x" * 150}
    metadata = {"name": f"cm-{number:05}", "labels": {"app": "bench"}}
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}).encode()


def deployment(number: int, image: str) -> bytes:
    """A Deployment as people write them: one container with ports, resources and a probe."""
    container = {
        "name": "web",
        "image": image,
        "ports": [{"containerPort": 80, "name": "http"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
    }
    labels = {"app": f"web-{number}"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    metadata = {"name": f"web-{number:05}", "labels": labels}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}).encode()


def each(count: int, objects: int, make: Callable[[int, int], Request]) -> Iterator[Request]:
    """`count` requests that go round over `objects` objects: make(object's number, round)."""
    return (make(number % objects, number // objects) for number in range(count))


def steps(objects: int, count: int) -> Iterator[tuple[str, int, float | None, Iterator[Request]]]:
    """Name, number of requests, budget and the requests of each workload, in their order."""

    def name(number: int) -> str:
        return f"{CONFIGMAPS}/cm-{number:05}"

    def web(number: int) -> str:
        return f"{DEPLOYMENTS}/web-{number:05}"

    def patch(kind: str, media_type: str) -> Callable[[int, int], Request]:
        return lambda n, t: ("PATCH", name(n), label(f"{kind}{t}"), media_type)

    def label(turn: str) -> bytes:
        return b'{"metadata":{"labels":{"turn":"%s"}}}' % turn.encode()

    few = min(count, 200)
    lists = 50
    yield "CREATE configmap", objects, 0.55, (("POST", CONFIGMAPS, configmap(n, "a"), JSON) for n in range(objects))
    yield "GET configmap", count, 0.2, each(count, objects, lambda n, t: ("GET", name(n), b"", ""))
    yield f"LIST {objects} configmaps", lists, 11.0, each(lists, 1, lambda n, t: ("GET", CONFIGMAPS, b"", ""))
    yield "PUT configmap", count, 0.6, each(count, few, lambda n, t: ("PUT", name(n), configmap(n, f"p{t}"), JSON))
    for kind, media_type in (("merge", MERGE), ("strategic", STRATEGIC)):
        yield f"PATCH {kind} configmap", count, 0.7, each(count, few, patch(kind, media_type))
    applied = "?fieldManager=bench&force=true"
    yield (
        "APPLY configmap",
        count,
        0.9,
        each(count, few, lambda n, t: ("PATCH", name(n) + applied, configmap(n, f"a{t}"), APPLY)),
    )
    yield "CREATE deployment", few, None, (("POST", DEPLOYMENTS, deployment(n, "web:1"), JSON) for n in range(few))
    yield "GET deployment", count, 0.2, each(count, few, lambda n, t: ("GET", web(n), b"", ""))
    yield (
        "PUT deployment",
        count,
        None,
        each(count, few, lambda n, t: ("PUT", web(n), deployment(n, f"web:p{t}"), JSON)),
    )
    yield (
        "PATCH strategic deployment",
        count,
        None,
        each(count, few, lambda n, t: ("PATCH", web(n), label(f"s{t}"), STRATEGIC)),
    )
    yield (
        "APPLY deployment",
        count,
        None,
        each(count, few, lambda n, t: ("PATCH", web(n) + applied, deployment(n, f"web:a{t}"), APPLY)),
    )


class Bench:
    """Runs workloads against a server that is ready."""

    def __init__(self, server: Server, clients: int, *, http2: bool = False) -> None:
        self._server, self._clients = server, clients
        self._http2 = http2
        self._tls = tls_context()

    async def connect(self, count: int) -> list[Connection] | list[Http2Stream]:
        """`count` new connections, or what stands for them."""
        if self._http2:
            return await Http2Stream.open_all(count, self._server.url, TOKEN, self._tls)
        return [await Connection.open(self._server.url, TOKEN, self._tls) for _ in range(count)]

    async def requests(self, objects: int, count: int) -> list[Figure]:
        """All that is request and answer."""
        connections = await self.connect(self._clients)
        figures = []
        for name, number, budget, requests in steps(objects, count):
            figures.append(await self._measure(name, number, budget, run(connections, requests)))
        for connection in connections:
            connection.close()
        return figures

    async def fan_out(self, watchers: int, writes: int) -> Figure:
        """The writes, and the delivery of each to all watchers of one namespace's ConfigMaps."""
        (writer,) = await self.connect(1)
        path = f"{CONFIGMAPS}/cm-00000"
        await writer.send("GET", path)  # else it is the oldest stranger, and has to go
        watches = await self.watches(watchers)

        async def work() -> None:
            told = asyncio.gather(*(watch.events(writes) for watch in watches))
            for number in range(writes):
                await writer.send("PUT", path, configmap(0, f"w{watchers}-{number}"))
            await told

        figure = await self._measure(f"watch event, {watchers} watchers", watchers * writes, 0.02, work())
        for connection in (writer, *watches):
            connection.close()
        return figure

    async def watches(self, count: int) -> list[Connection] | list[Http2Stream]:
        """`count` connections, each with a watch from now on."""
        connections = await self.connect(count)
        page = json.loads(await connections[0].send("GET", f"{CONFIGMAPS}?limit=1"))
        version = page["metadata"]["resourceVersion"]
        for connection in connections:
            await connection.watch(f"{CONFIGMAPS}?watch=1&resourceVersion={version}")
        return connections

    async def _measure(self, name: str, number: int, budget: float | None, work: Awaitable[object]) -> Figure:
        before = self._server.cpu()
        await work
        after = self._server.cpu()
        spent = {part: (after[part] - before[part]) / number for part in after}
        return Figure(name, spent, budget)
