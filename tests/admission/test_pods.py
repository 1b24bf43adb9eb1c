"""What admission makes of pods: account, priority, tolerations, runtime class, topology."""

from __future__ import annotations

import asyncio

from apiserver_workers.admission.runtime_class import merge_tolerations
from apiserver_workers.admission.service_account import MOUNT_PATH

from tests.admission.cluster import NODE, Cluster, pod, refused

KEY = {"key": "k", "operator": "Exists"}


def test_a_pod_gets_the_default_account_and_its_token(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        spec = (await cluster.create("pods", pod()))["spec"]
        assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
        (volume,) = spec["volumes"]
        assert volume["name"].startswith("kube-api-access-")
        token, authority, namespace = volume["projected"]["sources"]
        assert token == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
        assert authority["configMap"]["name"] == "kube-root-ca.crt"
        assert namespace["downwardAPI"]["items"][0]["fieldRef"]["fieldPath"] == "metadata.namespace"
        (mount,) = spec["containers"][0]["volumeMounts"]
        assert mount == {"name": volume["name"], "readOnly": True, "mountPath": MOUNT_PATH}

    in_cluster(scenario)


def test_no_token_where_pod_or_account_want_none(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("serviceaccounts", {"metadata": {"name": "a"}, "automountServiceAccountToken": False})
        spec = (await cluster.create("pods", pod("p1", serviceAccountName="a")))["spec"]
        assert "volumes" not in spec
        spec = (await cluster.create("pods", pod("p2", automountServiceAccountToken=False)))["spec"]
        assert "volumes" not in spec
        wanted = pod("p3", serviceAccountName="a", automountServiceAccountToken=True)
        assert (await cluster.create("pods", wanted))["spec"]["volumes"]

    in_cluster(scenario)


def test_a_pod_of_an_unknown_account_is_refused(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        error = await refused(cluster.create("pods", pod(serviceAccountName="nobody")))
        why = 'error looking up service account ns/nobody: serviceaccount "nobody" not found'
        assert error.message == f'pods "p" is forbidden: {why}'

    in_cluster(scenario)


def test_a_pod_waits_for_the_default_account(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.delete("serviceaccounts", "default")
        await cluster.store("serviceaccounts").cache.fresh()
        creation = asyncio.create_task(cluster.create("pods", pod()))
        await asyncio.sleep(0.05)
        assert not creation.done()
        await cluster.create("serviceaccounts", {"metadata": {"name": "default"}})
        assert (await creation)["spec"]["serviceAccountName"] == "default"

    in_cluster(scenario)


def test_an_account_can_limit_its_pods_to_its_secrets(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        metadata = {"name": "strict", "annotations": {"kubernetes.io/enforce-mountable-secrets": "true"}}
        await cluster.create("serviceaccounts", {"metadata": metadata, "secrets": [{"name": "mine"}]})
        volume = {"name": "v", "secret": {"secretName": "other"}}
        error = await refused(cluster.create("pods", pod(serviceAccountName="strict", volumes=[volume])))
        assert 'volume with secret.secretName="other" is not allowed because service account strict' in error.message
        variable = {"name": "V", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}}
        error = await refused(cluster.create("pods", pod(serviceAccountName="strict", container={"env": [variable]})))
        assert 'container c with envVar V referencing secret.secretName="other" is not allowed' in error.message
        volume = {"name": "v", "secret": {"secretName": "mine"}}
        assert await cluster.create("pods", pod(serviceAccountName="strict", volumes=[volume]))

    in_cluster(scenario)


def test_a_pod_takes_over_the_pull_secrets_of_its_account(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("serviceaccounts", {"metadata": {"name": "a"}, "imagePullSecrets": [{"name": "s"}]})
        spec = (await cluster.create("pods", pod(serviceAccountName="a")))["spec"]
        assert spec["imagePullSecrets"] == [{"name": "s"}]

    in_cluster(scenario)


def test_priority_comes_from_the_class(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        high = {"metadata": {"name": "high"}, "value": 5000, "preemptionPolicy": "Never"}
        await cluster.create("priorityclasses.scheduling.k8s.io", high)
        spec = (await cluster.create("pods", pod("a", priorityClassName="high")))["spec"]
        assert (spec["priority"], spec["preemptionPolicy"]) == (5000, "Never")
        spec = (await cluster.create("pods", pod("b")))["spec"]
        assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
        error = await refused(cluster.create("pods", pod("c", priorityClassName="high", priority=7)))
        assert "the integer value of priority (7) must not be provided in pod spec" in error.message
        error = await refused(cluster.create("pods", pod("d", priorityClassName="none")))
        assert error.message == 'pods "d" is forbidden: no PriorityClass with name none was found'

    in_cluster(scenario)


def test_there_is_one_default_priority_class_and_it_counts(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        classes = "priorityclasses.scheduling.k8s.io"
        await cluster.create(classes, {"metadata": {"name": "usual"}, "value": 3, "globalDefault": True})
        spec = (await cluster.create("pods", pod()))["spec"]
        assert (spec["priorityClassName"], spec["priority"]) == ("usual", 3)
        second = {"metadata": {"name": "second"}, "value": 4, "globalDefault": True}
        error = await refused(cluster.create(classes, second))
        assert "PriorityClass usual is already marked as default. Only one default can exist" in error.message
        assert await cluster.update(classes, "usual", lambda live: {**live, "description": "d"})

    in_cluster(scenario)


def test_tolerations_are_added_unless_the_pod_has_its_own(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        found = (await cluster.create("pods", pod("a")))["spec"]["tolerations"]
        assert [(one["key"], one["tolerationSeconds"]) for one in found] == [
            ("node.kubernetes.io/not-ready", 300),
            ("node.kubernetes.io/unreachable", 300),
        ]
        all_of_them = [{"operator": "Exists"}]
        found = (await cluster.create("pods", pod("b", tolerations=all_of_them)))["spec"]["tolerations"]
        assert found == all_of_them

    in_cluster(scenario)


def test_a_runtime_class_brings_overhead_and_scheduling(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        scheduling = {"nodeSelector": {"rt": "yes"}, "tolerations": [{"key": "rt", "operator": "Exists"}]}
        runtime = {"metadata": {"name": "rt"}, "handler": "h", "overhead": {"podFixed": {"cpu": "100m"}}}
        await cluster.create("runtimeclasses.node.k8s.io", {**runtime, "scheduling": scheduling})
        spec = (await cluster.create("pods", pod("a", runtimeClassName="rt", nodeSelector={"x": "y"})))["spec"]
        assert spec["overhead"] == {"cpu": "100m"}
        assert spec["nodeSelector"] == {"rt": "yes", "x": "y"}
        assert {"key": "rt", "operator": "Exists"} in spec["tolerations"]
        error = await refused(cluster.create("pods", pod("b", runtimeClassName="rt", nodeSelector={"rt": "no"})))
        assert (
            "conflict: runtimeClass.scheduling.nodeSelector[rt] = yes; pod.spec.nodeSelector[rt] = no" in error.message
        )
        error = await refused(cluster.create("pods", pod("c", runtimeClassName="rt", overhead={"cpu": "1"})))
        assert "Pod's Overhead doesn't match RuntimeClass's defined Overhead" in error.message
        error = await refused(cluster.create("pods", pod("d", overhead={"cpu": "1"})))
        assert "Pod Overhead set without corresponding RuntimeClass defined Overhead" in error.message
        error = await refused(cluster.create("pods", pod("e", runtimeClassName="absent")))
        assert 'pod rejected: RuntimeClass "absent" not found' in error.message

    in_cluster(scenario)


def test_merged_tolerations_leave_out_what_another_covers():
    short, forever = {**KEY, "effect": "NoExecute", "tolerationSeconds": 5}, {**KEY, "effect": "NoExecute"}
    assert merge_tolerations([short], [forever]) == [forever]
    assert merge_tolerations([KEY], [KEY]) == [KEY]
    assert merge_tolerations([{"operator": "Exists"}], [KEY]) == [{"operator": "Exists"}]
    other = {"key": "other", "operator": "Equal", "value": "v"}
    assert merge_tolerations([KEY], [other]) == [KEY, other]


def test_a_pod_on_a_node_takes_over_where_the_node_is(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        zone, region = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
        await cluster.create("nodes", {"metadata": {"name": "n1", "labels": {zone: "z", region: "r", "x": "y"}}})
        created = await cluster.create("pods", pod(metadata={"labels": {region: "own"}}, nodeName="n1"))
        assert created["metadata"]["labels"] == {zone: "z", region: "own"}

    in_cluster(scenario)


def test_a_new_node_is_tainted(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        created = await cluster.create("nodes", {"metadata": {"name": "n1"}}, user=NODE)
        assert created["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]

    in_cluster(scenario)
