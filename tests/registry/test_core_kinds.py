"""What strategies of the core, apps and batch groups do to objects, and in which words they refuse them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.registry.api import running
from tests.storage.etcd_process import EtcdProcess

NAMESPACE = "/api/v1/namespaces/default"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
CONTROLLERS = f"{NAMESPACE}/replicationcontrollers"
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
PODS_STAY = "child pods are preserved by default when jobs are deleted"


def named(kind: str, name: str = "a", version: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **more}


async def test_a_service_account_keeps_only_the_names_of_its_secrets(etcd: EtcdProcess, root: str) -> None:
    path = f"{NAMESPACE}/serviceaccounts"
    async with running(etcd, root) as api:
        made = await api.call("POST", path, named("ServiceAccount", secrets=[{"name": "s", "uid": "u"}]))
        assert made.obj["secrets"] == [{"name": "s"}]
        patched = await api.merge(f"{path}/a", {"secrets": [{"namespace": "n"}, {"name": "t", "fieldPath": "f"}]})
        assert patched.obj["secrets"] == [{}, {"name": "t"}]


async def test_a_node_does_not_learn_where_its_configuration_would_come_from(etcd: EtcdProcess, root: str) -> None:
    source = {"configMap": {"namespace": "n", "name": "c", "kubeletConfigKey": "k"}}
    async with running(etcd, root) as api:
        given = named("Node", spec={"configSource": source}, status={"config": {"active": source}})
        made = (await api.call("POST", "/api/v1/nodes", given)).obj
        assert "configSource" not in made["spec"]
        assert "config" not in made["status"]
        patched = await api.merge("/api/v1/nodes/a", {"spec": {"configSource": source}})
        assert "configSource" not in patched.obj["spec"]


@pytest.mark.parametrize(
    ("template", "shown"),
    [({"metadata": {}}, "null"), ({"metadata": {"labels": {}}}, "{}"), ({}, "null")],
)
async def test_messages_tell_an_empty_map_from_none(etcd: EtcdProcess, root: str, template: Any, shown: str) -> None:
    spec = {"selector": {"a": "b"}, "template": {**template, "spec": TEMPLATE["spec"]}}
    async with running(etcd, root) as api:
        answer = await api.call("POST", CONTROLLERS, named("ReplicationController", spec=spec))
        text = f"Invalid value: {shown}: `selector` does not match template `labels`"
        assert answer.status == 422
        assert answer.obj["details"]["causes"][0]["message"] == text
        assert answer.message.endswith(text)


async def test_so_do_those_of_patches(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        whole = named("ReplicationController", spec={"selector": {"a": "b"}, "template": TEMPLATE})
        assert (await api.call("POST", CONTROLLERS, whole)).status == 201
        labels = {"spec": {"template": {"metadata": {"labels": {"a": None}}}}}
        assert "Invalid value: {}:" in (await api.merge(f"{CONTROLLERS}/a", labels)).message


async def test_deleting_a_job_warns_unless_its_pods_fate_is_chosen(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        absent = await api.call("DELETE", f"{JOBS}/a")
        assert absent.status == 404
        assert [warning.startswith(PODS_STAY) for warning in absent.warnings] == [True]
        everything = await api.call("DELETE", JOBS)
        assert [warning.startswith(PODS_STAY) for warning in everything.warnings] == [True]
        assert (await api.call("DELETE", f"{JOBS}/a", propagationPolicy="Background")).warnings == []


async def test_errors_of_events_name_the_group_of_the_request(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        answer = await api.call("GET", f"{EVENTS}/a")
        assert answer.message == 'events.events.k8s.io "a" not found'
        assert answer.obj["details"] == {"name": "a", "group": "events.k8s.io", "kind": "events"}
        assert (await api.call("GET", f"{NAMESPACE}/events/a")).message == 'events "a" not found'


async def test_services_whose_addresses_do_not_fit_are_refused_for_that_alone(etcd: EtcdProcess, root: str) -> None:
    spec = {"clusterIP": "a", "loadBalancerSourceRanges": ["b"]}
    async with running(etcd, root) as api:
        answer = await api.call("POST", f"{NAMESPACE}/services", named("Service", "s", spec=spec))
        assert [cause["field"] for cause in answer.obj["details"]["causes"]] == ["spec.clusterIPs[0]"]


async def test_duplicate_owners_are_dropped_with_a_warning(etcd: EtcdProcess, root: str) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u"}
    path = f"{NAMESPACE}/configmaps"
    async with running(etcd, root) as api:
        whole = named("ConfigMap")
        whole["metadata"]["ownerReferences"] = [owner, owner]
        made = await api.call("POST", path, whole)
        patched = await api.merge(f"{path}/a", {"metadata": {"ownerReferences": [owner, owner, owner]}})
        for answer, when in ((made, ";"), (patched, " after mutating admission happens;")):
            assert answer.obj["metadata"]["ownerReferences"] == [owner]
            (warning,) = answer.warnings
            assert warning.startswith(f".metadata.ownerReferences contains duplicate entries{when}")
