"""Conversion between the versions in which one resource is served.

Versions that differ only in name need none but a new apiVersion; the others are functions by (group, version) from and
to. Every result is normalised to the type that it is converted to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workers.apimachinery.codec.normal import normalise
from workers.apimachinery.conversion import autoscaling, events
from workers.apimachinery.types import TypeModel, model

GroupVersion = tuple[str, str]
Convert = Callable[[dict[str, Any], TypeModel], dict[str, Any]]

_CONVERSIONS: dict[tuple[GroupVersion, GroupVersion, str], Convert] = {
    (("autoscaling", "v1"), ("autoscaling", "v2"), "HorizontalPodAutoscaler"): autoscaling.v1_to_v2,
    (("autoscaling", "v2"), ("autoscaling", "v1"), "HorizontalPodAutoscaler"): autoscaling.v2_to_v1,
    (("", "v1"), ("events.k8s.io", "v1"), "Event"): events.core_to_events,
    (("events.k8s.io", "v1"), ("", "v1"), "Event"): events.events_to_core,
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
    from_group, _, from_version = obj["apiVersion"].rpartition("/")
    function = _CONVERSIONS.get(((from_group, from_version), (group, version), kind))
    converted = function(obj, types) if function else dict(obj)
    converted["apiVersion"] = api_version
    return normalise(types.kind(group, version, kind), converted)
