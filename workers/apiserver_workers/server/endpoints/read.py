"""GET and LIST."""

from __future__ import annotations

from apiserver_workers.server.endpoints.options import list_options
from apiserver_workers.server.endpoints.query import text
from apiserver_workers.server.endpoints.respond import list_response, object_response, output_of
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.endpoints.watch import watch_response
from apiserver_workers.server.http.messages import Request, Response


async def get(request: Request, served: Served) -> Response:
    """One object. Raises ApiError."""
    info = request.info
    assert info is not None
    output = output_of(request)
    revision = text(request.query, "resourceVersion") if request.raw_query else ""
    entry = await served.store.get(info.namespace, info.name, revision)
    return await object_response(request, served, entry, output)


async def list_(request: Request, served: Served) -> Response:
    """A collection, or a watch of it. Raises ApiError."""
    info = request.info
    assert info is not None
    options = list_options(request.raw_query, served.kind.labels)
    output = output_of(request, listing=True)
    if options.watch:
        return await watch_response(request, served, options, output)
    return await list_response(request, served, await served.store.list(info.namespace, options), output)


async def watch(request: Request, served: Served) -> Response:
    """A watch of a collection or, by the old paths, of one object. Raises ApiError."""
    info = request.info
    assert info is not None
    # The name that a field selector asks for is in the selector already.
    name = info.name if len(info.parts) > 1 else ""
    options = list_options(request.raw_query, served.kind.labels, name, watch=True)
    return await watch_response(request, served, options, output_of(request, listing=True))
