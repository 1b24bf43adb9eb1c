"""log, exec, attach, portforward and proxy of pods, services and nodes: who may, where to, and through.

The handlers are mounted over those of the stored resources (`routes`).
"""

from __future__ import annotations

import dataclasses
import posixpath
from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.metrics import REGISTRY
from apiserver_workers.authorization.attributes import Authorizer, Decision, forbidden_error, of_request
from apiserver_workers.core.kubelet.locations import Locations
from apiserver_workers.core.kubelet.nodes import Kubelets
from apiserver_workers.core.kubelet.parameters import channels_of, port_number
from apiserver_workers.core.kubelet.refusals import refusal
from apiserver_workers.registry.attributes import CONNECT
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.pod_log import check_log_options
from apiserver_workers.server.endpoints.query import flag, text
from apiserver_workers.server.endpoints.routes import Routes
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.proxy.connection import BackendError
from apiserver_workers.server.proxy.forward import fetch, proxy, upgrade
from apiserver_workers.server.proxy.location import Location
from apiserver_workers.server.proxy.translate import has_stream_close, port_forward, remote_command, tunnelled

LOG_REQUESTS = REGISTRY.counter(
    "kube_apiserver_pod_logs_insecure_backend_total",
    "Total number of requests for pods/logs sliced by usage type: enforce_tls, skip_tls_allowed, skip_tls_denied",
    ("usage",),
)
LOG_TLS_FAILURES = REGISTRY.counter(
    "kube_apiserver_pod_logs_backend_tls_failure_total",
    "Total number of requests for pods/logs that failed due to kubelet server TLS verification",
)

MAX_REFUSAL = 20 << 10
LOG_REQUEST = b"GET %b HTTP/1.1\r\nHost: %b\r\nUser-Agent: apiserver-supervisor\r\n\r\n"
STREAMS = ("exec", "attach", "portforward")
PROXIES = ("pods", "services", "nodes")
# "" is OPTIONS, which has no verb.
PROXY_VERBS = ("get", "create", "update", "patch", "delete", "")
STREAM_FLAGS = ("stdin", "stdout", "stderr", "tty")
OPTION_KINDS = {"exec": "PodExecOptions", "attach": "PodAttachOptions", "portforward": "PodPortForwardOptions"}


