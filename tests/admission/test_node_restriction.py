"""NodeRestriction: a node writes what is its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.admission.cluster import NODE, Cluster, pod, refused


def node(name: str = "n1", **labels: str) -> dict[str, Any]:
    named = {key.replace("__", "/").replace("_", "."): value for key, value in labels.items()}
    return {"metadata": {"name": name, "labels": named}}


def mirror(**spec: Any) -> dict[str, Any]:
    return pod(metadata={"annotations": {"kubernetes.io/config.mirror": "x"}}, nodeName="n1", **spec)


def test_a_node_registers_itself_and_nobody_else(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("nodes", node(kubernetes_io__hostname="h", example_com__x="y"), user=NODE)
        error = await refused(cluster.create("nodes", node("n2"), user=NODE))
        assert error.message == 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'

    in_cluster(scenario)


def test_labels_that_steer_workloads_are_not_a_nodes_to_set(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        metadata = {"name": "n1", "labels": {"node-restriction.kubernetes.io/x": "y", "kubernetes.io/z": "z"}}
        error = await refused(cluster.create("nodes", {"metadata": metadata}, user=NODE))
        labels = "kubernetes.io/z, node-restriction.kubernetes.io/x"
        assert f'node "n1" is not allowed to set the following labels: {labels}' in error.message

    in_cluster(scenario)


def test_a_node_keeps_its_taints(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("nodes", node(), user=NODE)
        error = await refused(cluster.update("nodes", "n1", lambda live: {**live, "spec": {}}, user=NODE))
        assert 'node "n1" is not allowed to modify taints' in error.message

    in_cluster(scenario)


def test_a_node_creates_only_its_own_mirror_pods(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        created = await cluster.create("nodes", node(), user=NODE)
        error = await refused(cluster.create("pods", pod(), user=NODE))
        assert 'node "n1" can only create mirror pods' in error.message
        error = await refused(cluster.create("pods", mirror(), user=NODE))
        assert 'node "n1" can only create pods with an owner reference set to itself' in error.message
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": "n1",
            "uid": created["metadata"]["uid"],
            "controller": True,
        }
        own = mirror()
        own["metadata"]["ownerReferences"] = [owner]
        assert await cluster.create("pods", own, user=NODE)

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        # Of secrets the account's plugin speaks first.
        ({"secret": {"secretName": "s"}}, "a mirror pod may not reference secrets"),
        ({"configMap": {"name": "c"}}, 'node "n1" can not create pods that reference configmaps'),
        (
            {"persistentVolumeClaim": {"claimName": "c"}},
            'node "n1" can not create pods that reference persistentvolumeclaims',
        ),
    ],
)
def test_a_mirror_pod_is_no_way_to_other_objects(in_cluster, volume, why):
    async def scenario(cluster: Cluster) -> None:
        created = await cluster.create("nodes", node(), user=NODE)
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": "n1",
            "uid": created["metadata"]["uid"],
            "controller": True,
        }
        own = mirror(volumes=[{"name": "v", **volume}])
        own["metadata"]["ownerReferences"] = [owner]
        error = await refused(cluster.create("pods", own, user=NODE))
        assert why in error.message

    in_cluster(scenario)


def test_a_nodes_lease_lies_in_its_namespace_and_has_its_name(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        leases, namespace = "leases.coordination.k8s.io", "kube-node-lease"
        await cluster.create("namespaces", {"metadata": {"name": namespace}})
        own, other = ({"metadata": {"name": name}, "spec": {}} for name in ("n1", "n2"))
        await cluster.create(leases, own, user=NODE, namespace=namespace)
        error = await refused(cluster.create(leases, other, user=NODE, namespace=namespace))
        assert "can only access node lease with the same name as the requesting node" in error.message
        error = await refused(cluster.create(leases, own, user=NODE))
        assert f'can only access leases in the "{namespace}" system namespace' in error.message

    in_cluster(scenario)
