"""The core server: the built-in groups, behind the aggregator and before the extensions server."""

from __future__ import annotations

import asyncio
import os

from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.resources import ResourceInfo, stored_prefixes
from apiserver_workers.apimachinery.validation import capabilities
from apiserver_workers.authentication.stored import StoredObjects
from apiserver_workers.authentication.union import server_authenticator
from apiserver_workers.authorization.attributes import Rights
from apiserver_workers.authorization.escalation import EscalationGuard
from apiserver_workers.authorization.union import ServerAuthorizer, server_authorizer
from apiserver_workers.core import virtual
from apiserver_workers.core.bootstrap.hooks import bootstrap_hooks
from apiserver_workers.core.kubelet.connect import ConnectEndpoints
from apiserver_workers.core.openid import openid_routes
from apiserver_workers.core.reviews import Reviews
from apiserver_workers.core.token_request import token_endpoint
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.discovery.endpoints import DiscoveryEndpoints
from apiserver_workers.server.endpoints.served import View
from apiserver_workers.server.generic import GenericAPIServer
from apiserver_workers.server.health import HealthChecks, is_health_path
from apiserver_workers.server.hooks import Hooks
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.resource_set import Mounted, ResourceSet, mounted_store
from apiserver_workers.server.served_version import serve
from apiserver_workers.storage.compactor import compactor

# The watch cache holds what this server serves, and what it writes for another one.
KEPT = (*stored_prefixes(server="core"), *stored_prefixes(server="aggregator"))


class CoreServer:
    """One core worker (server.app.App)."""

    backend: Backend
    authorizer: ServerAuthorizer
    hooks: Hooks
    compaction: list[asyncio.Task[None]]

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.served = serve(config)
        self.resources = [info for info in self.served if info.server == "core"]
        extensions = DelegationTarget(os.path.join(config.run_dir, "extensions.sock"), inner=True)
        self.server = GenericAPIServer(extensions.handle)
        self.health = HealthChecks(lenient_until=config.started + config.livez_grace_period)
        self.kinds = BuiltinKinds(types.model())
        self.kinds.preload(self.resources)

    async def startup(self) -> None:
        config = self.config
        backend = self.backend = Backend(config, keep=KEPT, kinds=self.kinds, guard=EscalationGuard)
        await backend.start()
        self.authenticator = server_authenticator(config, StoredObjects(backend.storage, config.etcd_prefix))
        await self.authenticator.start()
        self.authorizer = server_authorizer(config, backend.cache)
        await self.authorizer.start()
        backend.admission.initializer.authorizer = self.authorizer
        backend.admission.initializer.equivalents.served = lambda: self.server.resources.kinds
        backend.registry.permits = Rights(self.authorizer)
        reviews = Reviews(self.authenticator, self.authorizer)
        self.tokens = token_endpoint(config, backend.registry)
        self.connect = ConnectEndpoints(config, backend.registry, self.authorizer)
        self.server.resources = ResourceSet(self._mounted(info, reviews) for info in self.resources)
        discovery = DiscoveryEndpoints(
            lambda: self.server.resources.infos,
            minor=self.kinds.model.minor,
            server_address=config.server_address,
            otherwise=self.server.unknown,
        )
        self.server.prefixes.update(discovery.prefixes)
        self.server.paths.update(openid_routes(config, config.server_address))
        self.hooks = Hooks(
            config.run_dir,
            "core",
            start_id=config.loopback_token,
            hooks=bootstrap_hooks(config, backend.registry, self.served),
        )
        await self.hooks.start()
        # Each worker takes part; the rounds are counted in etcd, so there is one an interval.
        interval = config.etcd_compaction_interval
        self.compaction = [asyncio.create_task(compactor(etcd, interval)) for etcd in backend.clusters.all]
        backend.add_checks(self.health)
        self.health.add_group(self.hooks.checks, prefix="poststarthook/")

    def _mounted(self, info: ResourceInfo, reviews: Reviews) -> Mounted:
        """A resource with its handlers: those of what is stored, those of its own subresources, or its own alone."""
        kind = self.kinds.of(info)
        if not info.is_stored:
            return Mounted(View(kind), virtual.routes(info, self.backend, reviews))
        mounted = mounted_store(kind, self.backend.registry.store_of(kind))
        routes = dict(mounted.routes)
        if not info.group:
            routes.update(self.connect.routes(info.resource))
        if info.resource == "serviceaccounts" and self.tokens is not None:
            routes["token", "create"] = self.tokens.create
        return Mounted(mounted.view, routes)

    async def handle(self, request: Request) -> Response:
        if is_health_path(request.path):
            return await self.health.handle(request)
        return await self.server.handle(request)

    async def retire(self) -> None:
        for task in self.compaction:
            task.cancel()
        await self.hooks.stop()

    async def shutdown(self) -> None:
        await self.retire()
        await self.authenticator.stop()
        await self.authorizer.stop()
        await self.backend.stop()


def create(config: ServerConfig) -> CoreServer:
    """The app of a core worker."""
    capabilities.setup(allow_privileged=config.allow_privileged)
    return CoreServer(config)
