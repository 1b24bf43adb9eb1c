"""LimitRanger: defaults, and bounds for containers, pods and claims."""

from __future__ import annotations

from typing import Any

import pytest

from tests.admission.cluster import Cluster, pod, refused


async def limit(cluster: Cluster, name: str = "l", **rule: Any) -> None:
    await cluster.create("limitranges", {"metadata": {"name": name}, "spec": {"limits": [rule]}})


def asking(name: str = "p", **resources: Any) -> dict[str, Any]:
    return pod(name, container={"resources": resources})


def test_containers_get_defaults_and_the_pod_says_which(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await limit(cluster, type="Container", default={"memory": "2Gi"}, defaultRequest={"cpu": "1", "memory": "1Gi"})
        created = await cluster.create("pods", asking(requests={"cpu": "2"}))
        resources = created["spec"]["containers"][0]["resources"]
        assert resources == {"requests": {"cpu": "2", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
        note = created["metadata"]["annotations"]["kubernetes.io/limit-ranger"]
        assert note == "LimitRanger plugin set: memory request for container c; memory limit for container c"

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("rule", "resources", "why"),
    [
        ({"min": {"cpu": "1"}}, {}, "minimum cpu usage per Container is 1.  No request is specified"),
        (
            {"min": {"cpu": "1"}},
            {"requests": {"cpu": "500m"}},
            "minimum cpu usage per Container is 1, but request is 500m",
        ),
        ({"max": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "maximum cpu usage per Container is 1, but limit is 2"),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "1"}, "limits": {"cpu": "3"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
    ],
)
def test_bounds_of_a_container(in_cluster, rule, resources, why):
    async def scenario(cluster: Cluster) -> None:
        # An update takes away the defaults that the bounds would bring along.
        await limit(cluster, type="Container", **rule)

        def bare(live: dict[str, Any]) -> dict[str, Any]:
            return {**live, "spec": {"limits": [{"type": "Container", **rule}]}}

        await cluster.update("limitranges", "l", bare)
        error = await refused(cluster.create("pods", asking(**resources)))
        assert error.message == f'pods "p" is forbidden: {why}'

    in_cluster(scenario)


def test_all_faults_are_told_at_once(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await limit(cluster, type="Pod", max={"cpu": "1", "memory": "1Gi"})
        error = await refused(cluster.create("pods", asking(limits={"cpu": "2", "memory": "2Gi"})))
        assert error.message == (
            'pods "p" is forbidden: [maximum cpu usage per Pod is 1, but limit is 2, '
            "maximum memory usage per Pod is 1Gi, but limit is 2Gi]"
        )

    in_cluster(scenario)


def test_a_pods_need_is_that_of_its_containers_or_of_its_largest_init_container(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await limit(cluster, type="Pod", max={"cpu": "3"})
        first = [{"name": "i", "image": "i", "resources": {"limits": {"cpu": "3"}}}]
        assert await cluster.create("pods", {**asking("a", limits={"cpu": "2"})})
        two = asking("b", limits={"cpu": "2"})
        two["spec"]["initContainers"] = first
        assert await cluster.create("pods", two)
        three = asking("c", limits={"cpu": "2"})
        three["spec"]["initContainers"] = [{**first[0], "restartPolicy": "Always"}]
        error = await refused(cluster.create("pods", three))
        assert "maximum cpu usage per Pod is 3, but limit is 5" in error.message

    in_cluster(scenario)


def test_claims_are_bound_by_what_they_request(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await limit(cluster, type="PersistentVolumeClaim", max={"storage": "1Gi"})
        requests = {"requests": {"storage": "2Gi"}}
        claim = {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": requests}}
        error = await refused(cluster.create("persistentvolumeclaims", claim))
        assert "maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi" in error.message

    in_cluster(scenario)
