"""Reset fields: what a resource or subresource does not let its clients set, so that nobody comes to own it there.

The rule is that the resource itself resets `status` if there is a status subresource, and that subresource resets
`spec`; the tables hold what upstream's strategies (GetResetFields) say differently.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from apiserver_workers.apimachinery.apply.fields import Fields, difference, field_set
from apiserver_workers.apimachinery.resources import ResourceInfo

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
    ("apiregistration.k8s.io", "apiservices", "status"): METADATA_AND_SPEC,
    ("storagemigration.k8s.io", "storageversionmigrations", "status"): METADATA_AND_SPEC,
    ("certificates.k8s.io", "podcertificaterequests", ""): field_set(),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "status"): METADATA_AND_SPEC,
    ("networking.k8s.io", "servicecidrs", "status"): METADATA_AND_SPEC,
    ("resource.k8s.io", "devicetaintrules", "status"): METADATA_AND_SPEC,
    ("resource.k8s.io", "resourceclaims", "status"): METADATA_AND_SPEC,
    ("resource.k8s.io", "resourcepoolstatusrequests", "status"): METADATA_AND_SPEC,
    ("scheduling.k8s.io", "podgroups", "status"): METADATA_AND_SPEC,
    ("storage.k8s.io", "volumeattachments", "status"): METADATA_AND_SPEC,
    ("certificates.k8s.io", "certificatesigningrequests", ""): field_set(("spec",), ("status",)),
    ("certificates.k8s.io", "certificatesigningrequests", "status"): field_set(("spec",), ("status", "conditions")),
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): field_set(("spec",), ("status", "certificate")),
}


def reset_set(info: ResourceInfo, subresource: str = "") -> Fields:
    """The fields that are reset; empty when nothing is."""
    fields = RESETS.get((info.group, info.resource, subresource))
    if fields is None and "status" in info.subresources:
        fields = {"": STATUS, "status": SPEC}.get(subresource)
    return fields or {}


def reset_fields(info: ResourceInfo, subresource: str = "") -> Reset | None:
    """What takes the fields that are reset out of a set; None when nothing is reset."""
    fields = reset_set(info, subresource)
    return functools.partial(difference, right=fields, recursive=True) if fields else None
