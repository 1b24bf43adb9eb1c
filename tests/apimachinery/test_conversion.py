from __future__ import annotations

from typing import Any

import orjson
import pytest
from apiserver_workers.apimachinery.conversion import convert

PREFIX = "autoscaling.alpha.kubernetes.io/"


def autoscaler(version: str, **spec: Any) -> dict[str, Any]:
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    return {
        "kind": "HorizontalPodAutoscaler",
        "apiVersion": f"autoscaling/{version}",
        "metadata": {"name": "x"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5, **spec},
        "status": {"desiredReplicas": 0, "currentMetrics": None},
    }


def cpu(utilization: int) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": utilization}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


MEMORY = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "AverageValue", "averageValue": "1Gi"}}}
REQUESTS = {
    "type": "Object",
    "object": {
        "describedObject": {"kind": "Ingress", "name": "i", "apiVersion": "networking.k8s.io/v1"},
        "metric": {"name": "requests", "selector": {"matchLabels": {"a": "b"}}},
        "target": {"type": "Value", "value": "2k"},
    },
}


def test_the_same_version_is_the_same_object() -> None:
    obj = autoscaler("v2", metrics=[cpu(50)])
    assert convert(obj, "autoscaling", "v2") is obj


def test_v1_has_a_field_for_cpu_utilization() -> None:
    v1 = convert(autoscaler("v2", metrics=[cpu(50)]), "autoscaling", "v1")
    assert v1["apiVersion"] == "autoscaling/v1"
    assert v1["spec"]["targetCPUUtilizationPercentage"] == 50
    assert "annotations" not in v1["metadata"]
    assert v1["status"] == {"currentReplicas": 0, "desiredReplicas": 0}


def test_other_metrics_are_kept_in_annotations() -> None:
    v1 = convert(autoscaler("v2", metrics=[cpu(50), MEMORY]), "autoscaling", "v1")
    assert v1["metadata"]["annotations"] == {
        PREFIX + "metrics": '[{"type":"Resource","resource":{"name":"memory","targetAverageValue":"1Gi"}}]'
    }


def test_everything_survives_the_way_through_v1() -> None:
    rules = {"stabilizationWindowSeconds": 60, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}
    obj = autoscaler("v2", metrics=[cpu(50), MEMORY, REQUESTS], minReplicas=2, behavior={"scaleDown": rules})
    obj["status"] = {
        "desiredReplicas": 2,
        "currentReplicas": 1,
        "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageValue": "5m"}}}],
        "conditions": [{"type": "AbleToScale", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}],
    }
    v1 = convert(obj, "autoscaling", "v1")
    behavior = orjson.loads(v1["metadata"]["annotations"][PREFIX + "behavior"])
    assert behavior["ScaleUp"] is None
    assert behavior["ScaleDown"]["Policies"] == [{"Type": "Pods", "Value": 4, "PeriodSeconds": 15}]
    assert convert(v1, "autoscaling", "v2") == obj


def test_v1_without_metrics_gets_the_default_one() -> None:
    v2 = convert(autoscaler("v1"), "autoscaling", "v2")
    assert v2["spec"]["metrics"] == [cpu(80)]


def test_unreadable_annotations_are_ignored() -> None:
    obj = autoscaler("v1", targetCPUUtilizationPercentage=70)
    obj["metadata"]["annotations"] = {PREFIX + "metrics": "{", PREFIX + "conditions": "5", "mine": "x"}
    v2 = convert(obj, "autoscaling", "v2")
    assert v2["spec"]["metrics"] == [cpu(70)]
    assert v2["metadata"]["annotations"] == {"mine": "x"}


def test_events_have_two_vocabularies() -> None:
    event = {
        "kind": "Event",
        "apiVersion": "v1",
        "metadata": {"name": "e"},
        "involvedObject": {"kind": "Pod", "name": "p"},
        "message": "hello",
        "source": {"component": "c"},
        "firstTimestamp": "2020-01-01T00:00:00Z",
        "lastTimestamp": None,
        "count": 3,
        "eventTime": None,
        "reportingComponent": "r",
        "reportingInstance": "",
    }
    new = convert(event, "events.k8s.io", "v1")
    assert new == {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "p"},
        "note": "hello",
        "deprecatedSource": {"component": "c"},
        "deprecatedFirstTimestamp": "2020-01-01T00:00:00Z",
        "deprecatedLastTimestamp": None,
        "deprecatedCount": 3,
        "eventTime": None,
        "reportingController": "r",
    }
    assert convert(new, "", "v1") == event


def object_metric(**target: str) -> dict[str, Any]:
    metric = {"metric": {"name": "hits"}, "describedObject": {"kind": "Service", "name": "s", "apiVersion": "v1"}}
    return {"type": "Object", "object": {**metric, "target": target}}


@pytest.mark.parametrize(
    "metric",
    [
        object_metric(type="AverageValue", averageValue="10"),
        object_metric(type="AverageValue", averageValue="10", value="3"),
        object_metric(type="Value", value="3"),
        {
            "type": "External",
            "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "5"}},
        },
        {"type": "External", "external": {"metric": {"name": "m"}, "target": {"type": "Value", "value": "5"}}},
        REQUESTS,
        MEMORY,
        {
            "type": "ContainerResource",
            "containerResource": {
                "name": "cpu",
                "container": "c",
                "target": {"type": "AverageValue", "averageValue": "5m"},
            },
        },
    ],
)
def test_every_kind_of_target_survives_the_way_through_v1(metric: dict[str, Any]) -> None:
    obj = autoscaler("v2", metrics=[metric])
    there_and_back = convert(convert(obj, "autoscaling", "v1"), "autoscaling", "v2")
    assert there_and_back["spec"]["metrics"] == [metric]
