"""The node authorizer: a kubelet reaches what its pods need, and nothing of another node's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import Attributes, Decision, FieldRequirement
from apiserver_workers.authorization.bootstrap_policy import node_rules
from apiserver_workers.authorization.node import NodeAuthorizer
from apiserver_workers.authorization.node_graph import NodeGraph

from tests.auth.stored import StoredEntry, added, deleted, named

POD = named(
    "p",
    "ns",
    spec={
        "nodeName": "n1",
        "serviceAccountName": "robot",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [
            {
                "name": "c",
                "envFrom": [{"configMapRef": {"name": "env"}}],
                "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}],
            }
        ],
        "volumes": [
            {"name": "a", "secret": {"secretName": "mounted"}},
            {"name": "b", "projected": {"sources": [{"configMap": {"name": "projected"}}]}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "d", "ephemeral": {}},
        ],
    },
)
VOLUME = named(
    "pv",
    spec={
        "claimRef": {"namespace": "ns", "name": "claim"},
        "csi": {"driver": "d", "nodeStageSecretRef": {"name": "stage", "namespace": "vault"}},
    },
)


@pytest.fixture
def graph() -> NodeGraph:
    graph = NodeGraph()
    graph.tables["pods"].replace([StoredEntry("pods", POD)])
    graph.tables["persistentvolumes"].apply(added("persistentvolumes", VOLUME))
    return graph


def decide(graph: NodeGraph, node: str, verb: str, resource: str, **fields: Any) -> tuple[Decision, str]:
    user = UserInfo(f"system:node:{node}", "", ("system:nodes",))
    resource, _, subresource = resource.partition("/")
    attributes = Attributes(user, verb, resource=resource, subresource=subresource, **fields)
    return asyncio.run(NodeAuthorizer(graph, node_rules()).authorize(attributes))


RELATED = [
    ("secrets", "ns", "pull"),
    ("secrets", "ns", "key"),
    ("secrets", "ns", "mounted"),
    ("secrets", "vault", "stage"),
    ("configmaps", "ns", "env"),
    ("configmaps", "ns", "projected"),
    ("persistentvolumeclaims", "ns", "claim"),
    ("persistentvolumeclaims", "ns", "p-d"),
    ("persistentvolumes", "", "pv"),
    ("pods", "ns", "p"),
]


@pytest.mark.parametrize(("resource", "namespace", "name"), RELATED)
def test_a_node_gets_what_its_pods_need(graph, resource, namespace, name):
    assert decide(graph, "n1", "get", resource, namespace=namespace, name=name) == (Decision.ALLOW, "")
    assert decide(graph, "n2", "get", resource, namespace=namespace, name=name) == (
        Decision.NO_OPINION,
        "no relationship found between node 'n2' and this object",
    )


@pytest.mark.parametrize(("resource", "namespace", "name"), RELATED)
def test_a_deleted_pod_takes_its_paths_along(graph, resource, namespace, name):
    graph.tables["pods"].apply(deleted("pods", POD))
    assert decide(graph, "n1", "get", resource, namespace=namespace, name=name)[0] is Decision.NO_OPINION


def test_a_mirror_pod_gives_access_to_nothing(graph):
    mirror = {**POD, "metadata": {**POD["metadata"], "annotations": {"kubernetes.io/config.mirror": "x"}}}
    graph.tables["pods"].apply(added("pods", mirror))
    assert decide(graph, "n1", "get", "secrets", namespace="ns", name="pull")[0] is Decision.NO_OPINION
    assert decide(graph, "n1", "get", "pods", namespace="ns", name="p")[0] is Decision.ALLOW


@pytest.mark.parametrize(
    ("verb", "resource", "fields", "reason"),
    [
        ("list", "secrets", {"namespace": "ns"}, "No Object name found"),
        ("delete", "secrets", {"namespace": "ns", "name": "pull"}, "can only read resources of this type"),
        ("list", "persistentvolumes", {}, "can only get individual resources of this type"),
        ("get", "nodes", {"name": "n2"}, "node 'n1' cannot read 'n2', only its own Node object"),
        ("list", "pods", {}, "can only list/watch pods with spec.nodeName field selector"),
        ("create", "serviceaccounts", {"namespace": "ns", "name": "robot"},
         "can only create token subresource of serviceaccount"),
        ("get", "leases", {"api_group": "coordination.k8s.io", "namespace": "ns", "name": "n1"},
         'can only access leases in the "kube-node-lease" system namespace'),
        ("update", "leases", {"api_group": "coordination.k8s.io", "namespace": "kube-node-lease", "name": "n2"},
         "can only access node lease with the same name as the requesting node"),
        ("create", "secrets/x", {"namespace": "ns"}, "can only read resources of this type"),
    ],
)  # fmt: skip
def test_refusals_say_why(graph, verb, resource, fields, reason):
    assert decide(graph, "n1", verb, resource, **fields) == (Decision.NO_OPINION, reason)


@pytest.mark.parametrize(
    ("verb", "resource", "fields"),
    [
        ("get", "nodes", {"name": "n1"}),
        ("patch", "nodes/status", {"name": "n1"}),
        ("watch", "pods", {"fields": (FieldRequirement("spec.nodeName", "=", "n1"),)}),
        ("create", "pods", {"namespace": "ns"}),
        ("create", "pods/eviction", {"namespace": "ns", "name": "p"}),
        ("create", "serviceaccounts/token", {"namespace": "ns", "name": "robot"}),
        ("update", "leases", {"api_group": "coordination.k8s.io", "namespace": "kube-node-lease", "name": "n1"}),
        ("list", "services", {}),
        ("create", "events", {"namespace": "ns"}),
    ],
)
def test_a_node_may_do_its_work(graph, verb, resource, fields):
    assert decide(graph, "n1", verb, resource, **fields) == (Decision.ALLOW, "")


def test_only_members_of_the_nodes_group_are_nodes(graph):
    attributes = Attributes(UserInfo("system:node:n1"), "get", resource="nodes", name="n1")
    assert asyncio.run(NodeAuthorizer(graph, node_rules()).authorize(attributes)) == (Decision.NO_OPINION, "")
