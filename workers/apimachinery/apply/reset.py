"""Reset fields: what a resource or subresource does not let its clients set, so that nobody comes to own it there.

The rule is that the resource itself resets `status` if there is a status subresource, and that subresource resets
`spec`; the tables hold what upstream's strategies (GetResetFields) say differently.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from workers.apimachinery.apply.fields import MEMBER, Fields, difference, field_set
from workers.apimachinery.resources import ResourceInfo

Reset = Callable[[Fields | None], Fields | None]

STATUS = field_set(("status",))
SPEC = field_set(("spec",))
METADATA_AND_SPEC = field_set(("metadata",), ("spec",))

# (group, resource, subresource) -> the fields that are reset there.
RESETS: dict[tuple[str, str, str], Fields] = {
    ("apps", "deployments", "status"): field_set(("spec",), ("metadata", "labels")),
    ("", "pods", "status"): field_set(("spec",), ("metadata", "deletionTimestamp"), ("metadata", "ownerReferences")),
    ("flowcontrol.apiserver.k8s.io", "flowschemas", "status"): METADATA_AND_SPEC,
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", "status"): METADATA_AND_SPEC,
    ("internal.apiserver.k8s.io", "storageversions", "status"): METADATA_AND_SPEC,
    ("apiextensions.k8s.io", "customresourcedefinitions", "status"): METADATA_AND_SPEC,
    ("resource.k8s.io", "devicetaintrules", "status"): METADATA_AND_SPEC,
    ("storage.k8s.io", "volumeattachments", "status"): METADATA_AND_SPEC,
    ("certificates.k8s.io", "certificatesigningrequests", ""): field_set(("spec",), ("status",)),
    ("certificates.k8s.io", "certificatesigningrequests", "status"): field_set(("spec",), ("status", "conditions")),
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): field_set(("spec",), ("status", "certificate")),
}

# Subresources that reset everything but one part of the object: the path to it, None standing for any element.
KEEPS: dict[tuple[str, str, str], tuple[tuple[str | None, ...], ...]] = {
    ("", "pods", "ephemeralcontainers"): (("f:spec", "f:ephemeralContainers"),),
    ("", "pods", "resize"): (
        ("f:spec", "f:containers", None, "f:resources"),
        ("f:spec", "f:containers", None, "f:resizePolicy"),
    ),
}


@functools.lru_cache(maxsize=4096)
def reset_fields(info: ResourceInfo, subresource: str = "") -> Reset | None:
    """What takes the fields that are reset out of a set; None when nothing is reset."""
    place = (info.group, info.resource, subresource)
    if place in KEEPS:
        return functools.partial(only, patterns=KEEPS[place])
    fields = RESETS.get(place)
    if fields is None and "status" in info.subresources:
        fields = {"": STATUS, "status": SPEC}.get(subresource)
    return functools.partial(difference, right=fields, recursive=True) if fields else None


def only(fields: Fields | None, patterns: tuple[tuple[str | None, ...], ...]) -> Fields | None:
    """The members of the set that lie on or below one of the paths, or on the way to one."""
    kept: Fields = {}
    for name, below in (fields or {}).items():
        if name == ".":
            kept[name] = below
            continue
        rests = tuple(pattern[1:] for pattern in patterns if pattern[0] in (None, name))
        if not rests:
            continue
        if () in rests:
            kept[name] = below
        elif below:
            inner = only(below, rests)
            if inner:
                kept[name] = inner if set(inner) != {"."} else MEMBER
        else:
            kept[name] = below
    return kept or None
