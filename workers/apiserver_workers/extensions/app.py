"""The extensions server: CustomResourceDefinitions, at the end of the delegation chain."""

from __future__ import annotations

from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.discovery.endpoints import DiscoveryEndpoints
from apiserver_workers.server.generic import GenericAPIServer
from apiserver_workers.server.health import HealthChecks
from apiserver_workers.server.http.messages import Request, Response, page_not_found
from apiserver_workers.server.openapi.endpoints import OpenAPIEndpoints
from apiserver_workers.server.served_version import emulated_minor, serve


class ExtensionsServer:
    """One extensions worker (server.app.App)."""

    backend: Backend

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.resources = [info for info in serve(config) if info.server == "extensions"]
        self.server = GenericAPIServer(not_found)
        self.health = HealthChecks()
        self.kinds = BuiltinKinds(types.model())
        self.kinds.preload(self.resources)
        self._described = self.server.resources
        self._added: tuple[ServedKind, ...] = ()

    async def startup(self) -> None:
        config = self.config
        self.backend = Backend(config, only=[info.storage_prefix for info in self.resources], kinds=self.kinds)
        await self.backend.start()
        self.backend.admission.initializer.equivalents.served = lambda: self.server.resources.kinds
        self.backend.add_checks(self.health)
        self.server.install(self.resources, self.backend.registry)
        discovery = DiscoveryEndpoints(
            lambda: self.server.resources.infos,
            minor=self.kinds.model.minor,
            server_address=config.server_address,
            otherwise=self.server.unknown,
        )
        openapi = OpenAPIEndpoints(self._added_kinds, self.kinds.model, version=emulated_minor(config), names=())
        self.server.prefixes.update(discovery.prefixes | openapi.prefixes)
        self.server.paths.update(openapi.exact)

    def _added_kinds(self) -> tuple[ServedKind, ...]:
        """What is served besides the built-in kinds, which the front describes."""
        served = self.server.resources
        if served is not self._described:
            builtin = set(map(self.kinds.of, self.resources))
            self._described, self._added = served, tuple(kind for kind in served.kinds if kind not in builtin)
        return self._added

    async def handle(self, request: Request) -> Response:
        return await self.server.handle(request)

    async def retire(self) -> None:
        pass

    async def shutdown(self) -> None:
        await self.backend.stop()


async def not_found(request: Request) -> Response:
    """The last delegate: nobody claims the path."""
    return page_not_found()


def create(config: ServerConfig) -> ExtensionsServer:
    """The app of an extensions worker."""
    return ExtensionsServer(config)
