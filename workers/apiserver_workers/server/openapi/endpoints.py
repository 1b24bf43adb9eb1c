"""The handlers of /openapi/v2 and /openapi/v3.

A document is built when it is first asked for, in a thread, because it takes tens of milliseconds; what stays is its
bytes. The index names every document with a hash, so that clients may keep what they have read for good.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import orjson
from isal import igzip

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.types import TypeModel
from apiserver_workers.server.http.conditional import Headers, serve_content
from apiserver_workers.server.http.messages import JSON, TEXT, Handler, Request, Response
from apiserver_workers.server.openapi.definitions import Definitions
from apiserver_workers.server.openapi.protobuf import encode
from apiserver_workers.server.openapi.protobuf_v3 import encode as encode_v3
from apiserver_workers.server.openapi.v2 import build_v2
from apiserver_workers.server.openapi.v3 import build_document, build_index, document_hash, document_names, resources_of

ROOT = "/openapi/v3"
PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

# What an Accept header may ask for -> what is sent.
V2_TYPES = {
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
    PROTOBUF: PROTOBUF,
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf": PROTOBUF,
}
V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
V3_TYPES = {
    JSON: JSON,
    "application/*": JSON,
    "*/*": JSON,
    V3_PROTOBUF: V3_PROTOBUF,
    "application/com.github.proto-openapi.spec.v3@v1.0+protobuf": V3_PROTOBUF,
}

IMMUTABLE = ("Cache-Control", "public, immutable")
VARY = ("Vary", "Accept")
GZIP_LEVEL = 2


class OpenAPIEndpoints:
    """OpenAPI of the resources it is given; `version` is the one that the server emulates, such as 1.36."""

    def __init__(self, resources: Iterable[ResourceInfo], model: TypeModel, *, version: str) -> None:
        self._model = model
        self._version = version
        self.update(resources)

    def update(self, resources: Iterable[ResourceInfo]) -> None:
        """Describe these resources from now on."""
        self._resources = list(resources)
        self._names = frozenset(document_names(self._resources))
        self._index = build_index(self._resources, version=self._version)
        self._made = time.time()
        self._bodies: dict[tuple[str, str, bool], asyncio.Future[bytes]] = {}

    def routes(self) -> dict[str, Handler]:
        """The paths that are served and their handlers, to be mounted."""
        documents = {f"{ROOT}/{name}": self.handle_document for name in self._names}
        return {"/openapi/v2": self.handle_v2, ROOT: self.handle_index, **documents}

    async def handle_index(self, request: Request) -> Response:
        """The list of documents."""
        _check_method(request)
        return Response(200, self._index, TEXT)

    async def handle_document(self, request: Request) -> Response:
        """One document of v3. Raises ApiError 404 and 405; 406 has no body, as upstream."""
        _check_method(request)
        name = request.path.strip("/").removeprefix(ROOT[1:] + "/")
        if name not in self._names:
            raise ApiError(404, "NotFound", "the server could not find the requested resource", {})
        media_type = accepted(request.headers.get("accept", ""), V3_TYPES)
        if media_type is None:
            return Response(406, content_type="")
        digest = self._hash(name)
        asked = _query(request, "hash")
        if asked and asked != digest:
            return Response(301, headers=[("Location", f"{ROOT}/{name}?hash={digest}")])
        headers = [VARY, *([IMMUTABLE] if asked else [])]
        return await self._answer(request, name, media_type, headers, digest)

    async def handle_v2(self, request: Request) -> Response:
        """The one document of v2. Raises ApiError 405."""
        _check_method(request)
        media_type = accepted(request.headers.get("accept", ""), V2_TYPES)
        if media_type is None:
            return Response(406, content_type="")
        digest = document_hash(media_type, self._resources, version=self._version)
        return await self._answer(request, "v2", media_type, [VARY], digest)

    async def v2(self) -> bytes:
        """The document of v2 in JSON; the same object as long as it stays the same."""
        return await self._body("v2", JSON, False)

    async def _answer(self, request: Request, name: str, media_type: str, headers: Headers, digest: str) -> Response:
        zipped = "gzip" in request.headers.get("accept-encoding", "")
        if zipped:
            headers.append(("Content-Encoding", "gzip"))
        body = await self._body(name, media_type, zipped)
        # the parts of a compressed document are no parts of the document
        return serve_content(
            request, body, media_type, headers, tag=f'"{digest}"', modified=self._made, ranges=not zipped
        )

    async def _body(self, name: str, media_type: str, zipped: bool) -> bytes:
        """The document's bytes; requests that come while it is built wait for the same."""
        key = (name, media_type, zipped)
        body = self._bodies.get(key)
        if body is None:
            body = self._bodies[key] = asyncio.ensure_future(self._make(name, media_type, zipped))
        try:
            return await asyncio.shield(body)
        except Exception:
            self._bodies.pop(key, None)
            raise

    async def _make(self, name: str, media_type: str, zipped: bool) -> bytes:
        if zipped:
            plain = await self._body(name, media_type, False)
            return await asyncio.to_thread(igzip.compress, plain, GZIP_LEVEL)
        build: Callable[..., bytes] = self._build_v2 if name == "v2" else self._build_v3
        return await asyncio.to_thread(build, name, media_type)

    def _build_v3(self, name: str, media_type: str) -> bytes:
        definitions = Definitions(self._model)
        document = build_document(name, self._resources, self._model, definitions, version=self._version)
        return document if media_type == JSON else encode_v3(orjson.loads(document))

    def _build_v2(self, name: str, media_type: str) -> bytes:
        document = build_v2(self._resources, self._model, version=self._version)
        return orjson.dumps(document) if media_type == JSON else encode(document)

    def _hash(self, name: str) -> str:
        return document_hash(name, resources_of(name, self._resources), version=self._version)


def accepted(accept: str, types: dict[str, str]) -> str | None:
    """The media type to send for an Accept header, or None when it asks for nothing that there is."""
    for clause in (accept or "*/*").split(","):
        found = types.get(clause.split(";")[0].strip())
        if found:
            return found
    return None


def _query(request: Request, name: str) -> str:
    prefix = name + "="
    return next((pair.removeprefix(prefix) for pair in request.raw_query.split("&") if pair.startswith(prefix)), "")


def _check_method(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        message = "the server does not allow this method on the requested resource"
        raise ApiError(405, "MethodNotAllowed", message, {})