class ConnectEndpoints:
    """The handlers of what goes through to nodes."""

    def __init__(self, config: ServerConfig, registry: Registry, authorizer: Authorizer) -> None:
        locations = Locations(registry, Kubelets(config, registry.store("", "nodes")))
        self._locations = locations
        self._authorizer = authorizer
        self._rate = config.max_connection_bytes_per_sec
        self._roots = {"pods": locations.proxied_pod, "services": locations.proxied_service}

    def routes(self, resource: str) -> Routes:
        """The handlers of a resource of the core group by (subresource, verb)."""
        routes: Routes = {}
        if resource == "pods":
            routes["log", "get"] = self.log
            routes.update({(stream, verb): self.stream for stream in STREAMS for verb in ("get", "create")})
        if resource in PROXIES:
            routes.update({("proxy", verb): self.proxy for verb in PROXY_VERBS})
        return routes

    async def log(self, request: Request, served: Served) -> Response:
        """A container's log, as it comes. Raises ApiError: 400, 404, 422, 500, and what the kubelet answers."""
        info = request.info
        assert info is not None
        query = request.query
        check_log_options(query, info.name)
        LOG_REQUESTS.inc(("skip_tls_allowed" if flag(query, "insecureSkipTLSVerifyBackend") else "enforce_tls",))
        location = await self._locations.log(info.namespace, info.name, query)
        if location is None:
            return Response(204, content_type="")
        message = LOG_REQUEST % (location.target.encode("latin-1"), location.authority.encode("latin-1"))
        answer, connection = await fetch(location, message, method="GET", failure=LogFailure(location))
        if 200 <= answer.status <= 206:
            return Response(200, answer.body, "text/plain")
        if answer.status in (301, 302, 303, 307, 308):
            connection.close()
            raise LogFailure(location)("redirects forbidden")
        try:
            said = (await answer.body.read(MAX_REFUSAL)).decode("utf-8", "replace")
        except BackendError as error:
            said = str(error)
        raise refusal(answer.status, said, info.name)

    async def stream(self, request: Request, served: Served) -> Response:
        """exec, attach or portforward over a connection that is handed over. Raises ApiError."""
        info = request.info
        assert info is not None
        query = request.query
        await self._admit(request, served, stream_options(info.subresource, query))
        await self._require_create(request)
        location, direct = await self._locations.stream(info.namespace, info.name, info.subresource, query)
        if not direct and request.hijack is not None:
            if info.subresource != "portforward" and has_stream_close(request):
                return await remote_command(request, location, channels_of(query), rate=self._rate)
            if info.subresource == "portforward" and tunnelled(request):
                return await port_forward(request, location, rate=self._rate)
        return await upgrade(request, location, rate=self._rate)

    async def proxy(self, request: Request, served: Served) -> Response:
        """A request to a pod, a service or a node, below its name. Raises ApiError."""
        info = request.info
        assert info is not None
        path = subpath(info.parts, request.path)
        await self._admit(request, served, {"kind": f"{served.info.kind}ProxyOptions", "path": path})
        if info.resource == "nodes":
            root = await self._locations.proxied_node(info.name)
        else:
            root = await self._roots[info.resource](info.namespace, info.name)
        location = dataclasses.replace(root, path=cleaned(path), query=request.raw_query)
        return await proxy(request, location, prefix=request.path.removesuffix(path), rate=self._rate)

    async def _admit(self, request: Request, served: Served, options: dict[str, Any]) -> None:
        context = context_of(request, served, {})
        attributes = served.store.attributes(CONNECT, context, {"apiVersion": "v1", **options}, None)
        await served.store.admission.admit(attributes)
        await served.store.admission.validate(attributes)

    async def _require_create(self, request: Request) -> None:
        """A WebSocket is opened by a GET, and yet whoever opens it needs the verb create. Raises ApiError 403."""
        if not feature_gates.enabled("AuthorizePodWebsocketUpgradeCreatePermission"):
            return
        asked = dataclasses.replace(of_request(request), verb="create")
        decision, reason = await self._authorizer.authorize(asked)
        if decision is not Decision.ALLOW:
            raise forbidden_error(asked, reason)


class LogFailure:
    """The error when a kubelet cannot be asked for a log."""

    def __init__(self, location: Location) -> None:
        self._url = location.url

    def __call__(self, why: str) -> ApiError:
        if "x509: " in why:
            LOG_TLS_FAILURES.inc()
        return ApiError(500, "", f'Get "{self._url}": {why}')


def stream_options(action: str, query: dict[str, list[str]]) -> dict[str, Any]:
    """The options of a stream as the object that admission sees."""
    options: dict[str, Any] = {"kind": OPTION_KINDS[action]}
    if action == "portforward":
        numbers = [port_number(port) for port in query.get("ports") or ()]
        if ports := [number for number in numbers if number is not None]:
            options["ports"] = ports
        return options
    options.update({name: True for name in STREAM_FLAGS if flag(query, name)})
    if container := text(query, "container"):
        options["container"] = container
    if action == "exec":
        options["command"] = query.get("command") or []
    return options


def subpath(parts: tuple[str, ...], path: str) -> str:
    """What follows `.../proxy` in a path; a last slash stays."""
    below = "/".join(parts[3:])
    return f"/{below}/" if below and path.endswith("/") else f"/{below}" if below or path.endswith("/") else ""


def cleaned(path: str) -> str:
    """The path without `.` and `..`; it never leads out of its root."""
    clean = posixpath.normpath(path) if path else ""
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean
