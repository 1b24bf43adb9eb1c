"""DELETE of one object and of a collection."""

from __future__ import annotations

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.codec.decoder import read_body, summary
from apiserver_workers.apimachinery.errors import ApiError, bad_request
from apiserver_workers.apimachinery.types import meta_model
from apiserver_workers.registry.delete import Deleted
from apiserver_workers.registry.options import DeleteOptions
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.negotiation import request_media_type
from apiserver_workers.server.endpoints.options import as_object, delete_options, delete_options_of, list_options
from apiserver_workers.server.endpoints.respond import list_response, object_response, output_of, plain_response
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response

KIND = "DeleteOptions"
EXPECTED = codec.GroupVersionKind("meta.k8s.io", "v1", KIND)
SCHEME = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"
UNRECOGNIZED = f"the object provided is unrecognized (must be of type {KIND}): "


async def delete(request: Request, served: Served) -> Response:
    """One object: it is gone, or it is marked and waits. Raises ApiError."""
    output = output_of(request)
    options = _options(request, served)
    context = context_of(request, served, as_object(KIND, options), dry_run=bool(options.dry_run))
    result, gone = await served.store.delete(context, options)
    if isinstance(result, Deleted):
        return plain_response(request, result.obj, output, served.kind.model)
    status = 202 if not gone and options.orphan_dependents is False else 200
    return await object_response(request, served, result, output, status=status)


async def delete_collection(request: Request, served: Served) -> Response:
    """All objects that the options select; the answer lists them. Raises ApiError."""
    output = output_of(request)
    selection = list_options(request.raw_query, served.kind.labels)
    options = _options(request, served)
    context = context_of(request, served, as_object(KIND, options), dry_run=bool(options.dry_run))
    page = await served.store.delete_collection(context, options, selection)
    return await list_response(request, served, page, output)


def _options(request: Request, served: Served) -> DeleteOptions:
    """DeleteOptions of the body if there is one, else of the query. Raises ApiError."""
    body = request.body
    if not body:
        return delete_options(request.raw_query)
    media_type = request_media_type(request.headers.get("content-type", ""))
    try:
        gvk = read_body(body, media_type, EXPECTED).gvk
        if gvk.kind != KIND:
            raise bad_request(
                f'no kind "{gvk.kind}" is registered for version "{gvk.api_version}" in scheme "{SCHEME}"'
            )
        # Every group has DeleteOptions of its own, and they are all the same.
        obj, _ = codec.decode(
            body, media_type, type=meta_model().kind(*EXPECTED), default_gvk=gvk, field_validation="Ignore"
        )
    except ApiError as error:
        error.message = error.message.removeprefix(UNRECOGNIZED).removesuffix(f" ({summary(body)})")
        raise
    return delete_options_of(obj)
