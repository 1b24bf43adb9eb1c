"""Answers: objects and lists as bytes, in the media type and form that the request asks for."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.list import Page
from apiserver_workers.server.endpoints import transform
from apiserver_workers.server.endpoints.negotiation import JSON, TABLE, Output, negotiate, wants_pretty
from apiserver_workers.server.endpoints.query import parse_query, text
from apiserver_workers.server.endpoints.serialize import serialize
from apiserver_workers.server.endpoints.served import Readable, Served, View
from apiserver_workers.server.http.messages import Request, Response

Object = dict[str, Any]
NEWLINE = b"\n"


def output_of(request: Request, *, listing: bool = False, tables: bool = True) -> Output:
    """What the request's Accept header asks for; not `tables` for kinds without one. Raises ApiError 406."""
    return negotiate(request.headers.get("accept", ""), listing=listing, tables=tables)


def is_pretty(request: Request) -> bool:
    pretty = text(parse_query(request.raw_query), "pretty") if "pretty" in request.raw_query else ""
    return wants_pretty(pretty, request.headers.get("user-agent", ""))


def object_response(
    request: Request, served: Served, result: Readable, output: Output, *, status: int = 200
) -> Response:
    """The answer with one stored object. Raises ApiError 406."""
    if not output.transform:
        if output.media_type == JSON and not is_pretty(request):
            return Response(status, [served.body(result), NEWLINE])
        return plain_response(request, served.outward(result.obj), output, status=status)
    return transformed_response(request, served, served.outward(result.obj), output, status=status)


def plain_response(request: Request, obj: Object, output: Output, *, status: int = 200) -> Response:
    """The answer with an object as it is, such as a Status, whatever form was asked for."""
    body = serialize(obj, output.media_type, pretty=output.media_type == JSON and is_pretty(request))
    return Response(status, body, output.media_type)


def transformed_response(
    request: Request, served: View, obj: Object, output: Output, *, status: int = 200, kind: str = ""
) -> Response:
    """The answer with one object of the served version (or of `kind`, as a subresource has it)."""
    if output.transform:
        transform.check_single(served, output)
        obj = _transformed(request, served, obj, output, kind)
    return plain_response(request, obj, output, status=status)


def _transformed(request: Request, served: View, obj: Object, output: Output, kind: str) -> Object:
    if output.transform != TABLE:
        return transform.partial(obj, output.version)
    metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
    include = transform.include_object(text(parse_query(request.raw_query), "includeObject"))
    return transform.table(served, [obj], metadata, output.version, include, kind=kind)


def list_response(request: Request, served: Served, page: Page, output: Output) -> Response:
    """The answer with a page of stored objects. Raises ApiError 406."""
    transform.check_list(served, output)
    if output == Output() and not served.converted and not is_pretty(request):
        return Response(200, _list_body(served, page))
    cache = served.store.cache
    entries = cache.list(page.prefix) if page.prefix else page.entries
    objects = [served.outward(entry.obj) for entry in entries]
    return objects_response(request, served, objects, list_metadata(page), output)


def objects_response(request: Request, view: View, objects: list[Object], metadata: Object, output: Output) -> Response:
    """The answer with a list of these objects of the served version."""
    return plain_response(request, _list_object(request, view, objects, metadata, output), output)


def _list_object(request: Request, served: View, objects: list[Object], metadata: Object, output: Output) -> Object:
    if output.transform == TABLE:
        include = transform.include_object(text(parse_query(request.raw_query), "includeObject"))
        return transform.table(served, objects, metadata, output.version, include)
    if output.transform:
        return transform.partial_list(objects, metadata, output.version)
    items = [{name: value for name, value in obj.items() if name not in ("kind", "apiVersion")} for obj in objects]
    info = served.info
    return {"kind": info.list_kind, "apiVersion": info.group_version, "metadata": metadata, "items": items}


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
    return [head, b",".join([entry.item for entry in page.entries]), b"]}\n"]


def error_response(request: Request, error: ApiError) -> Response:
    """The Status of an error in the media type that the request accepts, JSON where it accepts nothing we have."""
    try:
        media_type = output_of(request).media_type
    except ApiError:
        media_type = JSON
    body = serialize(error.status, media_type, pretty=media_type == JSON and is_pretty(request))
    return Response(error.code, body, media_type, error.headers)
