"""PodResizeValidator: a resize must fit the node."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.admission.pod_resize_validator import lacking

from tests.admission.cluster import Cluster, pod, refused


@pytest.mark.parametrize(
    ("requests", "allocatable", "told"),
    [
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}, ""),
        ({"cpu": "1001m"}, {"cpu": "1"}, "cpu, requested: 1001, allocatable: 1000"),
        ({"memory": "2Ki"}, {"cpu": "1", "memory": "1Ki"}, "memory, requested: 2048, allocatable: 1024"),
        (
            {"cpu": "2", "memory": "1"},
            {},
            "cpu, requested: 2000, allocatable: 0; memory, requested: 1, allocatable: 0",
        ),
        ({"example.com/x": "5"}, {}, ""),
    ],
)
def test_what_a_node_lacks(requests: dict[str, str], allocatable: dict[str, str], told: str) -> None:
    spec = {"containers": [{"name": "c", "resources": {"requests": requests}}]}
    found = lacking({"spec": spec}, {"metadata": {}, "status": {"allocatable": allocatable}})
    assert found == (f"node didn't have enough allocatable resources: {told}" if told else "")


def grown(live: dict[str, Any]) -> dict[str, Any]:
    [container] = live["spec"]["containers"]
    bigger = {**container, "resources": {"requests": {"cpu": "3"}}}
    return {**live, "metadata": dict(live["metadata"]), "spec": {**live["spec"], "containers": [bigger]}}


@pytest.mark.parametrize(
    ("labels", "cpu", "cause", "told"),
    [
        ({}, "2", "NodeCapacity", "cpu, requested: 3000, allocatable: 2000"),
        ({"kubernetes.io/os": "windows"}, "9", "UnsupportedPlatform", 'node "n" is "windows"'),
        ({"kubernetes.io/os": "linux"}, "9", "", ""),
    ],
)
def test_a_resize_is_refused_with_its_cause(in_cluster, labels, cpu, cause, told):
    async def scenario(cluster: Cluster) -> None:
        node = {"metadata": {"name": "n", "labels": labels}, "status": {"allocatable": {"cpu": cpu}}}
        await cluster.create("nodes", node)
        await cluster.create("pods", pod("p", container={"resources": {"requests": {"cpu": "1"}}}, nodeName="n"))
        resize = cluster.update("pods", "p", grown, subresource="resize")
        if not cause:
            assert (await resize)["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "3"}}
            return
        error = await refused(resize)
        assert error.code == 403
        assert told in error.message
        assert error.details["causes"] == [{"reason": cause}]

    in_cluster(scenario)


def test_a_pod_on_no_node_may_grow(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("pods", pod("p", container={"resources": {"requests": {"cpu": "1"}}}))
        assert await cluster.update("pods", "p", grown, subresource="resize")

    in_cluster(scenario)
