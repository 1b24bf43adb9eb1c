"""GenericAPIServer: what is mounted, and which handler answers a request.

Resources are found by their group, version and name, other paths in a table of handlers; what is in neither goes to the
delegate, the next server of the chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.deprecation import warn
from apiserver_workers.server.endpoints.compression import compressed
from apiserver_workers.server.endpoints.negotiation import refuse_protobuf
from apiserver_workers.server.endpoints.routes import Route, Routes
from apiserver_workers.server.endpoints.served import View
from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.http.request_info import RequestInfo, info_of
from apiserver_workers.server.resource_set import Mounted, ResourceSet, mounted_store

# Verbs of whole collections; what else has no name in its path is no route.
COLLECTION_VERBS = frozenset(("list", "watch", "create", "deletecollection"))
ALL_NAMESPACES_VERBS = frozenset(("list", "watch"))
METHODS = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE"))
PROXY_METHODS = METHODS | {"HEAD", "OPTIONS"}


class GenericAPIServer:
    """One server's handlers; `delegate` answers what is not mounted.

    `paths` are answered exactly, `prefixes` each for its path and all below it, of several the longest.
    """

    def __init__(self, delegate: Handler) -> None:
        self.delegate = delegate
        self.paths: dict[str, Handler] = {}
        self.prefixes: dict[str, Handler] = {}
        self.resources = ResourceSet()  # what is served now; another one may take its place at any time

    def install(self, infos: Iterable[ResourceInfo], registry: Registry) -> None:
        """Mount built-in stored resources with all their verbs and subresources."""
        kinds = map(registry.kinds.of, infos)
        self.resources = self.resources.having(mounted_store(kind, registry.store_of(kind)) for kind in kinds)

    def mount(self, view: View, routes: Routes) -> None:
        """Mount one resource with its handlers by (subresource, verb); they are called with the view."""
        self.resources = self.resources.having([Mounted(view, routes)])

    async def handle(self, request: Request) -> Response:
        """Answer a request. Raises ApiError."""
        if request.path.startswith("//"):
            return await self.delegate(request)  # filters see an API's path there, the router does not
        info = request.info
        if info is None:
            info = request.info = info_of(request)
        if info.is_resource_request:
            return await self._resource(request, info)
        handler = self.paths.get(request.path.rstrip("/") or "/") or self._below(request.path)
        if handler is not None:
            return await handler(request)
        return await self.unknown(request)

    async def _resource(self, request: Request, info: RequestInfo) -> Response:
        mounted = self.resources.find(info.api_group, info.api_version, info.resource)
        if mounted is None:
            return await self.unknown(request)
        view, routes = mounted.view, mounted.routes
        route = routes.get((info.subresource, info.verb))
        if route is None or not _fits(view.info, info, request.method):
            raise _refusal(request, view.kind, routes, info)
        if view.kind.deprecation:
            warn(request, view.kind, info)
        if view.json_only:
            refuse_protobuf(request)
        response = await route(request, view)
        return await compressed(request, response) if "accept-encoding" in request.headers else response

    def _below(self, path: str) -> Handler | None:
        """The handler of the longest prefix that is the path or a folder above it."""
        while path:
            if (handler := self.prefixes.get(path)) is not None:
                return handler
            path = path.rpartition("/")[0]
        return None

    async def unknown(self, request: Request) -> Response:
        """Nothing is mounted there: the next server, unless the path lies in a group that is this server's own."""
        parts = request.path.split("/", 3)
        group = "" if parts[1] == "api" else parts[2] if len(parts) > 2 and parts[1] == "apis" else None
        if group is not None and group in self.resources.groups:
            raise resource_not_found()
        return await self.delegate(request)


def _fits(resource: ResourceInfo, info: RequestInfo, method: str) -> bool:
    """Whether a route of the resource looks like this path."""
    methods = PROXY_METHODS if info.subresource == "proxy" else METHODS
    return method in methods and _path_fits(resource, info) and _verb_fits(resource, info)


def _path_fits(resource: ResourceInfo, info: RequestInfo) -> bool:
    in_namespace = bool(info.namespace) and resource.resource != "namespaces"
    if in_namespace and not resource.namespaced:
        return False
    named = len(info.parts) > 1
    # Only whole collections are served across namespaces.
    return not (resource.namespaced and named and not info.namespace)


def _verb_fits(resource: ResourceInfo, info: RequestInfo) -> bool:
    if len(info.parts) > 1:
        return info.verb != "create" or bool(info.subresource)
    if info.verb not in COLLECTION_VERBS:
        return False
    across = resource.namespaced and not info.namespace
    return not across or info.verb in ALL_NAMESPACES_VERBS or (info.verb == "create" and not resource.namespaced)


def _refusal(
    request: Request, kind: ServedKind, routes: Mapping[tuple[str, str], Route], info: RequestInfo
) -> ApiError:
    """404 where no route has this path, 405 where only the method is wrong."""
    resource = kind.info
    known = not info.subresource or any(subresource == info.subresource for subresource, _ in routes)
    if not known or not _path_fits(resource, info):
        return resource_not_found()
    if info.verb == "watch" and ("", "list") in routes:
        warn(request, kind, info)
        group_resource = resource.resource if not resource.group else resource.qualified_resource
        message = f'watch is not supported on resources of kind "{group_resource}"'
        details = {"group": resource.group, "kind": resource.resource}
        return ApiError(405, "MethodNotAllowed", message, {key: value for key, value in details.items() if value})
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def resource_not_found() -> ApiError:
    """What the router answers where a group's server has no such path."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})
