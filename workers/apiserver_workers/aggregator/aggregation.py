"""The aggregator's part of a front worker: the APIServices, the servers behind them, and what those describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apiserver_workers.aggregator.discovery import RemoteDiscovery
from apiserver_workers.aggregator.openapi import RemoteOpenAPI
from apiserver_workers.aggregator.proxy import AggregatedServers
from apiserver_workers.aggregator.registrations import Registrations
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.aggregation.api_service import GROUP, RESOURCE, APIService, by_group
from apiserver_workers.server.aggregation.asking import Backends
from apiserver_workers.server.aggregation.resolving import service_resolver
from apiserver_workers.server.aggregation.tls import BackendTls
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.informer import Informer

LEGACY_VERSION = ("", "v1")


class Aggregation:
    """What requests are asked: `serving(request)` is the APIService of another server that answers it, or None."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self.registrations = Registrations()
        self.remote = self.registrations.remote
        self._servers: AggregatedServers | None = None
        self._discovery: RemoteDiscovery | None = None
        self.openapi: RemoteOpenAPI | None = None
        self._informer: Informer | None = None

    async def start(self, registry: Registry) -> None:
        """Returns when all APIServices are known; what their servers describe comes later."""
        backends = Backends(service_resolver(self._config, registry), BackendTls(self._config))
        self._servers = AggregatedServers(backends, reject_redirects=self._config.aggregator_reject_forwarding_redirect)
        self._discovery = RemoteDiscovery(self.registrations, backends)
        self.openapi = RemoteOpenAPI(self.registrations, backends, self._servers.handle)
        store = registry.store(GROUP, RESOURCE)
        self._informer = Informer(store.cache, store.root, self.registrations)
        await self._informer.start()

    async def stop(self) -> None:
        if self._informer is not None:
            await self._informer.stop()
        if self._discovery is not None:
            await self._discovery.stop()
        if self.openapi is not None:
            await self.openapi.stop()
        if self._servers is not None:
            self._servers.close()

    async def handle(self, request: Request, service: APIService) -> Response:
        """The answer of the APIService's server."""
        assert self._servers is not None
        return await self._servers.handle(request, service)

    def serving(self, request: Request) -> APIService | None:
        """The APIService by which another server answers the request, None if this one does."""
        info = request.info
        if not self.remote or info is None or request.path.startswith("//"):
            return None
        if info.is_resource_request:
            return self.remote.get((info.api_group, info.api_version))
        parts = request.path.split("/", 4)
        if parts[1] == "api":
            return self.remote.get(LEGACY_VERSION)
        if parts[1] == "apis" and len(parts) > 3:
            return self.remote.get((parts[2], parts[3]))
        return None

    def passes_on(self, request: Request) -> bool:
        """Whether another server reads the request's body."""
        return self.serving(request) is not None

    # ---- for discovery (server.discovery.sources.Registered)

    @property
    def version(self) -> int:
        return self.registrations.version

    def listed(self) -> Mapping[str, Sequence[str]]:
        groups = by_group(self.registrations.services.values())
        return {group: [service.version for service in members] for group, members in groups.items() if group}

    def priorities(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        return {} if self._discovery is None else self._discovery.priorities

    async def groups(self) -> tuple[str, Sequence[dict[str, Any]]]:
        return ("", ()) if self._discovery is None else await self._discovery.groups()


class AggregatedOpenAPI:
    """The OpenAPISource of all APIServices, which there is before they are known."""

    def __init__(self, aggregation: Aggregation) -> None:
        self._aggregation = aggregation

    async def handle(self, request: Request) -> Response:
        source = self._aggregation.openapi
        if source is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource", {})
        return await source.handle(request)

    async def v3(self) -> Mapping[str, str]:
        source = self._aggregation.openapi
        return {} if source is None else await source.v3()

    async def v2(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        source = self._aggregation.openapi
        return [] if source is None else await source.v2()
