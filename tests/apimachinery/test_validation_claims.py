"""Claims and volumes: what is immutable is shown as a diff, and which old faults may stay."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.internal import difference
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

CLAIMS = builtin_resources()["", "v1", "persistentvolumeclaims"]
VOLUMES = builtin_resources()["", "v1", "persistentvolumes"]
FIXED = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def requests(**amounts: str) -> dict[str, Any]:
    return {"requests": amounts}


def claim(status: Any = None, annotations: Any = None, **spec: Any) -> dict[str, Any]:
    whole = {"accessModes": ["ReadWriteOnce"], "resources": requests(storage="1Gi"), "volumeMode": "Filesystem", **spec}
    return {
        "metadata": {"name": "c", "namespace": "n", "resourceVersion": "1", "annotations": annotations or {}},
        "spec": {name: value for name, value in whole.items() if value is not None},
        "status": status or {},
    }


def lines(errors: Any) -> list[str]:
    return [f"{error.field}: {error.body}" for error in errors]


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (claim(), claim(), []),
        (claim(volumeName="v"), claim(), []),
        (claim(storageClassName="a"), claim(), []),
        (
            claim(accessModes=["ReadWriteOnce", "ReadWriteOnce"]),
            claim(),
            [
                f'spec: Forbidden: {FIXED}\n@@ -1,5 +1,6 @@\n {{\n  "AccessModes": [\n+  "ReadWriteOnce",\n   "ReadWriteOnce"\n  ],\n  "Selector": null,\n'
            ],
        ),
        (
            claim(resources=requests(storage="2Gi")),
            claim(),
            [
                f'spec: Forbidden: {FIXED}\n@@ -6,7 +6,7 @@\n  "Resources": {{\n   "Limits": null,\n   "Requests": {{\n-   "storage": "1Gi"\n+   "storage": "2Gi"\n   }}\n  }},\n  "VolumeName": "",\n'
            ],
        ),
        (claim(resources=requests(storage="2Gi"), status={"phase": "Bound"}), claim(), []),
        (
            claim(resources=requests(storage="1Mi"), status={"phase": "Bound"}),
            claim(status={"phase": "Bound", "capacity": {"storage": "1Gi"}}),
            ["spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"],
        ),
        (
            claim(annotations={ANNOTATION: "b"}),
            claim(annotations={ANNOTATION: "a"}),
            [f'metadata.annotations.{ANNOTATION}: Invalid value: "b": field is immutable'],
        ),
        (claim(storageClassName="a"), claim(annotations={ANNOTATION: "a"}), []),
        (
            claim(status={"phase": "Bound"}),
            claim(volumeAttributesClassName="a", status={"currentVolumeAttributesClassName": "a"}),
            [
                "spec.volumeAttributesClassName: Forbidden: update to nil is forbidden when "
                "status.currentVolumeAttributesClassName is not nil"
            ],
        ),
        (claim(status={"phase": "Bound"}), claim(volumeAttributesClassName="a"), []),
    ],
)
def test_an_updated_claim(new: Any, old: Any, expected: list[str]) -> None:
    assert lines(validate_update(CLAIMS, new, old)) == expected


def test_a_fault_of_a_claim_is_found_once() -> None:
    bad = claim(resources=requests(storage="0"))
    assert lines(validate_update(CLAIMS, bad, bad)) == [
        'spec.resources[storage]: Invalid value: "0": must be greater than zero'
    ]


def test_what_older_rules_let_in_may_stay() -> None:
    source = {"apiGroup": "Bad_Group", "kind": "A", "name": "a"}
    selector = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["-"]}]}
    old = claim(dataSource=source, dataSourceRef=source, selector=selector)
    assert lines(validate_update(CLAIMS, old, old)) == []
    assert [error.field for error in validate_create(CLAIMS, old)] == [
        "spec.selector.matchExpressions[0].values[0]",
        "spec.dataSource.apiGroup",
        "spec.dataSourceRef.apiGroup",
    ]


def test_resize_states_are_blamed_on_their_field() -> None:
    states = {"allocatedResourceStatuses": {"kubernetes.io/x": "Bad"}}
    found = validate_update(CLAIMS, claim(status=states), claim(), "status")
    assert [error.field for error in found] == ["status.allocatedResourceStatuses"] * 2


def volume(**spec: Any) -> dict[str, Any]:
    whole = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x", "type": ""}}
    return {"metadata": {"name": "v", "resourceVersion": "1"}, "spec": {**whole, **spec}}


def test_a_volumes_source_is_compared_line_by_line() -> None:
    (error,) = validate_update(VOLUMES, volume(hostPath={"path": "/<y>", "type": ""}), volume())
    assert error.field == "spec.persistentvolumesource"
    assert error.body == (
        "Forbidden: spec.persistentvolumesource is immutable after creation\n@@ -2,7 +2,7 @@\n"
        '  "GCEPersistentDisk": null,\n  "AWSElasticBlockStore": null,\n  "HostPath": {\n-  "Path": "/x",\n'
        '+  "Path": "/\\u003cy\\u003e",\n   "Type": ""\n  },\n  "Glusterfs": null,\n'
    )


def affinity(key: str, value: str = "z") -> dict[str, Any]:
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}
    return {"nodeAffinity": {"required": {"nodeSelectorTerms": [term]}}}


BETA, STABLE = "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"


@pytest.mark.parametrize(
    ("new", "old", "count"),
    [
        (affinity(STABLE), affinity(BETA), 0),
        (affinity(BETA), affinity(STABLE), 1),
        (affinity(STABLE, "y"), affinity(BETA), 1),
        ({}, affinity(BETA), 1),
        (affinity(BETA), {}, 0),
    ],
)
def test_where_a_volume_is_stays_but_for_labels_that_are_stable_now(new: Any, old: Any, count: int) -> None:
    found = validate_update(VOLUMES, volume(**new), volume(**old))
    assert [error.field for error in found] == ["nodeAffinity"] * count


def test_a_pods_host_fields_are_part_of_its_security_context() -> None:
    old: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}], "securityContext": {}}
    new = old | {"hostNetwork": True, "serviceAccount": "s"}
    assert difference("io.k8s.api.core.v1.PodSpec", old, new).splitlines()[4:6] == [
        '-  "HostNetwork": false,',
        '+  "HostNetwork": true,',
    ]
