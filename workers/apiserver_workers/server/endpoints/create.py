"""POST: a new object."""

from __future__ import annotations

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.metadata import drop_duplicate_owners, match_namespace
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.decoding import decode_object, wipe_system_fields
from apiserver_workers.server.endpoints.empty_maps import as_sent
from apiserver_workers.server.endpoints.managers import manager_of, track
from apiserver_workers.server.endpoints.options import as_object, write_options
from apiserver_workers.server.endpoints.respond import object_response, output_of
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response


async def create(request: Request, served: Served) -> Response:
    """The created object. Raises ApiError."""
    output = output_of(request)
    options = write_options(request.raw_query, "CreateOptions")
    obj = await decode_object(request, served, options.field_validation)
    context = context_of(request, served, as_object("CreateOptions", options), dry_run=options.dry_run)
    metadata = obj["metadata"]
    context.name = metadata.get("name", "")
    wipe_system_fields(metadata)
    match_namespace(metadata, context.namespace)
    drop_duplicate_owners(metadata, request.warnings)
    obj = await track(served, None, obj, manager_of(request, options))
    try:
        result = await served.store.create(await served.inward(obj), context)
    except ApiError as error:
        raise as_sent(error, request) from None
    return await object_response(request, served, result, output, status=201)
