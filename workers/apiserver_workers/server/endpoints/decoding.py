"""Request bodies to objects of the endpoint's kind, and the checks that every written object passes first."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.server.endpoints.negotiation import request_media_type
from apiserver_workers.server.endpoints.served import View
from apiserver_workers.server.http.messages import Request

Object = dict[str, Any]
DUPLICATE_OWNERS = (
    ".metadata.ownerReferences contains duplicate entries{}; API server dedups owner references in 1.20+, and may reject "
    "such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
)
OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"
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


def match_namespace(metadata: Object, namespace: str) -> None:
    """The object goes where the path says; "" for what is in no namespace. Raises ApiError 400."""
    given = metadata.get("namespace", "")
    if given == namespace:
        return
    if not namespace:
        del metadata["namespace"]
    elif not given:
        metadata["namespace"] = namespace
    else:
        raise bad_request(OTHER_NAMESPACE)


def match_name(metadata: Object, name: str) -> None:
    """The object has the name that the path has. Raises ApiError 400."""
    given = metadata.get("name", "")
    if not given:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def drop_duplicate_owners(request: Request, metadata: Object, *, when: str = "") -> None:
    """Owner references that stand there twice are kept once, with a warning, which says `when` they were found."""
    owners = metadata.get("ownerReferences")
    if not owners or len(owners) < 2:
        return
    kept: dict[frozenset[tuple[str, Any]], Object] = {}
    duplicates: list[str] = []
    for owner in owners:
        key = frozenset(owner.items())
        if key in kept:
            duplicates.append(owner.get("uid", ""))
        else:
            kept[key] = owner
    if duplicates:
        metadata["ownerReferences"] = list(kept.values())
        request.warnings.append(DUPLICATE_OWNERS.format(when) + ", ".join(duplicates))
