"""Answers: objects and lists as bytes, in the media type and form that the request asks for."""

from __future__ import annotations

from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.types import TypeModel, meta_model
from apiserver_workers.registry.list import Page
from apiserver_workers.server.endpoints import transform
from apiserver_workers.server.endpoints.negotiation import (
    JSON,
    PLAIN,
    TABLE,
    Output,
    negotiate,
    status_media_type,
    wants_pretty,
)
from apiserver_workers.server.endpoints.query import text
from apiserver_workers.server.endpoints.serialize import serialize
from apiserver_workers.server.endpoints.served import Readable, Served, View
from apiserver_workers.server.http.messages import Request, Response

Object = dict[str, Any]
NEWLINE = b"\n"


def output_of(request: Request, *, listing: bool = False, tables: bool = True) -> Output:
    """What the request's Accept header asks for; not `tables` for kinds without one. Raises ApiError 406."""
    return negotiate(request.headers.get("accept", ""), listing=listing, tables=tables)


def is_pretty(request: Request) -> bool:
    pretty = text(request.query, "pretty") if "pretty" in request.raw_query else ""
    return wants_pretty(pretty, request.headers.get("user-agent", ""))


async def object_response(
    request: Request, served: Served, result: Readable, output: Output, *, status: int = 200
) -> Response:
    """The answer with one stored object. Raises ApiError 406."""
    if not output.transform:
        if output.media_type == JSON and not is_pretty(request):
            return Response(status, [await served.body(result), NEWLINE])
        obj = await served.outward(result.obj)
        return plain_response(request, obj, output, served.kind.model, status=status)
    return transformed_response(request, served, await served.outward(result.obj), output, status=status)


def plain_response(request: Request, obj: Object, output: Output, model: TypeModel, *, status: int = 200) -> Response:
    """The answer with an object as it is, such as a Status, whatever form was asked for; the model has its kind."""
    body = serialize(obj, output.media_type, model, pretty=output.media_type == JSON and is_pretty(request))
    return Response(status, body, output.media_type)


def transformed_response(request: Request, served: View, obj: Object, output: Output, *, status: int = 200) -> Response:
    """The answer with one object of the served version."""
    if output.transform:
        transform.check_single(served, output)
        obj = _transformed(request, served, obj, output)
    return plain_response(request, obj, output, served.kind.model, status=status)


def _transformed(request: Request, served: View, obj: Object, output: Output) -> Object:
    if output.transform != TABLE:
        return transform.partial(obj, output.version)
    metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
    include = transform.include_object(text(request.query, "includeObject"))
    return transform.table(served, [obj], metadata, output.version, include)


async def list_response(request: Request, served: Served, page: Page, output: Output) -> Response:
    """The answer with a page of stored objects. Raises ApiError 406."""
    transform.check_list(served, output)
    if output == PLAIN and served.as_stored and not is_pretty(request):
        return Response(200, _list_body(served, page))
    cache = served.store.cache
    entries = cache.list(page.prefix) if page.prefix else page.entries
    objects = await outward_all(served, [entry.obj for entry in entries])
    return objects_response(request, served, objects, list_metadata(page), output)


async def outward_all(served: Served, objects: list[Object]) -> list[Object]:
    """Stored objects in the served version, converted together."""
    kind = served.kind
    if kind.as_stored or kind.conversion is None:
        return objects
    return await kind.conversion.convert(objects, kind.info.group_version)


def objects_response(request: Request, view: View, objects: list[Object], metadata: Object, output: Output) -> Response:
    """The answer with a list of these objects of the served version."""
    return plain_response(request, _list_object(request, view, objects, metadata, output), output, view.kind.model)


def _list_object(request: Request, served: View, objects: list[Object], metadata: Object, output: Output) -> Object:
    if output.transform == TABLE:
        include = transform.include_object(text(request.query, "includeObject"))
        return transform.table(served, objects, metadata, output.version, include)
    if output.transform:
        return transform.partial_list(objects, metadata, output.version)
    info = served.info
    items = objects if served.kind.full_items else list(map(_without_kind, objects))
    return {"kind": info.list_kind, "apiVersion": info.group_version, "metadata": metadata, "items": items}


def _without_kind(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in ("kind", "apiVersion")}


def list_metadata(page: Page) -> Object:
    metadata: Object = {"resourceVersion": str(page.revision)}
    if page.continue_token:
        metadata["continue"] = page.continue_token
    if page.remaining:
        metadata["remainingItemCount"] = page.remaining
    return metadata


def _list_body(served: Served, page: Page) -> list[bytes]:
    """A list as JSON, from bytes that the cache holds joined."""
    head = b"%b%d" % (served.list_head, page.revision)
    if page.continue_token:
        head += b'","continue":"' + page.continue_token.encode()
    head += b'","remainingItemCount":%d},"items":[' % page.remaining if page.remaining else b'"},"items":['
    if page.prefix:
        return [head, *served.store.cache.list_body(page.prefix), b"]}\n"]
    return [head, b",".join(map(served.item, page.entries)), b"]}\n"]


def error_response(request: Request, error: ApiError) -> Response:
    """The Status of an error in the media type that the request accepts; JSON with indentation where it accepts none that
    a Status has (responsewriters.ErrorNegotiated)."""
    media_type = status_media_type(request.headers.get("accept", ""))
    if not media_type:
        return Response(error.code, orjson.dumps(error.status, option=orjson.OPT_INDENT_2), JSON, error.headers)
    body = serialize(error.status, media_type, meta_model(), pretty=media_type == JSON and is_pretty(request))
    return Response(error.code, body, media_type, error.headers)
