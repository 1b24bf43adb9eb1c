"""A server of the built-in resources in this process, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
import yaml
from apiserver_workers.apimachinery.resources import ResourceInfo, builtin_resources
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.generic import GenericAPIServer
from apiserver_workers.server.http.messages import Request, Response, page_not_found
from apiserver_workers.storage.etcd import EtcdStorage

from tests.storage.etcd_process import EtcdProcess
from tests.storage.memory import MemoryChannel, MemoryKeys

ADMIN = UserInfo("admin", groups=("system:masters", "system:authenticated"))
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@dataclass(slots=True)
class Answer:
    """A response, read whole."""

    status: int
    body: bytes
    content_type: str
    headers: Sequence[tuple[str, str]]
    warnings: list[str]

    @property
    def obj(self) -> Any:
        return yaml.safe_load(self.body) if self.content_type == "application/yaml" else orjson.loads(self.body)

    @property
    def message(self) -> str:
        return self.obj["message"]

    @property
    def version(self) -> str:
        return self.obj["metadata"]["resourceVersion"]


class Api:
    """Sends requests to the server."""

    def __init__(self, backend: Backend, served: Iterable[ResourceInfo]) -> None:
        self.backend = backend
        self.server = GenericAPIServer(last)
        self.handle = PanicRecovery(self.server.handle)
        self.server.install([info for info in served if "update" in info.verbs], backend.registry)

    def request(
        self, method: str, path: str, body: Any = None, *, type: str = "", accept: str = "", agent: str = "test/1",
        encoding: str = "", **query: Any,
    ) -> Request:  # fmt: skip
        raw = body if isinstance(body, bytes) else b"" if body is None else orjson.dumps(body)
        headers = {"user-agent": agent, "content-type": type, "accept": accept}
        if encoding:
            headers["accept-encoding"] = encoding
        query_string = urlencode(query, doseq=True)
        return Request(method, path, query_string, headers, raw, user=ADMIN)

    async def call(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """One request and its whole answer; `options` are type, accept, agent and the query's parameters."""
        request = self.request(method, path, body, **options)
        response = await self.handle(request)
        return Answer(response.status, await read(response), response.content_type, response.headers, request.warnings)

    async def create(self, name: str, *, path: str = CONFIG_MAPS, kind: str = "ConfigMap", **more: Any) -> Answer:
        metadata = {"name": name, **more.pop("metadata", {})}
        return await self.call("POST", path, {"kind": kind, "metadata": metadata, **more})

    async def merge(self, path: str, patch: Any, **options: Any) -> Answer:
        return await self.call("PATCH", path, patch, type="application/merge-patch+json", **options)

    async def watch(self, path: str, **query: Any) -> AsyncIterator[Any]:
        """The events of a watch, decoded."""
        response = await self.handle(self.request("GET", path, watch="1", **query))
        assert not isinstance(response.body, bytes | Sequence)
        return events(response.body)


async def events(chunks: Any) -> AsyncIterator[Any]:
    try:
        async for chunk in chunks:
            for line in chunk.splitlines():
                yield orjson.loads(line)
    finally:
        await chunks.aclose()


async def read(response: Response) -> bytes:
    body: Any = response.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, Sequence):
        return b"".join(body)
    return b"".join([chunk async for chunk in body])


async def last(request: Request) -> Response:
    return page_not_found()


@asynccontextmanager
async def running(
    etcd: EtcdProcess | MemoryKeys, root: str, served: Iterable[ResourceInfo] = tuple(builtin_resources().values())
) -> AsyncIterator[Api]:
    """An Api of its own prefix in etcd, or in memory, with the namespace that most tests write to."""
    config = ServerConfig(
        instance="test",
        run_dir="",
        service_ip="10.0.0.1",
        loopback_token="",
        etcd_servers=("http://memory" if isinstance(etcd, MemoryKeys) else etcd.url,),
        etcd_prefix=root,
    )
    backend = Backend(config)
    if isinstance(etcd, MemoryKeys):
        assert isinstance(backend.storage, EtcdStorage)
        backend.storage.channel = MemoryChannel(etcd)  # type: ignore[assignment]
    await backend.start()
    try:
        api = Api(backend, served)
        await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "default"}})
        yield api
    finally:
        await backend.stop()
