"""Discovery over HTTP: /api, /apis and what is below them down to a group's version.

A server has one DiscoveryEndpoints over what it serves itself; the front's is over all servers, so that /apis shows every
group. The documents change when what is served does; until then one is serialised once per media type, however often it
is asked for. Their tags are hashes of their content.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError, not_acceptable
from apiserver_workers.apimachinery.memo import Memo
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.types import meta_model
from apiserver_workers.server.discovery import documents as discovery
from apiserver_workers.server.discovery.sources import DiscoverySource, Registered
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
            self._bodies[key] = serialize(obj, media_type, meta_model(), pretty=pretty)
        return self._bodies[key]

    @functools.cached_property
    def etag(self) -> str:
        return f'"{hashlib.sha512(self.body(JSON)).hexdigest().upper()}"'


class Documents:
    """All documents about what is served at one moment. `others` are the groups of servers behind this one, `foreign` those
    of aggregated servers, which come first; `addresses` are what /api tells clients, and `inside` what it tells those within
    the cluster. `registered` are the APIServices, where there are any: the older form lists what they say."""

    def __init__(
        self,
        infos: Sequence[ResourceInfo],
        others: Sequence[Sequence[dict[str, Any]]],
        versions: Sequence[str],
        *,
        addresses: Sequence[tuple[str, str]],
        inside: Sequence[tuple[str, str]],
        foreign: Sequence[dict[str, Any]] = (),
        registered: Registered | None = None,
    ) -> None:
        groups = discovery.group_resources(infos)
        core: discovery.Groups = {"": groups[""]} if "" in groups else {}
        named = {group: resources for group, resources in groups.items() if group}
        priorities = discovery.NO_PRIORITIES if registered is None else registered.priorities()
        merged = discovery.merge_groups([foreign, discovery.group_items(named), *others], priorities)
        items = [item for item in merged if item["metadata"]]
        listed = _listed(items, registered)
        self.plain = {"/apis": Document(discovery.build_group_list(listed))}
        self.aggregated = {"/apis": _aggregated(items, versions)}
        if core:
            self.plain["/api"] = Document(discovery.build_api_versions(core, addresses=addresses))
            self.for_insiders = Document(discovery.build_api_versions(core, addresses=inside))
            legacy = [item for item in merged if not item["metadata"]]
            self.aggregated["/api"] = _aggregated(legacy or discovery.group_items(core), versions)
        for group, of_group in listed.items():
            self.plain[f"/apis/{group}"] = Document(discovery.build_group(group, of_group))
        for group, resources in groups.items():
            root = f"/apis/{group}" if group else "/api"
            for version, of_version in resources.items():
                self.plain[f"{root}/{version}"] = Document(discovery.build_resource_list(group, version, of_version))


def _listed(items: Sequence[dict[str, Any]], registered: Registered | None) -> dict[str, Sequence[str]]:
    """The groups that the older form lists, each with its versions."""
    described = {item["metadata"]["name"]: discovery.versions_of(item) for item in items}
    if registered is None:
        return dict(described)
    first = {group: versions for group, versions in described.items() if group == discovery.FIRST_GROUP}
    return {**first, **registered.listed()}


class DiscoveryEndpoints:
    """Answers discovery requests about the resources that `infos` returns at each request, and those of `sources`."""

    def __init__(
        self,
        infos: Callable[[], Sequence[ResourceInfo]],
        *,
        minor: str,
        server_address: str,
        inside: tuple[str, str] | None = None,
        sources: Sequence[DiscoverySource] = (),
        registered: Registered | None = None,
        otherwise: Handler | None = None,
    ) -> None:
        """`server_address` is the host and port at which clients reach the server, `minor` its Kubernetes version.

        `inside`: a CIDR whose clients also reach it at another address (upstream: pkg/server/discovery/addresses.go).
        `registered` are the APIServices; `otherwise` answers for paths that have no document here.
        """
        self._infos = infos
        self._minor = minor
        self._sources = sources
        self._registered = registered
        self._otherwise = otherwise or _not_found
        self._addresses = (("0.0.0.0/0", server_address),)
        self._inside = (*self._addresses, inside) if inside else self._addresses
        self._within = ipaddress.ip_network(inside[0]) if inside else None
        self._made_of: tuple[Any, ...] = ()
        self._documents: Documents | None = None
        self.prefixes: dict[str, Handler] = {"/api": self.handle, "/apis": self.handle}

    async def paths(self) -> list[str]:
        """The paths that are served, as / lists them."""
        return sorted([*(await self._current()).plain, "/apis/"])

    async def handle(self, request: Request) -> Response:
        """The answer to a discovery request. Raises ApiError 404, 405 and 406."""
        path = request.path.rstrip("/")
        documents = await self._current()
        plain = documents.plain.get(path)
        if plain is None:
            return await self._otherwise(request)
        if request.method != "GET" and not ANY_METHOD.fullmatch(path):
            message = "the server does not allow this method on the requested resource"
            raise ApiError(405, "MethodNotAllowed", message, {})
        if path == "/api" and self._is_inside(request):
            plain = documents.for_insiders
        combined = documents.aggregated.get(path) or {}
        media_type, version = negotiate_form(request.headers.get("accept", ""), tuple(combined))
        if version:
            return _aggregated_response(request, combined[version], media_type, version)
        pretty = media_type == JSON and is_pretty(request)
        return Response(200, plain.body(media_type, pretty=pretty), media_type, [VARY] if combined else [])

    async def _current(self) -> Documents:
        """The documents about what is served now; the same as before as long as nothing has changed."""
        infos = self._infos()
        others = [await source.groups() for source in self._sources]
        registered = self._registered
        version = 0 if registered is None else registered.version
        tag, foreign = ("", ()) if registered is None else await registered.groups()
        made_of = (infos, version, tag, *(tag for tag, _ in others))
        if self._documents is None or made_of != self._made_of:
            self._made_of = made_of
            self._documents = Documents(
                infos,
                [items for _, items in others],
                discovery.aggregated_versions(self._minor),
                addresses=self._addresses,
                inside=self._inside,
                foreign=foreign,
                registered=registered,
            )
        return self._documents

    def _is_inside(self, request: Request) -> bool:
        """Whether the client's address, as far as proxies tell it, is one of those that have an address of their own."""
        if self._within is None:
            return False
        told = request.headers.get("x-forwarded-for", "").partition(",")[0].strip() or request.headers.get("x-real-ip")
        try:
            return ipaddress.ip_address(told or request.client) in self._within
        except ValueError:
            return False


async def _not_found(request: Request) -> Response:
    raise ApiError(404, "NotFound", "the server could not find the requested resource", {})


def _aggregated(items: Sequence[dict[str, Any]], versions: Iterable[str]) -> dict[str, Document]:
    """The aggregated form in each of the versions."""
    return {version: Document(discovery.build_aggregated(items, version)) for version in versions}


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
