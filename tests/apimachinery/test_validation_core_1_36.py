"""Rules of workloads, autoscalers and the small kinds of the core group, row by row."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

PODS = {
    "containers": [{"name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}],
    "restartPolicy": "Always",
    "dnsPolicy": "Default",
}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": PODS}
ADDRESS = "must be a valid IP address"
LABEL = "a lowercase RFC 1123 label must consist of"


def fields(kind: str, group: str, version: str, obj: Any, old: Any = None) -> list[str]:
    info = next(
        one for one in builtin_resources().values() if (one.group, one.version, one.kind) == (group, version, kind)
    )
    whole, before = (
        {"metadata": {"name": "x", "namespace": "n", "resourceVersion": "1"}, **(one or {})} for one in (obj, old)
    )
    errors = validate_create(info, whole) if old is None else validate_update(info, whole, before)
    return [f"{error.field}: {error.body}" for error in errors]


def stateful(**spec: Any) -> dict[str, Any]:
    base = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": TEMPLATE,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "OnDelete"},
    }
    return {"spec": {**base, **spec}}


BAD_CLAIM = {"metadata": {"name": "v"}, "spec": {}}
CLAIM = {
    "metadata": {"name": "v"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (
            stateful(volumeClaimTemplates=[BAD_CLAIM]),
            None,
            [
                "spec.volumeClaimTemplates[0].spec.accessModes: Required",
                "spec.volumeClaimTemplates[0].spec.resources[storage]: Required",
            ],
        ),
        (stateful(volumeClaimTemplates=[BAD_CLAIM]), stateful(volumeClaimTemplates=[BAD_CLAIM]), []),
        (stateful(volumeClaimTemplates=[CLAIM, CLAIM]), None, []),
        (stateful(serviceName="a.b"), None, ['spec.serviceName: Invalid value: "a.b": must not contain dots']),
        (stateful(serviceName="a.b"), stateful(serviceName="a.b"), []),
        (stateful(revisionHistoryLimit=-1), None, []),
        (stateful(template={**TEMPLATE, "spec": PODS | {"hostname": "A B"}}), None, []),
    ],
)
def test_a_stateful_set(new: Any, old: Any, expected: list[str]) -> None:
    found = fields("StatefulSet", "apps", "v1", new, old)
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


def autoscaler(high: int, **target: Any) -> dict[str, Any]:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d", **target}
    return {"spec": {"maxReplicas": high, "scaleTargetRef": reference}}


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (autoscaler(1), None, []),
        (autoscaler(0), None, ["spec.maxReplicas: Required value: must be set and greater than 0"]),
        (autoscaler(-1), None, ["spec.maxReplicas: Invalid value: -1: must be greater than or equal to 1"]),
        (
            autoscaler(1, apiVersion="v1"),
            None,
            ['spec.scaleTargetRef.apiVersion: Invalid value: "v1": apiVersion must specify API group'],
        ),
        (autoscaler(1, apiVersion="v1", kind="ReplicationController"), None, []),
        (autoscaler(1, apiVersion="", kind="ReplicationController"), None, []),
        (autoscaler(2, apiVersion="v1"), autoscaler(1, apiVersion="v1"), []),
    ],
)
def test_an_autoscaler(new: Any, old: Any, expected: list[str]) -> None:
    assert fields("HorizontalPodAutoscaler", "autoscaling", "v2", new, old) == expected


def subsets(ip: str, **port: Any) -> dict[str, Any]:
    return {"subsets": [{"addresses": [{"ip": ip}], "ports": [{"port": 80, "protocol": "TCP", **port}]}]}


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (subsets("10.0.0.1"), None, []),
        (
            subsets("a"),
            None,
            [
                f'subsets[0].addresses[0].ip: Invalid value: "a": {ADDRESS}, (e.g. 10.9.8.7 or 2001:db8::ffff)',
                f'subsets[0].addresses[0].ip: Invalid value: "a": {ADDRESS}',
            ],
        ),
        (subsets("a"), subsets("a"), []),
    ],
)
def test_endpoints(new: Any, old: Any, expected: list[str]) -> None:
    assert fields("Endpoints", "", "v1", new, old) == expected


def test_the_protocol_of_an_endpoint_is_a_qualified_name() -> None:
    (line,) = fields("Endpoints", "", "v1", subsets("10.0.0.1", appProtocol="*"))
    assert line.startswith('subsets[0].ports[0].appProtocol: Invalid value: "*": name part must consist of')


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"a": 1}, []),
        (None, ["data: Required value: data is mandatory"]),
        ([1], ["data: Required value: data must be a valid JSON object"]),
    ],
)
def test_a_new_revision(data: Any, expected: list[str]) -> None:
    assert fields("ControllerRevision", "apps", "v1", {"data": data, "revision": 1}) == expected


def test_the_names_of_an_annotation_of_services_agree() -> None:
    annotations = {
        "service.kubernetes.io/topology-mode": "a",
        "service.kubernetes.io/topology-aware-hints": "b",
    }
    spec = {
        "type": "ExternalName",
        "externalName": "e",
        "sessionAffinity": "None",
    }
    metadata = {"name": "x", "namespace": "n", "annotations": annotations}
    assert fields("Service", "", "v1", {"metadata": metadata, "spec": spec}) == [
        'metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: "a": '
        "must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified"
    ]
