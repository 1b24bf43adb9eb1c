"""What the status of a pod may say, as a table of upstream's rules (ValidatePodStatusUpdate), and newer fields of specs."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

INFO = builtin_resources()["", "v1", "pods"]
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
RANGE = "must be between 0 and 2147483647, inclusive"
CONTAINER = {"name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}
ASKING = CONTAINER | {"resources": {"requests": {"example.com/d": "1"}, "claims": [{"name": "r", "request": "q"}]}}


def pod(status: Any = None, **spec: Any) -> dict[str, Any]:
    whole = {"containers": [CONTAINER], "restartPolicy": "Always", "dnsPolicy": "Default", **spec}
    return {
        "metadata": {"name": "p", "namespace": "n", "resourceVersion": "1"},
        "spec": whole,
        "status": status or {},
    }


def lines(errors: Any) -> list[str]:
    return [f"{error.field}: {error.body}" for error in errors]


def health(**resource: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "c", "allocatedResourcesStatus": [{"name": "x", "resources": [resource]}]}]}


def image(reference: str) -> dict[str, Any]:
    return {
        "containerStatuses": [{"name": "c", "volumeMounts": [{"volumeStatus": {"image": {"imageRef": reference}}}]}]
    }


def node_claim(**claim: Any) -> dict[str, Any]:
    return {"nodeAllocatableResourceClaimStatuses": [claim]}


STATUSES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"observedGeneration": -1}, ["status.observedGeneration: Invalid value: -1: must be a non-negative integer"]),
    (
        {"conditions": [{"type": "Ready", "observedGeneration": -1}]},
        ["status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer"],
    ),
    ({"conditions": [{"type": "example.com/x"}]}, []),
    (
        {"podIP": "a", "podIPs": [{"ip": "a"}, {"ip": "10.0.0.1"}]},
        [
            f'status.podIPs[0]: Invalid value: "a": {IP}',
            "status.podIPs: Internal error: failed to check for dual stack with error:invalid IP[0]: a",
            'status.podIPs: Invalid value: [{"IP":"a"},{"IP":"10.0.0.1"}]: '
            "may specify no more than one IP for each IP family",
        ],
    ),
    (
        {"hostIPs": [{"ip": "10.0.0.1"}]},
        ['status.hostIPs[0].ip: Invalid value: "10.0.0.1": must be equal to `hostIP`'],
    ),
    (
        {"resourceClaimStatuses": [{"name": "r", "resourceClaimName": "-"}, {"name": "r"}, {"name": "s"}]},
        [
            'status.resourceClaimStatuses[0].resourceClaimName: Invalid value: "-": a lowercase RFC 1123 subdomain',
            'status.resourceClaimStatuses[1].name: Duplicate value: "r"',
            'status.resourceClaimStatuses[2].name: Invalid value: "s": '
            "must match the name of an entry in `spec.resourceClaims`",
        ],
    ),
    (
        {"extendedResourceClaimStatus": {}},
        [
            "status.extendedResourceClaimStatus.requestMappings: Required value: at least one request mapping is required",
            "status.extendedResourceClaimStatus.resourceClaimName: Required value",
        ],
    ),
    (
        {
            "extendedResourceClaimStatus": {
                "requestMappings": [
                    {"containerName": "c", "resourceName": "cpu", "requestName": "q"},
                    {"containerName": "d", "resourceName": "cpu", "requestName": "q"},
                ],
                "resourceClaimName": "r",
            }
        },
        [
            'status.extendedResourceClaimStatus.requestMappings[0].resourceName: Invalid value: "cpu": must match the',
            'status.extendedResourceClaimStatus.requestMappings[1].containerName: Invalid value: "d": must match the',
        ],
    ),
    (
        node_claim(resourceClaimName="x", containers=["c"], resources={"example.com/d": "-1"}),
        [
            "status.nodeAllocatableResourceClaimStatuses[0].resourceClaimName: "
            'Invalid value: "x": no mapping found in pod reference',
            "status.nodeAllocatableResourceClaimStatuses[0].resources[example.com/d]: "
            'Invalid value: "example.com/d": must be a node allocatable resource name',
            'status.nodeAllocatableResourceClaimStatuses[0].resources[example.com/d]: Invalid value: "-1": '
            "must be non-negative",
        ],
    ),
    (
        {"containerStatuses": [{"name": "c", "user": {"linux": {"uid": -1, "gid": 0, "supplementalGroups": [-1]}}}]},
        [
            f"status.containerStatuses[0].user.linux.uid: Invalid value: -1: {RANGE}",
            f"status.containerStatuses[0].user.linux.supplementalGroups[0]: Invalid value: -1: {RANGE}",
        ],
    ),
    (
        {"containerStatuses": [{"name": "c", "allocatedResourcesStatus": [{"name": "claim:r"}, {"name": "cpu"}]}]},
        [
            'status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "claim:r": must match one of the',
            'status.containerStatuses[0].allocatedResourcesStatus[1].name: Invalid value: "cpu": must match one of the',
        ],
    ),
    (
        {
            "containerStatuses": [
                {"name": "c", "allocatedResourcesStatus": [{"name": "claim:r/q"}, {"name": "example.com/d"}]}
            ]
        },
        [],
    ),
    (
        health(health="Bad", message=""),
        [
            'status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid value: "x": must match one of the',
            "status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported value: "
            '"Bad": supported values: "Healthy", "Unhealthy", "Unknown"',
            "status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].message: Required value: "
            "must be non-empty if specified",
        ],
    ),
    (
        {"ephemeralContainerStatuses": [{"name": "e", "allocatedResourcesStatus": [{"name": "cpu"}]}]},
        [
            "status.ephemeralContainerStatuses[0].allocatedResourcesStatus: Forbidden: "
            "must not be specified in container status"
        ],
    ),
    (
        image(""),
        [
            "status.containerStatuses[0].volumeMounts[0].volumeStatus.imageVolumeStatus.imageRef: Required value: "
            "imageRef must not be empty"
        ],
    ),
    (image("x"), []),
    (
        image("x" * 257),
        [
            "status.containerStatuses[0].volumeMounts[0].volumeStatus.imageVolumeStatus.imageRef: Too long: "
            "may not be more than 256 bytes"
        ],
    ),
]


@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_a_status(status: dict[str, Any], expected: list[str]) -> None:
    spec = {"containers": [ASKING], "resourceClaims": [{"name": "r", "resourceClaimName": "a"}]}
    found = lines(validate_update(INFO, pod(status, **spec), pod(**spec), "status"))
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


FILE = {"name": "A", "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "p", "key": "K"}}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hostnameOverride": "a.b"}, []),
        (
            {"hostnameOverride": "a", "setHostnameAsFQDN": True, "hostNetwork": True},
            [
                "spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true",
                "spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true",
            ],
        ),
        ({"hostnameOverride": "a" * 65}, ["spec.hostnameOverride: Too long: may not be more than 64 bytes"]),
        (
            {"schedulingGroup": {}},
            ["spec.schedulingGroup.podGroupName: Invalid value: null: must specify one of: `podGroupName`"],
        ),
        (
            {"hostUsers": False, "hostPID": True, "hostNetwork": True},
            [
                "spec.hostNetwork: Forbidden: when `hostUsers` is false",
                "spec.HostPID: Forbidden: when `hostUsers` is false",
            ],
        ),
        (
            {"containers": [CONTAINER | {"env": [FILE]}]},
            ['spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Not found: "v"'],
        ),
        (
            {"containers": [CONTAINER | {"env": [FILE]}], "volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
            [
                'spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Invalid value: "v": '
                "referenced volume must be of type emptyDir"
            ],
        ),
        (
            {
                "topologySpreadConstraints": [
                    {"maxSkew": 1, "topologyKey": "150%", "whenUnsatisfiable": "DoNotSchedule"}
                ]
            },
            [],
        ),
    ],
)
def test_a_spec(spec: dict[str, Any], expected: list[str]) -> None:
    assert lines(validate_create(INFO, pod(**spec))) == expected


def test_a_changed_pod_is_shown_as_a_diff() -> None:
    (error,) = validate_update(INFO, pod(runtimeClassName="r"), pod())
    assert error.body.splitlines()[2:] == [
        '  "PreemptionPolicy": null,',
        '  "DNSConfig": null,',
        '  "ReadinessGates": null,',
        '- "RuntimeClassName": null,',
        '+ "RuntimeClassName": "r",',
        '  "Overhead": null,',
        '  "EnableServiceLinks": null,',
        '  "TopologySpreadConstraints": null,',
    ]
