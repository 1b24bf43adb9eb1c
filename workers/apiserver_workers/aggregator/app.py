"""The aggregator: the front of the server. TLS ends here and every filter runs here, once.

It answers what is about the whole server (health, metrics, version, discovery) and its own group, apiregistration.k8s.io;
every other request goes on to the core server, or straight to the extensions server when the group is known to be its.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import orjson
from cryptography import x509

from apiserver_workers.aggregator.aggregation import AggregatedOpenAPI, Aggregation
from apiserver_workers.aggregator.completion import RegistrationCompletion
from apiserver_workers.apimachinery import feature_gates, types
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.errors import ApiError, service_unavailable
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.authentication.stored import StoredObjects
from apiserver_workers.authentication.union import server_authenticator
from apiserver_workers.authorization.union import ServerAuthorizer, followed_resources, server_authorizer
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.chain import build_chain, build_insecure_chain
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.discovery.endpoints import DiscoveryEndpoints
from apiserver_workers.server.discovery.sources import DelegateDiscovery
from apiserver_workers.server.filters.draining import Lifecycle
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.filters.request_body import RequestBody
from apiserver_workers.server.foreign_objects import ForeignObjects
from apiserver_workers.server.generic import GenericAPIServer
from apiserver_workers.server.health import KINDS, LIVE, READY, HealthChecks, crash_loops, is_health_path, parse_verbose
from apiserver_workers.server.http.file_server import FileServer
from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.metric_choice import MetricChoice
from apiserver_workers.server.metrics import BUILD_INFO, FEATURES, Metrics
from apiserver_workers.server.openapi.endpoints import OpenAPIEndpoints
from apiserver_workers.server.openapi.legacy import SwaggerEndpoints
from apiserver_workers.server.openapi.sources import DelegateOpenAPI
from apiserver_workers.server.profiling.endpoints import DebugEndpoints
from apiserver_workers.server.served_version import emulated_minor, serve, version_info

CRASH_LOOPS = "crash-loops"  # a file in the run folder: whose processes die again and again
LOGS = "/var/log"
STOPPING = "stopping"  # a file in the run folder: the server is about to stop
# What the server behind this one serves outside of the API.
OPENID_PATHS = ("/.well-known/openid-configuration", "/openid/v1/jwks")


REGISTRATION = "apiregistration.k8s.io"
# Upstream's post-start hooks of what a front does once it has started: it follows, registers and describes groups.
BOOT_CHECKS = (
    "aggregator-reload-proxy-client-cert",
    "start-kube-aggregator-informers",
    "apiservice-registration-controller",
    "apiservice-discovery-controller",
    "apiservice-openapi-controller",
    "apiservice-openapiv3-controller",
)


class AggregatorServer:
    """One front worker (server.app.App)."""

    backend: Backend
    authorizer: ServerAuthorizer
    _chain: Handler

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        served = serve(config)
        self.resources = [info for info in served if info.server == "aggregator"]
        self.core = DelegationTarget(os.path.join(config.run_dir, "core.sock"))
        self.extensions = DelegationTarget(os.path.join(config.run_dir, "extensions.sock"))
        self.server = GenericAPIServer(self.core.handle)
        self.aggregation = Aggregation(config)
        self.health = HealthChecks(lenient_until=config.started + config.livez_grace_period)
        self.health.add_group(self._boot_checks, prefix="poststarthook/")
        self._started = False
        self._debug = DebugEndpoints(config.run_dir)
        self.lifecycle = Lifecycle()
        self.unprotected: dict[str, Handler] = {
            "insecure": build_insecure_chain(
                self._route, config, lifecycle=self.lifecycle, passes_on=self.aggregation.passes_on
            ),
            "debug": PanicRecovery(RequestBody(self._debug.handle)),
        }
        self._groups = {info.group: info.server for info in served}
        registers = REGISTRATION in self._groups
        self._discovery = DiscoveryEndpoints(
            lambda: served,
            minor=emulated_minor(config),
            sources=[DelegateDiscovery(self.extensions)],
            registered=self.aggregation if registers else None,
            otherwise=self.server.unknown,
            server_address=config.server_address,
            inside=(config.service_cluster_ip_range.partition(",")[0], f"{config.service_ip}:443"),
        )
        self._version = version_info(config)
        self._followed = followed_prefixes(served, config)
        local = {f"{info.version}.{info.group}" for info in served if info.group != REGISTRATION}
        self._completion = RegistrationCompletion(config, local, self.aggregation.registrations)
        model = types.model()
        self.kinds = BuiltinKinds(model)
        kinds = tuple(map(self.kinds.of, served))
        self._openapi = OpenAPIEndpoints(
            lambda: kinds,
            model,
            version=emulated_minor(config),
            sources=[DelegateOpenAPI(self.extensions), AggregatedOpenAPI(self.aggregation)],
        )
        self.kinds.preload(self.resources)
        version = self._version
        labels = (version["compiler"], version["gitVersion"], version["major"], version["minor"], version["platform"])
        BUILD_INFO.set(1.0, labels)
        for gate in feature_gates.gates_of(emulated_minor(config)):
            FEATURES.set(float(feature_gates.enabled(gate.name)), (gate.name, gate.stage))

    async def startup(self) -> None:
        config = self.config
        followed = {*self._followed, *followed_resources(config)}
        self.backend = backend = Backend(config, only=followed, kinds=self.kinds)
        await backend.start()
        self.authenticator = server_authenticator(config, StoredObjects(backend.storage, config.etcd_prefix))
        await self.authenticator.start()
        self.authorizer = server_authorizer(config, backend.cache)
        await self.authorizer.start()
        backend.admission.initializer.authorizer = self.authorizer
        backend.admission.initializer.elsewhere = ForeignObjects(self.core)
        backend.admission.initializer.equivalents.served = lambda: self.server.resources.kinds
        self.server.install(self.resources, backend.registry)
        if REGISTRATION in self._groups:
            await self.aggregation.start(backend.registry)
        self._mount()
        self._add_checks()
        self._chain = build_chain(
            self._route,
            config,
            authenticator=self.authenticator,
            authorizer=self.authorizer,
            lifecycle=self.lifecycle,
            passes_on=self.aggregation.passes_on,
        )
        self._started = True

    def handle(self, request: Request) -> Awaitable[Response]:
        return self._chain(request)

    async def retire(self) -> None:
        pass

    async def shutdown(self) -> None:
        await self.aggregation.stop()
        await self.authenticator.stop()
        await self.authorizer.stop()
        await self.backend.stop()

    async def _route(self, request: Request) -> Response:
        """A request that has passed all filters."""
        info = request.info
        assert info is not None
        if self.aggregation.remote and (service := self.aggregation.serving(request)) is not None:
            return await self.aggregation.handle(request, service)
        if info.is_resource_request and not request.path.startswith("//"):
            server = self._groups.get(info.api_group)
            if server == "core":
                return await self.core.handle(request)
            if server == "extensions":
                return await self.extensions.handle(request)
        elif is_health_path(request.path):
            return await self.health.handle(request)
        if not self._started:
            raise service_unavailable("the server is starting")
        return await self.server.handle(request)

    def _boot_checks(self) -> dict[str, str]:
        return dict.fromkeys(BOOT_CHECKS, "" if self._started else "not finished")

    def _mount(self) -> None:
        choice = MetricChoice(self.config.disabled_metrics, self.config.allow_metric_labels)
        metrics = Metrics(self.config.run_dir, choice, resettable=self.config.profiling)
        paths = self.server.paths
        paths.update(self._openapi.exact)
        paths["/version"] = self._answer_version
        paths["/metrics"] = metrics.handle
        paths["/metrics/slis"] = metrics.handle_slis
        paths["/"] = self._answer_index
        prefixes = self.server.prefixes
        prefixes.update(self._discovery.prefixes | self._openapi.prefixes)
        if self.config.profiling:
            prefixes.update(self._debug.prefixes)
        if self.config.enable_swagger_ui:
            prefixes.update(SwaggerEndpoints(self._openapi).prefixes)
        if self.config.enable_logs_handler:
            prefixes["/logs"] = FileServer(LOGS, "/logs").handle

    def _add_checks(self) -> None:
        stopping, looping = Path(self.config.run_dir) / STOPPING, Path(self.config.run_dir) / CRASH_LOOPS
        self.backend.add_checks(self.health)
        self.health.add("loopback-serving-certificate", loopback_check(self.config.loopback_certificate), kinds=LIVE)
        if REGISTRATION in self._groups:
            self.health.add("autoregister-completion", self._completion.check)
        self.health.add("shutdown", lambda: "process is shutting down" if stopping.exists() else "", kinds=READY)
        self.health.add_group(lambda: crash_loops(looping), kinds=READY)
        self.health.add_remote("extensions-server", lambda kind: remote_checks(self.extensions, kind))
        self.health.add_remote("core-server", lambda kind: remote_checks(self.core, kind))

    async def _answer_version(self, request: Request) -> Response:
        if request.method != "GET":
            raise ApiError(
                405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {}
            )
        return Response(body=orjson.dumps(self._version, option=orjson.OPT_INDENT_2))

    async def _answer_index(self, request: Request) -> Response:
        """The paths that exist, for the curious."""
        discovered = await self._discovery.paths()
        paths = {*discovered, *await self._openapi.paths(), *self.server.paths, *OPENID_PATHS} - {"/"}
        changing = {*self._discovery.prefixes, *self._openapi.prefixes}
        paths |= {one for one in self.server.prefixes.keys() - changing if not one.startswith("/debug")}  # as upstream
        for kind in KINDS:
            paths.add(f"/{kind}")
            paths |= {f"/{kind}/{name}" for name in await self.health.results(kind)}
        return Response(body=orjson.dumps({"paths": sorted(paths)}, option=orjson.OPT_INDENT_2))


def followed_prefixes(served: Iterable[ResourceInfo], config: ServerConfig) -> list[str]:
    """The storage prefixes that the cache of a front follows: its own resources, and where aggregated servers are."""
    needed = {("", "services")}
    if config.enable_aggregator_routing:
        needed.add(("discovery.k8s.io", "endpointslices"))
    infos = (info for info in served if info.server == "aggregator" or (info.group, info.resource) in needed)
    return list(dict.fromkeys(info.storage_prefix for info in infos))


def loopback_check(certificate: bytes) -> Callable[[], str]:
    """The health check that fails once the certificate for the server itself has expired: only a new start makes another."""
    expires = x509.load_pem_x509_certificate(certificate).not_valid_after_utc.timestamp()
    return lambda: "" if time.time() < expires else "loopback serving certificate is expired"


async def remote_checks(target: DelegationTarget, kind: str) -> dict[str, str]:
    """The health checks of a server behind this one. Raises ApiError when none of its workers answers."""
    message = f"GET /{kind}?verbose HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    response = await target.ask(message, method="GET")
    return parse_verbose(response.wire.partition(b"\r\n\r\n")[2].decode())


def create(config: ServerConfig) -> AggregatorServer:
    """The app of a front worker."""
    return AggregatorServer(config)
