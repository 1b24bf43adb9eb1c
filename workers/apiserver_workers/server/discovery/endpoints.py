"""Discovery over HTTP: /api, /apis and what is below them down to a group's version.

A server has one DiscoveryEndpoints over what it serves itself; the front's is over all servers, so that /apis shows every
group. A document is serialised once per media type, however often it is asked for.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError, not_acceptable
from apiserver_workers.apimachinery.memo import Memo
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.server.discovery import documents as discovery
from apiserver_workers.server.endpoints.negotiation import JSON, MEDIA_TYPES, PROTOBUF, negotiate
from apiserver_workers.server.endpoints.respond import is_pretty
from apiserver_workers.server.endpoints.serialize import serialize
from apiserver_workers.server.http.messages import Handler, Request, Response

# Upstream serves these with a handler of their own, which looks at no method.
ANY_METHOD = re.compile(r"/apis(?:/[^/]+)?")
VARY = ("Vary", "Accept")

PARAMETERS = "g={};v={};as={}"


class Document:
    """A discovery document and its serialised forms."""

    def __init__(self, obj: dict[str, Any]) -> None:
        self.obj = obj
        self._bodies: dict[tuple[str, bool], bytes] = {}

    def body(self, media_type: str, *, pretty: bool = False) -> bytes:
        key = (media_type, pretty)
        if key not in self._bodies:
            # the core group's documents have no apiVersion, which only an envelope of protobuf needs
            obj = {"apiVersion": "v1", **self.obj} if media_type == PROTOBUF else self.obj
            self._bodies[key] = serialize(obj, media_type, pretty=pretty)
        return self._bodies[key]

    @functools.cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha512(self.body(JSON)).hexdigest().upper()}"'


class DiscoveryEndpoints:
    """Answers discovery requests about the resources it was last given."""

    def __init__(
        self, resources: Iterable[ResourceInfo], *, server_address: str, inside: tuple[str, str] | None = None
    ) -> None:
        """`server_address` is the host and port at which clients reach the server.

        `inside`: a CIDR whose clients also reach it at another address (upstream: pkg/server/discovery/addresses.go).
        """
        self._everywhere = ("0.0.0.0/0", server_address)
        self._inside = inside
        self._within = ipaddress.ip_network(inside[0]) if inside else None
        self.update(resources)

    def update(self, resources: Iterable[ResourceInfo]) -> None:
        """Serve these resources from now on."""
        groups = discovery.group_resources(resources)
        core: discovery.Groups = {"": groups[""]} if "" in groups else {}
        named = {group: versions for group, versions in groups.items() if group}
        self._documents = {"/apis": Document(discovery.build_group_list(named))}
        self._aggregated = {"/apis": _aggregated(named)}
        if core:
            self._documents["/api"] = Document(discovery.build_api_versions(core, addresses=[self._everywhere]))
            addresses = [self._everywhere, *([self._inside] if self._inside else [])]
            self._for_insiders = Document(discovery.build_api_versions(core, addresses=addresses))
            self._aggregated["/api"] = _aggregated(core)
        for group, versions in groups.items():
            root = f"/apis/{group}" if group else "/api"
            if group:
                self._documents[root] = Document(discovery.build_group(group, versions))
            for version, listed in versions.items():
                self._documents[f"{root}/{version}"] = Document(discovery.build_resource_list(group, version, listed))

    @property
    def paths(self) -> list[str]:
        """The paths that are served, as / lists them."""
        return sorted([*self._documents, "/apis/"])

    def routes(self) -> dict[str, Handler]:
        """The paths that are served (without a slash at the end) and their handler, to be mounted."""
        return dict.fromkeys(self._documents, self.handle)

    async def handle(self, request: Request) -> Response:
        """The answer to a discovery request. Raises ApiError 404, 405 and 406."""
        path = request.path.rstrip("/")
        plain = self._documents.get(path)
        if plain is None:
            raise ApiError(404, "NotFound", "the server could not find the requested resource", {})
        if request.method != "GET" and not ANY_METHOD.fullmatch(path):
            message = "the server does not allow this method on the requested resource"
            raise ApiError(405, "MethodNotAllowed", message, {})
        if path == "/api" and self._is_inside(request):
            plain = self._for_insiders
        combined = self._aggregated.get(path) or {}
        media_type, version = negotiate_form(request.headers.get("accept", ""), tuple(combined))
        if version:
            return _aggregated_response(request, combined[version], media_type, version)
        pretty = media_type == JSON and is_pretty(request)
        return Response(200, plain.body(media_type, pretty=pretty), media_type, [VARY] if combined else [])

    def _is_inside(self, request: Request) -> bool:
        """Whether the client's address, as far as proxies tell it, is one of those that have an address of their own."""
        if self._within is None:
            return False
        told = request.headers.get("x-forwarded-for", "").partition(",")[0].strip() or request.headers.get("x-real-ip")
        try:
            return ipaddress.ip_address(told or request.client) in self._within
        except ValueError:
            return False


def _aggregated(groups: discovery.Groups) -> dict[str, Document]:
    """The aggregated form in every version in which there is one."""
    versions = discovery.aggregated_versions()
    return {version: Document(discovery.build_aggregated(groups, version)) for version in versions}


def _aggregated_response(request: Request, document: Document, media_type: str, version: str) -> Response:
    """The whole document, or 304 when the client has it."""
    headers = [("ETag", document.etag), VARY, ("Cache-Control", "public")]
    if request.headers.get("if-none-match") == document.etag:
        return Response(304, headers=headers)
    pretty = media_type == JSON and is_pretty(request)
    parameters = PARAMETERS.format(discovery.AGGREGATED_GROUP, version, discovery.AGGREGATED_KIND)
    return Response(200, document.body(media_type, pretty=pretty), f"{media_type};{parameters}", headers)


def negotiate_form(accept: str, offered: tuple[str, ...]) -> tuple[str, str]:
    """The media type of the first clause that can be met, and the version of the aggregated form if it asks for that.

    `offered` are the versions of that form that there are. Raises ApiError 406.
    """
    return _forms[accept, offered]


def _negotiate_form(asked: tuple[str, tuple[str, ...]]) -> tuple[str, str]:
    accept, offered = asked
    for clause in sorted(accept.split(","), key=_weight):
        media_type, *parameters = (part.strip() for part in clause.split(";"))
        if media_type in MEDIA_TYPES and (version := _aggregated_version(parameters)):
            if version in offered:
                return media_type, version
            continue
        try:
            output = negotiate(clause.strip())
        except ApiError:
            continue
        if not output.transform:
            return output.media_type, ""
    negotiate(accept)
    raise not_acceptable(MEDIA_TYPES)


_forms = Memo(_negotiate_form)


def _weight(clause: str) -> float:
    """What clauses are ordered by: the quality, highest first."""
    quality = re.search(r";\s*q=([0-9.]+)", clause)
    return -float(quality[1]) if quality else -1.0


def _aggregated_version(parameters: Iterable[str]) -> str:
    """The version of the aggregated form that a clause asks for, "" for one that does not, or asks for none we know."""
    found = dict(parameter.partition("=")[::2] for parameter in parameters)
    asks = (found.get("g"), found.get("as")) == (discovery.AGGREGATED_GROUP, discovery.AGGREGATED_KIND)
    version = found.get("v", "")
    return version if asks and version in ("v2", "v2beta1") else ""
