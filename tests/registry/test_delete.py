"""Deleting objects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.registry.api import CONFIG_MAPS, running
from tests.storage.etcd_process import EtcdProcess

A = f"{CONFIG_MAPS}/a"


async def test_most_kinds_answer_with_a_status_that_names_the_object(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        uid = (await api.create("a")).obj["metadata"]["uid"]
        answer = await api.call("DELETE", A)
        assert answer.status == 200
        assert answer.obj["status"] == "Success"
        assert answer.obj["details"] == {"name": "a", "kind": "configmaps", "uid": uid}
        assert (await api.call("GET", A)).status == (await api.call("DELETE", A)).status == 404


async def test_some_kinds_answer_with_the_object(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        path = "/api/v1/namespaces/default/serviceaccounts"
        await api.create("a", path=path, kind="ServiceAccount")
        assert (await api.call("DELETE", f"{path}/a")).obj["kind"] == "ServiceAccount"


async def test_an_object_waits_for_its_finalizers(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", metadata={"finalizers": ["example.com/x", "example.com/y"]})
        marked = await api.call("DELETE", A)
        assert marked.obj["metadata"]["deletionGracePeriodSeconds"] == 0
        assert (await api.call("DELETE", A)).version == marked.version
        await api.merge(A, {"metadata": {"finalizers": ["example.com/y"]}})
        assert (await api.call("GET", A)).status == 200
        assert (await api.merge(A, {"metadata": {"finalizers": None}})).status == 200
        assert (await api.call("GET", A)).status == 404


POLICIES = [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])]


@pytest.mark.parametrize(("policy", "finalizers"), POLICIES)
async def test_a_propagation_policy_is_a_finalizer(
    etcd: EtcdProcess, root: str, policy: str, finalizers: list[str]
) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        answer = await api.call("DELETE", A, propagationPolicy=policy)
        assert answer.obj["metadata"]["finalizers"] == finalizers
        assert (await api.call("DELETE", A, propagationPolicy="Background")).obj["kind"] == "Status"
        assert (await api.call("GET", A)).status == 404


@pytest.mark.parametrize("precondition", [{"uid": "other"}, {"resourceVersion": "1"}])
async def test_preconditions_hold_or_nothing_is_deleted(etcd: EtcdProcess, root: str, precondition: Any) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": precondition}
        answer = await api.call("DELETE", A, body)
        assert answer.status == 409
        assert "in the precondition" in answer.message
        assert (await api.call("GET", A)).status == 200


async def test_a_dry_run_deletes_nothing(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        assert (await api.call("DELETE", A, dryRun="All")).status == 200
        assert (await api.call("GET", A)).status == 200


REFUSED = [
    ({"propagationPolicy": "Later"}, b"", 422, 'propagationPolicy: Unsupported value: "Later"'),
    ({"propagationPolicy": "Orphan", "orphanDependents": "true"}, b"", 422, "cannot be both set"),
    ({"gracePeriodSeconds": "soon"}, b"", 400, 'strconv.ParseInt: parsing "soon": invalid syntax'),
    ({}, b"{", 400, "couldn't get version/kind; json parse error: unexpected end of JSON input"),
    ({}, b'{"kind":"ConfigMap","apiVersion":"v1"}', 400, 'no kind "ConfigMap" is registered for version "v1"'),
]


@pytest.mark.parametrize(("query", "body", "status", "message"), REFUSED)
async def test_options_that_make_no_sense_are_refused(
    etcd: EtcdProcess, root: str, query: Any, body: bytes, status: int, message: str
) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        answer = await api.call("DELETE", A, body, **query)
        assert answer.status == status
        assert message in answer.message


async def test_a_collection_is_deleted_by_selector(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        for name in "abc":
            await api.create(name, metadata={"labels": {"odd": str(name == "b").lower()}})
        answer = await api.call("DELETE", CONFIG_MAPS, labelSelector="odd=false")
        assert [item["metadata"]["name"] for item in answer.obj["items"]] == ["a", "c"]
        left = (await api.call("GET", CONFIG_MAPS)).obj["items"]
        assert [item["metadata"]["name"] for item in left] == ["b"]
