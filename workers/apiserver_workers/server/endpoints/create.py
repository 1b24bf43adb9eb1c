"""POST: a new object."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.result import Result
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.decoding import (
    decode_object,
    drop_duplicate_owners,
    match_namespace,
    wipe_system_fields,
)
from apiserver_workers.server.endpoints.empty_maps import as_sent
from apiserver_workers.server.endpoints.managers import manager_of, track
from apiserver_workers.server.endpoints.options import as_object, write_options
from apiserver_workers.server.endpoints.respond import object_response, output_of
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response

TOO_LARGE = "etcdserver: request is too large"


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
    drop_duplicate_owners(request, metadata)
    obj = await track(served, None, obj, manager_of(request, options))
    try:
        result = await _stored(served, obj, context)
    except ApiError as error:
        raise as_sent(error, request) from None
    return await object_response(request, served, result, output, status=201)


async def _stored(served: Served, obj: dict[str, Any], context: Context) -> Result:
    """Store the object; once more without its managedFields, which can be large, if it is too large for etcd with them."""
    inward = await served.inward(obj)
    try:
        return await served.store.create(inward, context)
    except ApiError as error:
        if error.message != TOO_LARGE or not inward["metadata"].pop("managedFields", None):
            raise
    return await served.store.create(inward, context)
