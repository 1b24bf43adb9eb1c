"""Dynamic resource allocation: v1beta1 (and v1alpha3 before it) nest and flatten other structs than v1 and v1beta2 do.

There a device's properties lie in `basic`, and a request that asks for exactly one kind of device has its fields itself
instead of in `exactly` (pkg/apis/resource/v1beta1/conversion.go).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.types import TypeModel

Object = dict[str, Any]
Change = Callable[[Object], Object]

# The fields of `exactly`.
_EXACT = (
    "deviceClassName", "selectors", "allocationMode", "count", "adminAccess", "tolerations", "capacity",
    "derivedAttributes",
)  # fmt: skip


def claim_to_v1(obj: Object, types: TypeModel) -> Object:
    """A ResourceClaim of v1beta1 in v1."""
    return _in_requests(obj, ("spec",), _nested)


def claim_from_v1(obj: Object, types: TypeModel) -> Object:
    """A ResourceClaim of v1 in v1beta1."""
    return _in_requests(obj, ("spec",), _flat)


def template_to_v1(obj: Object, types: TypeModel) -> Object:
    """A ResourceClaimTemplate of v1beta1 in v1."""
    return _in_requests(obj, ("spec", "spec"), _nested)


def template_from_v1(obj: Object, types: TypeModel) -> Object:
    """A ResourceClaimTemplate of v1 in v1beta1."""
    return _in_requests(obj, ("spec", "spec"), _flat)


def slice_to_v1(obj: Object, types: TypeModel) -> Object:
    """A ResourceSlice of v1beta1 in v1."""
    return _in_list(obj, ("spec",), "devices", _plain_device)


def slice_from_v1(obj: Object, types: TypeModel) -> Object:
    """A ResourceSlice of v1 in v1beta1."""
    return _in_list(obj, ("spec",), "devices", _basic_device)


def slice_from_v1_to_alpha(obj: Object, types: TypeModel) -> Object:
    """A ResourceSlice of v1 in v1alpha3, whose capacities were quantities until 1.32."""
    capacity = types.type("io.k8s.api.resource.v1alpha3.BasicDevice").fields["capacity"].element
    bare = capacity is not None and capacity.form == "quantity"
    return _in_list(obj, ("spec",), "devices", _bare_device if bare else _basic_device)


def _nested(request: Object) -> Object:
    exact = {name: request[name] for name in _EXACT if name in request}
    rest = {name: value for name, value in request.items() if name not in _EXACT}
    return {**rest, "exactly": exact} if any(exact.values()) else rest


def _flat(request: Object) -> Object:
    rest = {name: value for name, value in request.items() if name != "exactly"}
    return {**rest, **(request.get("exactly") or {})}


def _plain_device(device: Object) -> Object:
    rest = {name: value for name, value in device.items() if name != "basic"}
    basic = dict(device.get("basic") or {})
    if "capacity" in basic:
        basic["capacity"] = {
            name: value if isinstance(value, dict) else {"value": value} for name, value in basic["capacity"].items()
        }
    return {**rest, **basic}


def _basic_device(device: Object) -> Object:
    return {"name": device["name"], "basic": {name: value for name, value in device.items() if name != "name"}}


def _bare_device(device: Object) -> Object:
    found = _basic_device(device)
    if "capacity" in found["basic"]:
        capacity = found["basic"]["capacity"]
        found["basic"]["capacity"] = {name: value["value"] for name, value in capacity.items()}
    return found


def _in_requests(obj: Object, path: tuple[str, ...], change: Change) -> Object:
    return _in_list(obj, (*path, "devices"), "requests", change)


def _in_list(obj: Object, path: tuple[str, ...], name: str, change: Change) -> Object:
    """A copy of the object in which every element of the list at the path is changed."""
    if path:
        inner = obj.get(path[0])
        return {**obj, path[0]: _in_list(inner, path[1:], name, change)} if isinstance(inner, dict) else dict(obj)
    items = obj.get(name)
    return {**obj, name: [change(item) for item in items]} if items else dict(obj)
