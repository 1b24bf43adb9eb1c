"""Conversion between the versions in which one resource is served.

One version of each kind is the hub, the one that is stored. Versions that differ only in name need nothing but a new
apiVersion; the others have a function to the hub and one from it. Every result is normalised to the type that it is
converted to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.codec.normal import normalise
from apiserver_workers.apimachinery.conversion import autoscaling, events, flow_control, resource
from apiserver_workers.apimachinery.types import TypeModel, model

Convert = Callable[[dict[str, Any], TypeModel], dict[str, Any]]

_FLOW_CONTROL, _DRA = "flowcontrol.apiserver.k8s.io", "resource.k8s.io"

# apiVersion and kind -> how to get from there to the hub, and from the hub to there.
_HUBS: dict[tuple[str, str], tuple[Convert, Convert]] = {
    ("autoscaling/v1", "HorizontalPodAutoscaler"): (autoscaling.v1_to_v2, autoscaling.v2_to_v1),
    ("events.k8s.io/v1", "Event"): (events.events_to_core, events.core_to_events),
    **{
        (f"{_FLOW_CONTROL}/{version}", "PriorityLevelConfiguration"): functions
        for version, functions in {
            "v1beta1": (flow_control.shares_to_v1, flow_control.shares_from_v1),
            "v1beta2": (flow_control.shares_to_v1, flow_control.shares_from_v1),
            "v1beta3": (flow_control.zero_to_v1, flow_control.zero_from_v1),
        }.items()
    },
    **{
        (f"{_DRA}/{version}", kind): functions
        for version in ("v1beta1", "v1alpha3")
        for kind, functions in {
            "ResourceClaim": (resource.claim_to_v1, resource.claim_from_v1),
            "ResourceClaimTemplate": (resource.template_to_v1, resource.template_from_v1),
            "ResourceSlice": (resource.slice_to_v1, resource.slice_from_v1),
        }.items()
    },
    (f"{_DRA}/v1alpha3", "ResourceSlice"): (resource.slice_to_v1, resource.slice_from_v1_to_alpha),
}


def convert(obj: dict[str, Any], group: str, version: str, *, types: TypeModel | None = None) -> dict[str, Any]:
    """The object in another version; the object itself when it is in that version already. The input is not changed.

    Raises KeyError when that version has no such kind.
    """
    api_version = f"{group}/{version}" if group else version
    if obj["apiVersion"] == api_version:
        return obj
    types = types or model()
    kind = obj["kind"]
    inward, outward = _HUBS.get((obj["apiVersion"], kind)), _HUBS.get((api_version, kind))
    converted = inward[0](obj, types) if inward else dict(obj)
    if outward:
        converted = outward[1](converted, types)
    converted["apiVersion"] = api_version
    return normalise(types.kind(group, version, kind), converted)
