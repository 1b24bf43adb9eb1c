"""NodeRestriction: a node writes what is its own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from apiserver_workers.admission.mirror_pods import reference_fault
from apiserver_workers.admission.node_certificates import request_fault
from apiserver_workers.admission.node_tokens import audience_fault
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.authorization.attributes import Decision

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


def owned(**changes: Any) -> list[dict[str, Any]]:
    return [{"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u", **changes}]


@pytest.mark.parametrize(("before", "after"), [([], owned()), (owned(), []), (owned(), owned(controller=True))])
def test_a_node_keeps_its_owners(in_cluster, before, after):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("nodes", node())
        if before:
            await cluster.update("nodes", "n1", lambda live: with_owners(live, before))
        error = await refused(cluster.update("nodes", "n1", lambda live: with_owners(live, after), user=NODE))
        assert 'node "n1" is not allowed to modify ownerReferences' in error.message
        await cluster.update("nodes", "n1", lambda live: with_owners(live, before), user=NODE)

    in_cluster(scenario)


def with_owners(obj: dict[str, Any], owners: list[dict[str, Any]]) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": owners}}


VOLUMES = [
    ({"emptyDir": {}}, ""),
    ({"hostPath": {"path": "/"}}, ""),
    ({"projected": {"sources": [{"downwardAPI": {}}]}}, ""),
    ({"csi": {"driver": "d"}}, "csidrivers (via CSI volumes)"),
    ({"glusterfs": {"endpoints": "e", "path": "p"}}, "endpoints (via glusterFS volumes)"),
    ({"ephemeral": {"volumeClaimTemplate": {}}}, "persistentvolumeclaims (via ephemeral volumes)"),
    ({"azureFile": {"shareName": "s"}}, "secrets (via azureFile volumes)"),
    ({"azureFile": {"secretName": "s", "shareName": "s"}}, "secrets"),
    ({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, "serviceaccounts (via projected volumes)"),
    ({"projected": {"sources": [{"downwardAPI": {}}, {"clusterTrustBundle": {}}]}}, "clustertrustbundles"),
    ({"projected": {"sources": [{"podCertificate": {}}]}}, "podcertificates"),
]


@pytest.mark.parametrize(("volume", "what"), VOLUMES)
def test_what_volumes_of_a_mirror_pod_refer_to(volume, what):
    fault = reference_fault("n1", {"volumes": [{"name": "v", **volume}]})
    assert fault == (f'node "n1" can not create pods that reference {what}' if what else "")


@pytest.mark.parametrize("volume", [{"unheardOf": {}}, {"projected": {"sources": [{"unheardOf": {}}]}}, {}])
def test_volumes_that_nobody_knows_are_refused(volume):
    assert "error checking mirror pod for API references: unknown" in reference_fault(
        "n1", {"volumes": [{"name": "v", **volume}]}
    )


class Told:
    """An authorizer that allows what it was told to."""

    def __init__(self, *audiences: str) -> None:
        self.audiences = audiences

    async def authorize(self, question: Any) -> tuple[Decision, str]:
        assert (question.verb, question.name) == ("request-serviceaccounts-token-audience", "robot")
        return (Decision.ALLOW if question.resource in self.audiences else Decision.NO_OPINION), ""


class Stored:
    """Listers of a few objects."""

    OBJECTS: ClassVar = {
        "persistentvolumeclaims": {"c": {"spec": {"volumeName": "pv"}}, "p-v": {"spec": {"volumeName": "moved"}}},
        "persistentvolumes": {
            "pv": {"spec": {"csi": {"driver": "driver"}}},
            "moved": {"spec": {"awsElasticBlockStore": {"volumeID": "i"}}},
        },
        "csidrivers": {
            "driver": {"spec": {"tokenRequests": [{"audience": "of-driver"}]}},
            "ebs.csi.aws.com": {"spec": {"tokenRequests": [{"audience": "of-ebs"}]}},
        },
    }

    def __init__(self, prefix: str) -> None:
        self._objects = self.OBJECTS[prefix]

    def get(self, name: str, namespace: str = "") -> Any:
        return self._objects.get(name)


PROJECTED = {"projected": {"sources": [{"serviceAccountToken": {"audience": "mounted"}}, {"serviceAccountToken": {}}]}}
CLAIM = {"persistentVolumeClaim": {"claimName": "c"}}


@pytest.mark.parametrize(
    ("volume", "audiences", "fault"),
    [
        (PROJECTED, ["mounted"], ""),
        (PROJECTED, [], ""),
        (PROJECTED, [""], ""),
        (PROJECTED, ["a", "b"], "node may only request 0 or 1 audiences"),
        (PROJECTED, ["allowed"], ""),
        (PROJECTED, ["other"], 'audience "other" not found in pod spec volume, system:node:n1 is not authorized'),
        (CLAIM, ["of-driver"], ""),
        ({"csi": {"driver": "driver"}}, ["of-driver"], ""),
        ({"ephemeral": {"volumeClaimTemplate": {"spec": {}}}}, ["of-ebs"], ""),
        ({"awsElasticBlockStore": {"volumeID": "i"}}, ["of-ebs"], ""),
        (CLAIM, ["of-ebs"], 'audience "of-ebs" not found'),
        ({"persistentVolumeClaim": {"claimName": "x"}}, ["a"], 'error validating audience "a": persistentvolumeclaim "x" not found'),
        ({"csi": {"driver": "x"}}, ["a"], 'error validating audience "a": csidriver.storage.k8s.io "x" not found'),
    ],
)  # fmt: skip
def test_a_node_asks_for_tokens_of_audiences_that_are_mounted(volume, audiences, fault):
    asked = SimpleNamespace(obj={"spec": {"audiences": audiences}}, user=NODE, namespace="ns", name="robot")
    pod_ = {"metadata": {"name": "p", "namespace": "ns"}, "spec": {"volumes": [{"name": "v", **volume}]}}
    found = asyncio.run(audience_fault(asked, pod_, Stored, Told("allowed")))
    assert found.startswith(fault) and bool(found) == bool(fault)


REQUEST = {
    "nodeName": "n1", "nodeUID": "node-uid", "podName": "p", "podUID": "pod-uid",
    "serviceAccountName": "a", "serviceAccountUID": "account-uid",
}  # fmt: skip


class Running(Stored):
    """A node with a pod and its account."""

    OBJECTS: ClassVar = {
        "minions": {"n1": {"metadata": {"uid": "node-uid"}}},
        "pods": {
            "p": {"metadata": {"uid": "pod-uid"}, "spec": {"nodeName": "n1", "serviceAccountName": "a"}},
            "else": {"metadata": {"uid": "pod-uid"}, "spec": {"nodeName": "n2", "serviceAccountName": "a"}},
        },
        "serviceaccounts": {"a": {"metadata": {"uid": "account-uid"}}},
    }


@pytest.mark.parametrize(
    ("changes", "forbidden", "uncertain"),
    [
        ({}, "", ""),
        ({"nodeName": "n2"}, 'Spec.NodeName="n2", which is not the requesting node "n1"', ""),
        ({"nodeUID": "x"}, "", 'names node UID "x", inconsistent with the running node ("node-uid")'),
        ({"podName": "x"}, "", 'while retrieving pod "ns/x" named in the PodCertificateRequest'),
        ({"podUID": "x"}, "", 'contains pod UID ("x") which differs from running pod "pod-uid"'),
        ({"podName": "else"}, 'pod "ns/else" is not running on node "n1"', ""),
        ({"serviceAccountName": "x"}, 'contains serviceAccountName ("x") that differs from running pod ("a")', ""),
        ({"serviceAccountUID": "x"}, "", 'names service account UID "x", which differs'),
    ],
)
def test_a_node_asks_for_certificates_of_its_own_pods(changes, forbidden, uncertain):
    asked = SimpleNamespace(operation="CREATE", subresource="", namespace="ns", obj={"spec": {**REQUEST, **changes}})
    if uncertain:
        with pytest.raises(ApiError) as raised:
            request_fault("n1", asked, Running)
        assert raised.value.code == 500 and uncertain in raised.value.message
    else:
        found = request_fault("n1", asked, Running)
        assert forbidden in found and bool(found) == bool(forbidden)
