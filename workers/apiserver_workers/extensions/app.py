"""The extensions server: CustomResourceDefinitions and their custom resources, at the end of the delegation chain."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.custom.conversion import Ask
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.authorization.union import ServerAuthorizer, followed_resources, server_authorizer
from apiserver_workers.extensions.controllers.controller import DefinitionController
from apiserver_workers.extensions.establishing import Establishing
from apiserver_workers.extensions.resources import PRIVATE, CustomResources
from apiserver_workers.extensions.webhook import webhook_of
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.client.hooks import HookClients
from apiserver_workers.server.client.services import ServiceResolver
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.discovery.endpoints import DiscoveryEndpoints
from apiserver_workers.server.foreign_objects import ForeignObjects
from apiserver_workers.server.generic import GenericAPIServer
from apiserver_workers.server.health import HealthChecks
from apiserver_workers.server.http.messages import Handler, Request, Response, page_not_found
from apiserver_workers.server.informer import Informer
from apiserver_workers.server.openapi.endpoints import OpenAPIEndpoints
from apiserver_workers.server.served_version import emulated_minor, serve
from apiserver_workers.server.server_lock import ServerLock
from apiserver_workers.server.surface import Surface

Object = dict[str, Any]

GROUP, DEFINITIONS = "apiextensions.k8s.io", "customresourcedefinitions"
# What conversion webhooks are found by, and what admission of every namespaced object looks at.
FOLLOWED = ("services/specs", "endpointslices", "namespaces", "resourcequotas")


class ExtensionsServer:
    """One extensions worker (server.app.App)."""

    backend: Backend
    authorizer: ServerAuthorizer
    custom: CustomResources
    _controllers: tuple[asyncio.Task[None], ...] = ()

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.resources = [info for info in serve(config) if info.server == "extensions"]
        self.server = GenericAPIServer(not_found)
        self.health = HealthChecks()
        self._core = DelegationTarget(os.path.join(config.run_dir, "core.sock"))
        self.kinds = BuiltinKinds(types.model())
        self.kinds.preload(self.resources)
        self.private: dict[str, Handler] = {}
        self._described: tuple[object, ...] = ()
        self._shown: tuple[tuple[ResourceInfo, ...], tuple[ServedKind, ...]] = ((), ())

    async def startup(self) -> None:
        config = self.config
        followed = {*FOLLOWED, *(info.storage_prefix for info in self.resources), *followed_resources(config)}
        backend = self.backend = Backend(config, only=followed, kinds=self.kinds)
        await backend.start()
        self.authorizer = server_authorizer(config, backend.cache)
        await self.authorizer.start()
        initializer = backend.admission.initializer
        initializer.authorizer = self.authorizer
        initializer.elsewhere = ForeignObjects(self._core)
        initializer.equivalents.served = lambda: self.server.resources.kinds
        backend.add_checks(self.health)
        self.server.install(self.resources, backend.registry)
        self.hooks = HookClients(ServiceResolver(backend.registry, by_endpoints=config.enable_aggregator_routing))
        await self._follow_definitions()
        discovery = DiscoveryEndpoints(
            lambda: self._visible()[0],
            minor=self.kinds.model.minor,
            server_address=config.server_address,
            otherwise=self.server.unknown,
        )
        openapi = OpenAPIEndpoints(
            lambda: self._visible()[1], self.kinds.model, version=emulated_minor(config), names=()
        )
        self.server.prefixes.update(discovery.prefixes | openapi.prefixes)
        self.server.paths.update(openapi.exact)

    async def _follow_definitions(self) -> None:
        """Returns when all custom resources that there are now are served."""
        registry = self.backend.registry
        definitions = registry.store(GROUP, DEFINITIONS)
        self.custom = CustomResources(Surface(self.server, registry), self._ask)
        self.informer = Informer(definitions.cache, definitions.root, self.custom)
        await self.informer.start()
        await self.custom.start()
        self.private[PRIVATE] = self.custom.answer
        establishing = Establishing(self.config.run_dir, definitions, self.custom)
        controller = DefinitionController(registry, definitions)
        lock = ServerLock(self.config.run_dir, "extensions")
        self._controllers = (asyncio.create_task(lock.run(establishing.run, controller.run), name="establishing"),)

    def _ask(self, definition: Object) -> Ask:
        """What sends ConversionReviews to a definition's webhook."""
        return webhook_of(definition, self.hooks)

    def _visible(self) -> tuple[tuple[ResourceInfo, ...], tuple[ServedKind, ...]]:
        """What discovery shows, and of that the kinds that the front does not describe itself."""
        resources = self.server.resources
        made_of = resources, self.custom.established
        if made_of != self._described:
            infos = self.custom.shown(resources.infos)
            shown = set(infos)
            kinds = tuple(kind for kind in resources.kinds if kind.info.custom and kind.info in shown)
            self._described, self._shown = made_of, (infos, kinds)
        return self._shown

    async def handle(self, request: Request) -> Response:
        return await self.server.handle(request)

    async def retire(self) -> None:
        for task in self._controllers:
            task.cancel()
        await asyncio.gather(*self._controllers, return_exceptions=True)

    async def shutdown(self) -> None:
        await self.authorizer.stop()
        await self.retire()
        await self.custom.stop()
        await self.informer.stop()
        self.hooks.close()
        await self.backend.stop()


async def not_found(request: Request) -> Response:
    """The last delegate: nobody claims the path."""
    return page_not_found()


def create(config: ServerConfig) -> ExtensionsServer:
    """The app of an extensions worker."""
    return ExtensionsServer(config)
