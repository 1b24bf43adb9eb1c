"""Request bodies to objects of the endpoint's kind, and the checks that every written object passes first."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.server.endpoints.negotiation import request_media_type
from apiserver_workers.server.endpoints.served import View
from apiserver_workers.server.http.messages import Request

Object = dict[str, Any]
# What a client may not choose when it creates an object.
SYSTEM_FIELDS = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


async def decode_object(request: Request, served: View, field_validation: str) -> Object:
    """The body as a defaulted object of the endpoint's kind. Raises ApiError 400 or 415."""
    media_type = request_media_type(request.headers.get("content-type", ""))
    obj, warnings = await served.kind.decode(request.body, media_type, field_validation)
    if warnings:
        request.warnings += warnings
    obj.setdefault("metadata", {})
    pending = served.kind.default(obj)
    if pending is not None:
        await pending
    return obj


def wipe_system_fields(metadata: Object) -> None:
    for field in SYSTEM_FIELDS:
        metadata.pop(field, None)


def match_name(metadata: Object, name: str) -> None:
    """The object has the name that the path has. Raises ApiError 400."""
    given = metadata.get("name", "")
    if not given:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
