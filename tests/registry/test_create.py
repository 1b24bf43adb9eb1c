"""Creating objects."""

from __future__ import annotations

import re

import pytest

from tests.registry.api import CONFIG_MAPS, running
from tests.storage.etcd_process import EtcdProcess


async def test_a_created_object_is_read_back_as_it_was_answered(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        created = await api.create("a", data={"k": "v"})
        assert created.status == 201
        metadata = created.obj["metadata"]
        assert metadata["namespace"] == "default"
        assert re.fullmatch(r"[0-9a-f-]{36}", metadata["uid"])
        read = await api.call("GET", f"{CONFIG_MAPS}/a")
        assert read.body == created.body


async def test_metadata_stands_in_the_order_in_which_go_writes_it(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        created = await api.create("a", metadata={"labels": {"x": "y"}, "annotations": {"x": "y"}})
        names = [name for name in created.obj["metadata"] if name != "managedFields"]
        assert names == ["name", "namespace", "uid", "resourceVersion", "creationTimestamp", "labels", "annotations"]


async def test_a_second_object_of_the_name_is_refused(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        again = await api.create("a")
        assert (again.status, again.message) == (409, 'configmaps "a" already exists')


async def test_an_object_that_is_being_deleted_says_so_to_its_successor(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", metadata={"finalizers": ["example.com/x"]})
        await api.call("DELETE", f"{CONFIG_MAPS}/a")
        assert (await api.create("a")).message == 'object is being deleted: configmaps "a" already exists'


async def test_a_dry_run_stores_nothing_but_sees_what_is_there(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        body = {"metadata": {"name": "a"}}
        dry = await api.call("POST", CONFIG_MAPS, body, dryRun="All")
        assert dry.status == 201
        assert "resourceVersion" not in dry.obj["metadata"]
        assert (await api.call("GET", f"{CONFIG_MAPS}/a")).status == 404
        await api.create("a")
        assert (await api.call("POST", CONFIG_MAPS, body, dryRun="All")).status == 409


async def test_a_name_is_generated(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        created = await api.call("POST", CONFIG_MAPS, {"metadata": {"generateName": "web-"}})
        assert re.fullmatch(r"web-[bcdfghjklmnpqrstvwxz2456789]{5}", created.obj["metadata"]["name"])


async def test_a_taken_generated_name_is_generated_again(
    etcd: EtcdProcess, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(etcd, root) as api:
        await api.create("web-1")
        names = iter(["web-1", "web-1", "web-2"])
        monkeypatch.setattr("apiserver_workers.registry.create.generate_name", lambda base: next(names))
        created = await api.call("POST", CONFIG_MAPS, {"metadata": {"generateName": "web-"}})
        assert created.obj["metadata"]["name"] == "web-2"


async def test_names_that_stay_taken_end_in_a_conflict_that_may_be_retried(
    etcd: EtcdProcess, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(etcd, root) as api:
        await api.create("web-1")
        monkeypatch.setattr("apiserver_workers.registry.create.generate_name", lambda base: "web-1")
        refused = await api.call("POST", CONFIG_MAPS, {"metadata": {"generateName": "web-"}})
        assert refused.status == 409
        assert refused.message.endswith("the server was not able to generate a unique name for the object")
        assert ("Retry-After", "1") in refused.headers


REFUSED = [
    ({"kind": "Secret", "apiVersion": "v1"}, 400, "cannot be handled as a ConfigMap"),
    ({"metadata": {"name": "a", "namespace": "other"}}, 400, "does not match the namespace sent on the request"),
    ({"metadata": {}}, 422, "name or generateName is required"),
    ({"metadata": {"name": "a", "resourceVersion": "5"}}, 500, "resourceVersion should not be set"),
]


@pytest.mark.parametrize(("body", "status", "message"), REFUSED)
async def test_what_cannot_be_created_is_refused(
    etcd: EtcdProcess, root: str, body: object, status: int, message: str
) -> None:
    async with running(etcd, root) as api:
        answer = await api.call("POST", CONFIG_MAPS, body)
        assert answer.status == status
        assert message in answer.message


async def test_unknown_fields_are_warned_of_refused_or_dropped(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:

        async def create(name: str, validation: str) -> tuple[int, list[str]]:
            body = {"metadata": {"name": name}, "colour": "red"}
            answer = await api.call("POST", CONFIG_MAPS, body, fieldValidation=validation)
            return answer.status, answer.warnings

        assert await create("a", "Warn") == (201, ['unknown field "colour"'])
        assert await create("b", "Strict") == (400, [])
        assert await create("c", "Ignore") == (201, [])


async def test_a_status_is_not_created(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        path = "/apis/apps/v1/namespaces/default/replicasets"
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        created = await api.create("a", path=path, kind="ReplicaSet", spec=spec, status={"replicas": 7})
        assert created.obj["status"] == {"replicas": 0}
        assert created.obj["metadata"]["generation"] == 1


async def test_exact_duplicates_among_owners_are_dropped_with_a_warning(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "1"}
        created = await api.create("a", metadata={"ownerReferences": [owner, owner]})
        assert created.obj["metadata"]["ownerReferences"] == [owner]
        assert created.warnings[0].endswith("duplicate UID(s) observed: 1")


@pytest.mark.parametrize("version", ["v1", "-1", "+5", "0x5", "1.5", " 5", "99999999999999999999", "0", "00"])
async def test_a_version_that_storage_cannot_have_given_is_dropped(etcd: EtcdProcess, root: str, version: str) -> None:
    async with running(etcd, root) as api:
        created = await api.create("a", metadata={"resourceVersion": version})
        assert created.status == 201
        assert created.version not in (version, "")
        assert (await api.call("GET", f"{CONFIG_MAPS}/a")).body == created.body


@pytest.mark.parametrize("version", ["1", "05", "18446744073709551615"])
async def test_a_version_that_storage_can_have_given_is_refused(etcd: EtcdProcess, root: str, version: str) -> None:
    async with running(etcd, root) as api:
        created = await api.create("a", metadata={"resourceVersion": version})
        assert (created.status, created.message) == (
            500,
            "resourceVersion should not be set on objects to be created",
        )


async def test_what_follows_the_name_follows_a_generated_one(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        label = "kubernetes.io/metadata.name"
        created = await api.call(
            "POST", "/api/v1/namespaces", {"metadata": {"generateName": "n-", "labels": {"a": "b"}}}
        )
        metadata = created.obj["metadata"]
        assert metadata["labels"] == {"a": "b", label: metadata["name"]}
        dry = await api.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": "n-"}}, dryRun="All")
        assert dry.obj["metadata"]["labels"] == {label: dry.obj["metadata"]["name"]}
        changed = await api.merge(f"/api/v1/namespaces/{metadata['name']}", {"metadata": {"labels": {label: "x"}}})
        assert changed.obj["metadata"]["labels"][label] == metadata["name"]
        pod = {"spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": "Never"}}
        made = await api.call(
            "POST",
            "/apis/batch/v1/namespaces/default/jobs",
            {"metadata": {"generateName": "j-"}, "spec": {"template": pod}},
        )
        job = made.obj
        assert job["metadata"]["labels"]["job-name"] == job["metadata"]["name"]
        assert job["spec"]["template"]["metadata"]["labels"]["batch.kubernetes.io/job-name"] == job["metadata"]["name"]
