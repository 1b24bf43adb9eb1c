"""resource.k8s.io: what a claim, a class and a slice may say."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation import validate_create, validate_update

INFOS = {
    info.kind: info for info in builtin_resources().values() if info.group == "resource.k8s.io" and info.version == "v1"
}


def claim(**devices: Any) -> dict[str, Any]:
    return {"metadata": {"name": "c", "namespace": "n", "resourceVersion": "1"}, "spec": {"devices": devices}}


def request(**exactly: Any) -> dict[str, Any]:
    return {"name": "r", "exactly": {"deviceClassName": "class", "allocationMode": "ExactCount", "count": 1, **exactly}}


def device_slice(**spec: Any) -> dict[str, Any]:
    pool = {"name": "pool", "resourceSliceCount": 1}
    return {"metadata": {"name": "s"}, "spec": {"driver": "d.example", "pool": pool, "nodeName": "node", **spec}}


def faults(kind: str, obj: dict[str, Any]) -> list[str]:
    return [str(error) for error in validate_create(INFOS[kind], obj)]


def test_a_claim_for_one_device_is_valid() -> None:
    assert faults("ResourceClaim", claim(requests=[request()])) == []


@pytest.mark.parametrize(
    ("devices", "fault"),
    [
        (
            {"requests": [request(count=0)]},
            "spec.devices.requests[0].exactly.count: Invalid value: 0: must be greater than zero",
        ),
        (
            {"requests": [{"name": "r"}]},
            "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required",
        ),
        (
            {"requests": [request(tolerations=[{"operator": "Maybe"}])]},
            'spec.devices.requests[0].exactly.tolerations[0].operator: Unsupported value: "Maybe":'
            ' supported values: "Equal", "Exists"',
        ),
        (
            {"requests": [request()], "constraints": [{"matchAttribute": "name"}]},
            'spec.devices.constraints[0].matchAttribute: Invalid value: "name":'
            " a fully qualified name must be a domain and a name separated by a slash",
        ),
        (
            {"requests": [request()], "config": [{"opaque": {"driver": "d", "parameters": 1}}]},
            'spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object',
        ),
    ],
)
def test_a_claim_is_told_what_is_wrong(devices: dict[str, Any], fault: str) -> None:
    assert faults("ResourceClaim", claim(**devices)) == [fault]


def test_a_claim_does_not_change_and_is_shown_as_upstreams_type() -> None:
    old, new = claim(requests=[request()]), claim(requests=[request(count=2)])
    (error,) = validate_update(INFOS["ResourceClaim"], new, old)
    assert error.field == "spec"
    assert '"Devices":{"Requests":[{"Name":"r","Exactly":{"DeviceClassName":"class"' in error.body
    assert error.body.endswith(": field is immutable")


def test_devices_that_are_reserved_must_be_allocated() -> None:
    old = claim(requests=[request()])
    new = {**old, "status": {"reservedFor": [{"resource": "pods", "name": "p", "uid": "u"}]}}
    (error,) = validate_update(INFOS["ResourceClaim"], new, old, "status")
    assert str(error) == "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"


def test_a_slice_of_one_node_is_valid() -> None:
    device = {"name": "gpu-0", "attributes": {"model": {"string": "x"}}, "capacity": {"memory": {"value": "1Gi"}}}
    assert faults("ResourceSlice", device_slice(devices=[device])) == []


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (
            {"nodeName": None},
            "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required",
        ),
        (
            {"allNodes": True},
            'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, `allNodes`,'
            " `perDeviceNodeSelection` is required, but multiple fields are set",
        ),
        (
            {"devices": [{"name": "a", "attributes": {"v": {"version": "1"}}}]},
            'spec.devices[0].attributes[v].version: Invalid value: "1": must be a string compatible with semver.org spec 2.0.0',
        ),
        ({"devices": [{"name": "a"}, {"name": "a"}]}, 'spec.devices[1]: Duplicate value: "a"'),
        (
            {"pool": {"name": "a", "resourceSliceCount": 0}},
            "spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero",
        ),
    ],
)
def test_a_slice_is_told_what_is_wrong(spec: dict[str, Any], fault: str) -> None:
    assert faults("ResourceSlice", device_slice(**spec)) == [fault]


def test_a_shared_capacity_has_a_policy_that_fits_it() -> None:
    policy = {"default": "3", "validRange": {"min": "1", "step": "4"}}
    device = {"name": "a", "allowMultipleAllocations": True, "capacity": {"c": {"value": "9", "requestPolicy": policy}}}
    assert faults("ResourceSlice", device_slice(devices=[device])) == [
        'spec.devices[0].capacity[c].requestPolicy.validRange.step: Invalid value: "3":'
        " value is not a multiple of a given step (4) from (1)"
    ]
