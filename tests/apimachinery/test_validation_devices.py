"""resource.k8s.io: what a claim, a class and a slice may say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.devices import NOT_NORMAL, validate_uid
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

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


def shared_device(**device: Any) -> dict[str, Any]:
    return device_slice(devices=[{"name": "dev", "allowMultipleAllocations": True, **device}])


def policy(**rules: Any) -> dict[str, Any]:
    return {"capacity": {"c": {"value": "10", "requestPolicy": rules}}}


POLICY = "capacity[c].requestPolicy"


@pytest.mark.parametrize(
    ("device", "found"),
    [
        ({"attributes": {"a": {"ints": [1, 2]}, "b": {"strings": ["x"]}, "c": {"bools": [True]}}}, []),
        (
            {"attributes": {"a": {"int": 1, "versions": ["1.0.0", "x"]}}},
            [
                'attributes[a].versions[1]: Invalid value: "x": must be a string compatible with semver.org spec 2.0.0',
                "attributes[a]: Invalid value: …: exactly one value must be specified",
            ],
        ),
        (
            {"attributes": {"a": {"strings": ["x" * 65]}}},
            ["attributes[a].strings[0]: Too long: may not be more than 64 bytes"],
        ),
        (
            {"attributes": {"a": {"ints": list(range(49))}}},
            [": Invalid value: 49: the total number of attribute values must not exceed 48"],
        ),
        ({"attributes": {"a/b/c": {"int": 1}}}, []),
        (
            {"attributes": {"x" * 100: {}}},
            [
                "attributes: Too long: may not be more than 32 bytes",
                f'attributes[{"x" * 47}...{"x" * 46}]: Invalid value: "": exactly one value must be specified',
            ],
        ),
        (
            {
                "nodeAllocatableResourceMappings": {
                    "x.y/z": {},
                    "cpu": {"capacityKey": "c", "allocationMultiplier": "0"},
                }
            },
            [
                'nodeAllocatableResourceMappings[cpu].allocationMultiplier: Invalid value: "0": must be positive',
                'nodeAllocatableResourceMappings[cpu].capacityKey: Not found: "c"',
                'nodeAllocatableResourceMappings[x.y/z]: Invalid value: "x.y/z": must be a node allocatable resource name',
                'nodeAllocatableResourceMappings[x.y/z]: Invalid value: "": at least one of allocationMultiplier or'
                " capacityKey must be set",
            ],
        ),
        (policy(default="2", validRange={"min": "1", "max": "9", "step": "1"}), []),
        (
            policy(default="11", validRange={"min": "2", "max": "10"}),
            [f'{POLICY}.validRange.max: Invalid value: "11": default is more than max: 10'],
        ),
        (
            policy(default="1", validRange={"min": "2"}),
            [f'{POLICY}.validRange.min: Invalid value: "1": default is less than min: 2'],
        ),
        (
            policy(default="3", validRange={"min": "2", "step": "9"}),
            [
                f'{POLICY}.validRange.step: Invalid value: "9": one step 11 is larger than capacity value: 10',
                f'{POLICY}.validRange.step: Invalid value: "3": value is not a multiple of a given step (9) from (2)',
            ],
        ),
    ],
)
def test_a_device_of_a_slice(device: dict[str, Any], found: list[str]) -> None:
    shown = [re.sub("{.*}", "…", fault) for fault in faults("ResourceSlice", shared_device(**device))]
    assert [fault.removeprefix("spec.devices[0]").removeprefix(".") for fault in shown] == found


def test_a_slice_of_devices_with_lists_has_fewer_of_them() -> None:
    devices = [{"name": f"d{number}"} for number in range(65)]
    assert faults("ResourceSlice", device_slice(devices=devices)) == []
    devices[0]["attributes"] = {"a": {"ints": [1]}}  # type: ignore[assignment]
    assert faults("ResourceSlice", device_slice(devices=devices)) == [
        "spec.devices: Too many: 65: must have at most 64 items"
    ]


@pytest.mark.parametrize(
    ("uid", "problem"),
    [
        ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", ""),
        ("6BA7B810-9dad-11d1-80b4-00c04fd430c8", NOT_NORMAL),
        ("{6ba7b810-9dad-11d1-80b4-00c04fd430c8}", NOT_NORMAL),
        ("urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8", NOT_NORMAL),
        ("6ba7b8109dad11d180b400c04fd430c8", NOT_NORMAL),
        ("x", "error validating uid: invalid UUID length: 1"),
        ("x" * 36, "error validating uid: invalid UUID format"),
        ("x" * 32, "error validating uid: invalid UUID format"),
        ("x" * 38, "error validating uid: invalid bracketed UUID format"),
        ("x" * 45, 'error validating uid: invalid urn prefix: "xxxxxxxxx"'),
    ],
)
def test_a_uid(uid: str, problem: str) -> None:
    found = [str(error) for error in validate_uid(uid, "p")]
    assert found == ([f'p: Invalid value: "{uid}": {problem}'] if problem else [])


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"labels": {"a": "b"}, "annotations": {"c": "d"}}, []),
        (
            {"name": "n", "uid": "u", "finalizers": ["x"], "deletionGracePeriodSeconds": 1, "managedFields": [{}]},
            ["name", "uID", "deletionGracePeriodSeconds", "finalizers", "managedFields"],
        ),
        (
            {"namespace": "n", "ownerReferences": [{}], "generateName": "g"},
            ["generateName", "namespace", "ownerReferences"],
        ),
    ],
)
def test_a_template_of_a_claim_has_labels_and_annotations(metadata: dict[str, Any], found: list[str]) -> None:
    template = {
        "metadata": {"name": "t", "namespace": "n", "resourceVersion": "1"},
        "spec": {"metadata": metadata, "spec": {"devices": {"requests": [request()]}}},
    }
    expected = [f"spec.metadata.{field}: Forbidden: cannot be set" for field in found]
    assert faults("ResourceClaimTemplate", template) == expected
    assert [str(error) for error in validate_update(INFOS["ResourceClaimTemplate"], template, template)] == expected


def test_a_constraint_names_what_it_constrains() -> None:
    unsaid = claim(requests=[request()], constraints=[{}])
    assert faults("ResourceClaim", unsaid) == [
        'spec.devices.constraints[0]: Required value: exactly one of "matchAttribute" or "distinctAttribute" is required,'
        " but multiple fields are set"
    ]
    try:
        feature_gates.use({"DRAConsumableCapacity": False})
        assert faults("ResourceClaim", unsaid) == ["spec.devices.constraints[0].matchAttribute: Required value"]
    finally:
        feature_gates.use({})


def test_the_configuration_of_a_class_may_stay_as_long_as_it_is() -> None:
    config = [{"opaque": {"driver": "d", "parameters": {"a": "x" * 11_000}}}]
    device_class = {"metadata": {"name": "c", "resourceVersion": "1"}, "spec": {"config": config}}
    too_long = "spec.config[0].opaque.parameters: Too long: may not be more than 10240 bytes"
    assert faults("DeviceClass", device_class) == [too_long]
    assert validate_update(INFOS["DeviceClass"], device_class, device_class) == []
    before = device_class | {"spec": {"config": []}}
    assert [str(error) for error in validate_update(INFOS["DeviceClass"], device_class, before)] == [too_long]


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["192.0.2.1/24", "2001:db8::1/64"], []),
        (["192.0.2.1/24"] * 2, ['ips[1]: Duplicate value: "192.0.2.1/24"']),
        (
            ["192.0.2.1"],
            [
                'ips[0]: Invalid value: "192.0.2.1": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or'
                " 2001:db8::1/64)"
            ],
        ),
        (["2001:DB8::1/64"], ['ips[0]: Invalid value: "2001:DB8::1/64": must be in canonical form ("2001:db8::1/64")']),
        (["192.0.2.1/24"] * 17, ["ips: Too many: 17: must have at most 16 items"]),
    ],
)
def test_the_addresses_of_an_allocated_device(addresses: list[str], found: list[str]) -> None:
    result = {"request": "r", "driver": "d", "pool": "p", "device": "x"}
    device = {"driver": "d", "pool": "p", "device": "x", "networkData": {"ips": addresses}}
    status = {"allocation": {"devices": {"results": [result]}}, "devices": [device]}
    new = claim(requests=[request()]) | {"status": status}
    errors = validate_update(INFOS["ResourceClaim"], new, claim(requests=[request()]), "status")
    assert [str(error) for error in errors] == [f"status.devices[0].networkData.{fault}" for fault in found]
