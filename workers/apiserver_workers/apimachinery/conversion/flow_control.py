"""Priority levels: v1beta1 and v1beta2 have another name for their shares, v1beta3 cannot say that they are zero.

There a zero in an object of v1beta3 counts only with the annotation that conversion adds
(pkg/apis/flowcontrol/v1beta3/conversion.go).
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.types import TypeModel

Object = dict[str, Any]

PRESERVE_ZERO = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"
OLD, NEW = "assuredConcurrencyShares", "nominalConcurrencyShares"


def shares_to_v1(obj: Object, types: TypeModel) -> Object:
    """A PriorityLevelConfiguration of v1beta1 or v1beta2 in v1."""
    return _renamed(obj, OLD, NEW)


def shares_from_v1(obj: Object, types: TypeModel) -> Object:
    """A PriorityLevelConfiguration of v1 in v1beta1 or v1beta2."""
    return _renamed(obj, NEW, OLD)


def zero_to_v1(obj: Object, types: TypeModel) -> Object:
    """A PriorityLevelConfiguration of v1beta3 in v1."""
    metadata = obj.get("metadata") or {}
    annotations = dict(metadata.get("annotations") or {})
    if annotations.pop(PRESERVE_ZERO, None) is None:
        return dict(obj)
    metadata = {name: value for name, value in metadata.items() if name != "annotations"}
    return {**obj, "metadata": {**metadata, "annotations": annotations} if annotations else metadata}


def zero_from_v1(obj: Object, types: TypeModel) -> Object:
    """A PriorityLevelConfiguration of v1 in v1beta3."""
    limited = (obj.get("spec") or {}).get("limited") or {}
    if limited.get(NEW) != 0:
        return dict(obj)
    metadata = obj["metadata"]
    return {**obj, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), PRESERVE_ZERO: ""}}}


def _renamed(obj: Object, old: str, new: str) -> Object:
    spec = obj.get("spec") or {}
    limited = spec.get("limited")
    if not limited or old not in limited:
        return dict(obj)
    renamed = {new if name == old else name: value for name, value in limited.items()}
    return {**obj, "spec": {**spec, "limited": renamed}}
