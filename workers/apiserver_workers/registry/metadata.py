"""What every written object's metadata must agree with: the namespace of the request, and each owner once."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import bad_request

Object = dict[str, Any]

DUPLICATE_OWNERS = (
    ".metadata.ownerReferences contains duplicate entries{}; API server dedups owner references in 1.20+, and may reject "
    "such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
)
# Owners are looked at again when mutating admission has changed the object.
AFTER_ADMISSION = " after mutating admission happens"
OTHER_NAMESPACE = "the namespace of the provided object does not match the namespace sent on the request"


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


def drop_duplicate_owners(metadata: Object, warnings: list[str], *, when: str = "") -> None:
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
        warnings.append(DUPLICATE_OWNERS.format(when) + ", ".join(duplicates))
