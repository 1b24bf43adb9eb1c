"""What nodes may say of themselves, and what an update may change."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

INFO = builtin_resources()["", "v1", "nodes"]
CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
TAINTS = "scheduler.alpha.kubernetes.io/taints"
AVOID = "scheduler.alpha.kubernetes.io/preferAvoidPods"
BAD_FEATURE = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' "
    "(e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)
ONE_REFERENCE = "exactly one reference subfield must be non-nil"


def node(annotations: dict[str, str] | None = None, status: Any = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": "n", "resourceVersion": "1", "annotations": annotations or {}}
    return {"kind": "Node", "metadata": metadata, "spec": spec, "status": status or {}}


def lines(errors: Any) -> list[str]:
    return [f"{error.field}: {error.body}" for error in errors]


def pod_cidrs(text: str) -> str:
    return f"spec.podCIDRs: {text}"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (node(), []),
        (node(podCIDRs=["10.0.0.0/24"]), []),
        (node(podCIDRs=["10.0.0.0/24", "2001:db8::/64"]), []),
        (node(podCIDRs=["a/b"]), [f'spec.podCIDRs[0]: Invalid value: "a/b": {CIDR}']),
        (
            node(podCIDRs=["10.0.0.0/24", "10.0.0.0/24"]),
            [
                pod_cidrs(
                    'Invalid value: ["10.0.0.0/24","10.0.0.0/24"]: may specify no more than one CIDR for each IP family'
                )
            ],
        ),
        (
            node(podCIDRs=["1", "10.0.0.0/24"]),
            [
                f'spec.podCIDRs[0]: Invalid value: "1": {CIDR}',
                pod_cidrs(
                    "Internal error: invalid PodCIDRs. failed to check with dual stack with error:"
                    "invalid CIDR[0]: <nil> (invalid CIDR address: 1)"
                ),
                pod_cidrs('Invalid value: ["1","10.0.0.0/24"]: may specify no more than one CIDR for each IP family'),
            ],
        ),
        (
            node(status={"declaredFeatures": ["ü", "Always"]}),
            [
                f'status.declaredFeatures[0]: Invalid value: "ü": invalid feature name "ü": {BAD_FEATURE}',
                'status.declaredFeatures[1]: Invalid value: "Always": list must be sorted alphabetically',
            ],
        ),
        (node(status={"declaredFeatures": ["A", "A"]}), ['status.declaredFeatures[1]: Duplicate value: "A"']),
        (node(status={"declaredFeatures": ["A", "B/c"]}), []),
        (
            node(status={"nodeInfo": {"swap": {"capacity": 0}}}),
            ["metadata.nodeSwapStatus.capacity: Invalid value: 0: must be greater than zero"],
        ),
        (
            node({TAINTS: "{"}),
            [f'metadata.annotations: Invalid value: "{TAINTS}": unexpected end of JSON input'],
        ),
        (
            node({TAINTS: '[{"Key":"a","effect":"Bad"}]'}),
            [
                f'metadata.annotations.{TAINTS}[0].effect: Unsupported value: "Bad": supported values: '
                '"NoSchedule", "PreferNoSchedule", "NoExecute"'
            ],
        ),
        (
            node({AVOID: '{"preferAvoidPods":[{"podSignature":{}}]}'}),
            [f"metadata.annotations.{AVOID}[0].PodSignature: Required value"],
        ),
        (
            node({AVOID: '{"preferAvoidPods":[{"podSignature":{"podController":{"controller":false}}}]}'}),
            [
                f"metadata.annotations.{AVOID}[0].PodSignature.PodController.Controller: Invalid value: false: "
                "must point to a controller"
            ],
        ),
    ],
)
def test_a_new_node(given: dict[str, Any], expected: list[str]) -> None:
    assert lines(validate_create(INFO, given)) == expected


@pytest.mark.parametrize("times", [("", 2), ("status", 1)])
def test_an_update_of_the_node_validates_it_twice(times: tuple[str, int]) -> None:
    subresource, count = times
    bad = node(status={"declaredFeatures": ["a"]})
    found = validate_update(INFO, bad, node(), subresource)
    assert [error.field for error in found] == ["status.declaredFeatures[0]"] * count


CONFIG_MAP = {"namespace": "n", "name": "c", "kubeletConfigKey": "k"}
OF_STATUS = {**CONFIG_MAP, "uid": "u", "resourceVersion": "1"}


@pytest.mark.parametrize(
    ("spec", "status", "expected"),
    [
        ({"configSource": {"configMap": CONFIG_MAP}}, {}, []),
        ({"configSource": {}}, {}, [f'spec.configSource: Invalid value: {{"ConfigMap":null}}: {ONE_REFERENCE}']),
        (
            {"configSource": {"configMap": {**OF_STATUS, "name": ""}}},
            {},
            [
                "spec.configSource.configMap.uid: Forbidden: uid must not be set in spec",
                "spec.configSource.configMap.resourceVersion: Forbidden: resourceVersion must not be set in spec",
                "spec.configSource.configMap.name: Required value",
            ],
        ),
        ({}, {"config": {"active": {"configMap": OF_STATUS}}}, []),
        (
            {},
            {"config": {"assigned": {"configMap": CONFIG_MAP}, "lastKnownGood": {}}},
            [
                "status.config.assigned.configMap.uid: Required value",
                "status.config.assigned.configMap.resourceVersion: Required value",
                f'status.config.lastKnownGood: Invalid value: {{"ConfigMap":null}}: {ONE_REFERENCE}',
            ],
        ),
    ],
)
def test_where_configuration_came_from(spec: Any, status: Any, expected: list[str]) -> None:
    assert lines(validate_update(INFO, node(status=status, **spec), node(), "status")) == expected


def test_pod_cidrs_stay() -> None:
    old = node(podCIDRs=["10.0.0.0/24"])
    new = copy.deepcopy(old)
    new["spec"]["podCIDRs"] = ["10.1.0.0/24"]
    assert lines(validate_update(INFO, new, old)) == [
        'spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid'
    ]
    assert orjson.dumps(old["spec"]) == b'{"podCIDRs":["10.0.0.0/24"]}'
