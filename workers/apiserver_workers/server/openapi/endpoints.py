"""The handlers of /openapi/v2 and /openapi/v3, over documents that change with what is served.

The front describes all built-in kinds; servers behind it describe what they have besides, and what they say is merged.
The index of v3 names every document with a hash of its content, so that clients may keep what they have read for good.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.apimachinery.types import TypeModel
from apiserver_workers.server.http.conditional import Headers, serve_content
from apiserver_workers.server.http.messages import JSON, TEXT, Handler, Request, Response
from apiserver_workers.server.openapi.definitions import Definitions
from apiserver_workers.server.openapi.documents import OpenAPIDocument
from apiserver_workers.server.openapi.merging import merged
from apiserver_workers.server.openapi.operations import FIXED
from apiserver_workers.server.openapi.protobuf import encode
from apiserver_workers.server.openapi.protobuf_v3 import encode as encode_v3
from apiserver_workers.server.openapi.sources import OpenAPISource
from apiserver_workers.server.openapi.v2 import build_v2
from apiserver_workers.server.openapi.v3 import build_document, build_index, document_names

T = TypeVar("T")

ROOT, V2 = "/openapi/v3", "/openapi/v2"
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


class OpenAPIEndpoints:
    """OpenAPI of the kinds that `kinds` returns at each request, and of what `sources` describe besides.

    `version` is the one that the server emulates, such as 1.36; `names` are the documents of v3 that this server has besides those of kinds.
    """

    def __init__(
        self,
        kinds: Callable[[], Sequence[ServedKind]],
        model: TypeModel,
        *,
        version: str,
        names: Iterable[str] = FIXED,
        sources: Sequence[OpenAPISource] = (),
    ) -> None:
        self._kinds = kinds
        self._model = model
        self._version = version
        self._names = tuple(names)
        self._sources = sources
        self._made_of: Sequence[ServedKind] | None = None
        self._described: dict[str, tuple[ServedKind, ...]] = {}
        self._documents: dict[str, OpenAPIDocument] = {}
        self._v2_of: tuple[Any, ...] = ()
        self._v2 = OpenAPIDocument(bytes, bytes)
        self.prefixes: dict[str, Handler] = {ROOT: self.handle_v3}
        self.exact: dict[str, Handler] = {V2: self.handle_v2}

    async def handle_v3(self, request: Request) -> Response:
        """The index of v3, or one of its documents. Raises ApiError 404 and 405."""
        _check_method(request)
        name = request.path.removeprefix(ROOT).strip("/")
        if not name:
            return Response(200, build_index(await self._urls()), TEXT)
        if name in self._own():
            return await answer_v3(request, name, self._own()[name])
        for source in self._sources:
            if name in await source.v3():
                return await source.handle(request)
        raise ApiError(404, "NotFound", "the server could not find the requested resource", {})

    async def handle_v2(self, request: Request) -> Response:
        """The one document of v2. Raises ApiError 405."""
        _check_method(request)
        media_type = accepted(request.headers.get("accept", ""), V2_TYPES)
        if media_type is None:
            return Response(406, content_type="")
        document = await self._whole_v2()
        digest = await document.digest()
        if media_type != JSON:  # each form of v2 has a tag of its own
            digest = hashlib.sha512(f"{digest} {media_type}".encode()).hexdigest().upper()
        return await _answer(request, document, media_type, digest, [VARY])

    async def v2(self) -> bytes:
        """The document of v2 in JSON; the same object as long as it stays the same."""
        return await (await self._whole_v2()).body(JSON)

    async def paths(self) -> list[str]:
        """All that is served, as / lists it."""
        others = [name for source in self._sources for name in await _known(source.v3(), {})]
        return [ROOT, V2, *(f"{ROOT}/{name}" for name in {*self._own(), *others})]

    async def _urls(self) -> dict[str, str]:
        """Where each document is; what this server describes itself is not another's."""
        urls: dict[str, str] = {}
        for source in self._sources:
            urls = {**await _known(source.v3(), {}), **urls}
        for name, document in self._own().items():
            urls[name] = f"{ROOT}/{name}?hash={await document.digest()}"
        return urls

    def _own(self) -> dict[str, OpenAPIDocument]:
        """The documents of v3 of what is served now; one that describes the same as before stays."""
        kinds = self._kinds()
        if kinds != self._made_of:
            described = dict.fromkeys(self._names, ()) | document_names(kinds)
            self._documents = {
                name: self._documents[name] if self._described.get(name) == of else self._document(name, of)
                for name, of in sorted(described.items())
            }
            self._made_of, self._described = kinds, described
        return self._documents

    def _document(self, name: str, kinds: tuple[ServedKind, ...]) -> OpenAPIDocument:
        def build() -> bytes:
            return build_document(name, kinds, Definitions(self._model, kinds), version=self._version)

        return OpenAPIDocument(build, encoded_v3)

    async def _whole_v2(self) -> OpenAPIDocument:
        """The document of v2 of what is served now."""
        kinds = self._kinds()
        others = [one for source in self._sources for one in await _known(source.v2(), [])]
        made_of = (kinds, *(tag for tag, _ in others))
        if made_of != self._v2_of:
            self._v2_of = made_of
            self._v2 = OpenAPIDocument(functools.partial(self._build_v2, kinds, [one for _, one in others]), _encode_v2)
        return self._v2

    def _build_v2(self, kinds: Sequence[ServedKind], others: Sequence[Mapping[str, Any]]) -> bytes:
        definitions = Definitions(self._model, kinds)
        own = build_v2(kinds, definitions, version=self._version, names=self._names)
        return orjson.dumps(merged([own, *others]) if others else own)


async def answer_v3(request: Request, name: str, document: OpenAPIDocument) -> Response:
    """The document of v3 of that name, in the media type that the request accepts."""
    media_type = accepted(request.headers.get("accept", ""), V3_TYPES)
    if media_type is None:
        return Response(406, content_type="")
    digest = await document.digest()
    asked = request.query.get("hash", [""])[0]
    if asked and asked != digest:
        return Response(301, headers=[("Location", f"{ROOT}/{name}?hash={digest}")])
    return await _answer(request, document, media_type, digest, [VARY, *([IMMUTABLE] if asked else [])])


async def _known(reading: Awaitable[T], otherwise: T) -> T:
    """What another server tells; `otherwise` while it does not answer."""
    try:
        return await reading
    except ApiError:
        return otherwise


def encoded_v3(document: bytes) -> bytes:
    """A document of v3 in protobuf."""
    return encode_v3(orjson.loads(document))


def _encode_v2(document: bytes) -> bytes:
    return encode(orjson.loads(document))


async def _answer(
    request: Request, document: OpenAPIDocument, media_type: str, digest: str, headers: Headers
) -> Response:
    zipped = "gzip" in request.headers.get("accept-encoding", "")
    if zipped:
        headers.append(("Content-Encoding", "gzip"))
    body = await document.body(media_type, zipped=zipped)
    # the parts of a compressed document are no parts of the document
    return serve_content(
        request, body, media_type, headers, tag=f'"{digest}"', modified=document.made, ranges=not zipped
    )


def accepted(accept: str, types: dict[str, str]) -> str | None:
    """The media type to send for an Accept header, or None when it asks for nothing that there is."""
    for clause in (accept or "*/*").split(","):
        found = types.get(clause.split(";")[0].strip())
        if found:
            return found
    return None


def _check_method(request: Request) -> None:
    if request.method not in ("GET", "HEAD"):
        message = "the server does not allow this method on the requested resource"
        raise ApiError(405, "MethodNotAllowed", message, {})
