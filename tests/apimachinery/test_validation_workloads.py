"""What the kinds of the apps group may say, beyond what their pods may."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

INFOS = {info.kind: info for info in builtin_resources().values() if (info.group, info.version) == ("apps", "v1")}
CONTAINER = {"name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File"}
POD = {"containers": [CONTAINER], "restartPolicy": "Always", "dnsPolicy": "Default"}
SPECS: dict[str, dict[str, Any]] = {
    "Deployment": {"strategy": {"type": "Recreate"}},
    "ReplicaSet": {},
    "DaemonSet": {"updateStrategy": {"type": "OnDelete"}},
    "StatefulSet": {"podManagementPolicy": "Parallel", "updateStrategy": {"type": "OnDelete"}},
}


def workload(kind: str, status: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"name": "w", "namespace": "n", "resourceVersion": "1"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD},
            **SPECS[kind],
            **spec,
        },
        "status": status or {},
    }


def listed(errors: Any) -> list[str]:
    return [f"{error.field}: {error.body}" for error in errors]


def on_create(kind: str, **spec: Any) -> list[str]:
    return listed(validate_create(INFOS[kind], workload(kind, **spec)))


def rolling(**update: Any) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": update}


@pytest.mark.parametrize("kind", SPECS)
def test_what_is_valid_passes(kind: str) -> None:
    assert on_create(kind) == []


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet"])
def test_pods_nobody_can_select_are_not_looked_at(kind: str) -> None:
    selector = {"matchExpressions": [{"key": "a", "operator": "Nowhere"}]}
    found = on_create(kind, selector=selector, template={"spec": {"restartPolicy": "Always"}})
    assert [line.partition(":")[0] for line in found] == ["spec.selector.matchExpressions[0].operator", "spec.selector"]


def test_what_is_no_number_is_none_at_all() -> None:
    assert on_create("Deployment", strategy=rolling(maxUnavailable="x", maxSurge=0))[1:] == [
        'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "x": may not be 0 when `maxSurge` is 0'
    ]


def test_a_daemon_set_surges_or_has_pods_missing() -> None:
    assert on_create("DaemonSet", updateStrategy=rolling(maxUnavailable="101%", maxSurge=1)) == [
        'spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
    ]


def test_a_count_of_collisions_never_goes_back() -> None:
    for kind in ("Deployment", "DaemonSet", "StatefulSet"):
        old, new = workload(kind, {"collisionCount": 2}), workload(kind)
        assert listed(validate_update(INFOS[kind], new, old, subresource="status")) == [
            "status.collisionCount: Invalid value: 0: cannot be decremented"
        ]


@pytest.mark.parametrize(("kind", "bound"), [("Deployment", "readyReplicas"), ("StatefulSet", "status.readyReplicas")])
def test_no_more_are_available_than_ready(kind: str, bound: str) -> None:
    new = workload(kind, {"replicas": 2, "availableReplicas": 1})
    assert listed(validate_update(INFOS[kind], new, workload(kind), subresource="status")) == [
        f"status.availableReplicas: Invalid value: 1: cannot be greater than {bound}"
    ]


def test_a_revision_keeps_its_data() -> None:
    old = {
        "kind": "ControllerRevision",
        "metadata": workload("ReplicaSet")["metadata"],
        "data": {"a": 1},
        "revision": 1,
    }
    new = {name: value for name, value in old.items() if name != "data"}
    assert listed(validate_update(INFOS["ControllerRevision"], new, old)) == [
        "data: Invalid value: null: field is immutable",
    ]
