"""The core server: the built-in groups, behind the aggregator and before the extensions server."""

from __future__ import annotations

import asyncio
import os

from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.resources import ResourceInfo
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
from apiserver_workers.server.served_version import serve
from apiserver_workers.storage.compactor import compactor


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
        extensions = DelegationTarget(os.path.join(config.run_dir, "extensions.sock"))
        self.server = GenericAPIServer(extensions.handle)
        self.health = HealthChecks(lenient_until=config.started + config.livez_grace_period)
        preload(self.resources)

    async def startup(self) -> None:
        config = self.config
        backend = self.backend = Backend(config)
        await backend.start()
        self.authenticator = server_authenticator(config, StoredObjects(backend.storage, config.etcd_prefix))
        await self.authenticator.start()
        self.authorizer = server_authorizer(config, backend.cache)
        await self.authorizer.start()
        backend.admission.initializer.authorizer = self.authorizer
        backend.registry.permits = Rights(self.authorizer)
        backend.registry.admission = EscalationGuard(backend.admission, self.authorizer, backend.registry)
        reviews = Reviews(self.authenticator, self.authorizer)
        self.server.install(filter(stored, self.resources), backend.registry)
        tokens = token_endpoint(config, backend.registry)
        connect = ConnectEndpoints(config, backend.registry, self.authorizer)
        for info in self.resources:
            if not info.group and (routes := connect.routes(info.resource)):
                self.server.extend(info, routes)
            if info.resource == "serviceaccounts" and tokens is not None:
                self.server.extend(info, {("token", "create"): tokens.create})
            if not stored(info):
                self.server.mount(View(info), virtual.routes(info, backend, reviews))
        discovery = DiscoveryEndpoints(self.resources, server_address=config.server_address)
        self.server.paths.update(discovery.routes())
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


def stored(info: ResourceInfo) -> bool:
    """Whether the resource lies in etcd; the others are questions, answered when they are created or read."""
    return "update" in info.verbs


def preload(resources: list[ResourceInfo]) -> None:
    """Compile what all workers share before they are forked."""
    model = types.model()
    for info in resources:
        model.kind(info.group, info.version, info.kind).fields  # noqa: B018


def create(config: ServerConfig) -> CoreServer:
    """The app of a core worker."""
    capabilities.setup(allow_privileged=config.allow_privileged)
    return CoreServer(config)
