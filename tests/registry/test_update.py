"""Replacing and patching objects."""

from __future__ import annotations

import asyncio

import pytest

from tests.registry.api import CONFIG_MAPS, running
from tests.storage.etcd_process import EtcdProcess

A = f"{CONFIG_MAPS}/a"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
REPLICA_SETS = "/apis/apps/v1/namespaces/default/replicasets"
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


async def test_an_update_that_changes_nothing_writes_nothing(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        created = await api.create("a", data={"k": "v"})
        put = await api.call("PUT", A, created.obj)
        patched = await api.merge(A, {"data": {"k": "v"}})
        assert put.status == patched.status == 200
        assert created.version == put.version == patched.version


async def test_a_stale_resource_version_conflicts(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        old = (await api.create("a")).obj
        await api.merge(A, {"data": {"k": "v"}})
        answer = await api.call("PUT", A, old)
        assert answer.status == 409
        assert "the object has been modified" in answer.message
        patch = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"k": "w"}}
        assert (await api.merge(A, patch)).status == 409


async def test_a_write_that_loses_a_race_starts_again_from_what_won(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        patches = [api.merge(A, {"data": {f"k{number}": "v"}}) for number in range(20)]
        answers = await asyncio.gather(*patches)
        assert {answer.status for answer in answers} == {200}
        data = (await api.call("GET", A)).obj["data"]
        assert data == {f"k{number}": "v" for number in range(20)}


async def test_compare_and_swap_through_two_servers_loses_no_update(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as one, running(etcd, root) as other:
        await one.create("a", data={"n": "0"})

        async def add(api: object, times: int) -> None:
            done = 0
            while done < times:
                obj = (await api.call("GET", A)).obj  # type: ignore[attr-defined]
                obj["data"]["n"] = str(int(obj["data"]["n"]) + 1)
                done += (await api.call("PUT", A, obj)).status == 200  # type: ignore[attr-defined]

        await asyncio.gather(*(add(api, 15) for api in (one, other, one, other)))
        assert (await one.call("GET", A)).obj["data"] == {"n": "60"}


async def test_an_absent_object_is_created_by_put_for_some_kinds_only(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        body = {"metadata": {"name": "a"}}
        assert (await api.call("PUT", A, body)).status == 404
        created = await api.call("PUT", f"{LEASES}/a", body)
        assert created.status == 201
        assert created.obj["metadata"]["uid"]


async def test_some_kinds_demand_the_resource_version(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", path=LEASES, kind="Lease")
        answer = await api.call("PUT", f"{LEASES}/a", {"metadata": {"name": "a", "labels": {"x": "y"}}})
        assert answer.status == 422
        assert answer.message.endswith("metadata.resourceVersion: Invalid value: 0: must be specified for an update")


REFUSED = [
    ({"metadata": {"name": "b"}}, 400, "the name of the object (b) does not match the name on the URL (a)"),
    ({"metadata": {}}, 400, "the name of the object (a based on URL) was undeterminable: name must be provided"),
    ({"metadata": {"name": "a", "resourceVersion": "x"}}, 500, 'strconv.ParseUint: parsing "x": invalid syntax'),
]


@pytest.mark.parametrize(("body", "status", "message"), REFUSED)
async def test_what_cannot_replace_an_object_is_refused(
    etcd: EtcdProcess, root: str, body: object, status: int, message: str
) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        answer = await api.call("PUT", A, body)
        assert (answer.status, answer.message) == (status, message)


async def test_a_put_with_another_uid_conflicts(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        answer = await api.call("PUT", A, {"metadata": {"name": "a", "uid": "nobody"}})
        assert answer.status == 409
        assert "UID in precondition: nobody" in answer.message


async def test_generation_counts_changes_of_the_spec_alone(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
        await api.create("a", path=REPLICA_SETS, kind="ReplicaSet", spec=spec)
        path = f"{REPLICA_SETS}/a"

        async def generation(target: str, patch: object) -> int:
            answer = await api.merge(target, patch)
            assert answer.status == 200, answer.message
            return answer.obj["metadata"]["generation"]

        assert await generation(path, {"metadata": {"labels": {"x": "y"}}}) == 1
        assert await generation(path, {"spec": {"replicas": 3}}) == 2
        assert await generation(path, {"metadata": {"generation": 9}}) == 2
        assert await generation(f"{path}/status", {"status": {"replicas": 2}}) == 2


async def test_status_and_spec_are_written_each_through_its_own_path(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
        await api.create("a", path=REPLICA_SETS, kind="ReplicaSet", spec=spec)
        path, both = f"{REPLICA_SETS}/a", {"spec": {"replicas": 5}, "status": {"replicas": 2}}
        obj = (await api.merge(f"{path}/status", both)).obj
        assert (obj["spec"]["replicas"], obj["status"]["replicas"]) == (1, 2)
        obj = (await api.merge(path, {"spec": {"replicas": 5}, "status": {"replicas": 7}})).obj
        assert (obj["spec"]["replicas"], obj["status"]["replicas"]) == (5, 2)


async def test_a_scale_is_a_view_of_the_object(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
        await api.create("a", path=REPLICA_SETS, kind="ReplicaSet", spec=spec)
        path = f"{REPLICA_SETS}/a"
        scale = (await api.call("GET", f"{path}/scale")).obj
        assert (scale["kind"], scale["spec"], scale["status"]) == (
            "Scale", {"replicas": 1}, {"replicas": 0, "selector": "a=b"},
        )  # fmt: skip
        scale["spec"]["replicas"] = 4
        answer = await api.call("PUT", f"{path}/scale", scale)
        assert answer.obj["spec"] == {"replicas": 4}
        obj = (await api.call("GET", path)).obj
        assert (obj["spec"]["replicas"], obj["metadata"]["generation"]) == (4, 2)
        scale["spec"]["replicas"] = -1
        assert (await api.call("PUT", f"{path}/scale", scale)).message.endswith("must be greater than or equal to 0")


async def test_an_object_is_seen_in_every_version_that_is_served(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        old, new = (f"/apis/autoscaling/{v}/namespaces/default/horizontalpodautoscalers" for v in ("v1", "v2"))
        target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
        spec = {"scaleTargetRef": target, "maxReplicas": 3, "targetCPUUtilizationPercentage": 50}
        created = await api.create("a", path=old, kind="HorizontalPodAutoscaler", spec=spec)
        assert created.obj["spec"]["targetCPUUtilizationPercentage"] == 50
        [metric] = (await api.call("GET", f"{new}/a")).obj["spec"]["metrics"]
        assert metric["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
        assert (await api.call("GET", old)).obj["items"][0]["spec"] == created.obj["spec"]


PATCHES = [
    ("application/merge-patch+json", {"data": {"k": None, "l": "w"}}, {"l": "w"}),
    ("application/json-patch+json", [{"op": "add", "path": "/data/l", "value": "w"}], {"k": "v", "l": "w"}),
    ("application/strategic-merge-patch+json", {"data": {"l": "w"}}, {"k": "v", "l": "w"}),
]


@pytest.mark.parametrize(("kind", "patch", "data"), PATCHES)
async def test_every_kind_of_patch(etcd: EtcdProcess, root: str, kind: str, patch: object, data: object) -> None:
    async with running(etcd, root) as api:
        await api.create("a", data={"k": "v"})
        answer = await api.call("PATCH", A, patch, type=kind)
        assert answer.obj["data"] == data
        assert (await api.call("GET", A)).body == answer.body


async def test_apply_creates_changes_and_conflicts(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        kind = "application/apply-patch+yaml"

        async def apply(manager: str, value: str, **query: str) -> int:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": value}}
            return (await api.call("PATCH", A, body, type=kind, fieldManager=manager, **query)).status

        assert await apply("one", "v") == 201
        assert await apply("one", "w") == 200
        assert await apply("two", "x") == 409
        assert await apply("two", "x", force="true") == 200
        assert (await api.call("GET", A)).obj["data"] == {"k": "x"}


UNUSABLE = [
    ("application/merge-patch+json", b"{", 400, "error decoding patch: unexpected end of JSON input"),
    ("application/merge-patch+json", b'{"metadata":{"name":"b"}}', 400, "the name of the object (b) does not match"),
    ("application/merge-patch+json", b'{"data":{"k":5}}', 422, "cannot unmarshal number into Go struct field"),
    ("application/merge-patch+json", b'{"kind":"Secret"}', 422, "unknown conversion"),
    ("application/json", b"{}", 415, "415: Unsupported Media Type"),
]


@pytest.mark.parametrize(("kind", "body", "status", "message"), UNUSABLE)
async def test_what_is_no_patch_is_refused(
    etcd: EtcdProcess, root: str, kind: str, body: bytes, status: int, message: str
) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        answer = await api.call("PATCH", A, body, type=kind)
        assert answer.status == status
        assert message in answer.message


async def test_managed_fields_name_the_client(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", data={"k": "v"})
        answer = await api.merge(A, {"data": {"l": "w"}}, agent="kubectl/v1.36 (linux)")
        managers = {entry["manager"]: entry["fieldsV1"] for entry in answer.obj["metadata"]["managedFields"]}
        assert managers["kubectl"] == {"f:data": {"f:l": {}}}


async def test_the_cached_object_is_not_changed_by_a_patch_that_fails(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        created = await api.create("a", metadata={"labels": {"x": "y"}})
        assert (await api.merge(A, {"metadata": {"labels": {"-bad-": "z"}}})).status == 422
        store = api.backend.registry.store("", "configmaps")
        await store.cache.fresh()
        entry = store.cache.get(store.key("default", "a"))
        assert entry is not None
        assert entry.obj == created.obj


STRATEGIC = "application/strategic-merge-patch+json"


@pytest.mark.parametrize(
    ("patch", "query", "message"),
    [
        (
            {"metadata": {"labels": "invalid"}},
            {},
            '"map[metadata:map[labels:invalid]]": cannot restore map from string',
        ),
        ({"data": ["x"]}, {}, '"map[data:[x]]": cannot restore map from slice'),
        (
            {"data": {"k": 1}, "immutable": True},
            {},
            '"map[data:map[k:1] immutable:true]": cannot convert int64 to string',
        ),
        (
            {"metadata": {"labels": "l"}, "bogus": 1},
            {"fieldValidation": "Strict"},
            '"map[bogus:1 metadata:map[labels:l]]": cannot restore map from string',
        ),
    ],
)
async def test_a_strategic_patch_of_a_wrong_type_is_shown_as_go_prints_it(
    etcd: EtcdProcess, root: str, patch: object, query: dict[str, str], message: str
) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        answer = await api.call("PATCH", A, patch, type=STRATEGIC, **query)
        assert (answer.status, answer.message) == (422, f' "" is invalid: patch: Invalid value: {message}')


async def test_a_merge_patch_of_a_wrong_type_shows_the_document(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        answer = await api.merge(A, {"data": "x"})
        assert answer.status == 422
        assert 'Invalid value: "{' in answer.message
        assert "json: cannot unmarshal string into Go struct field ConfigMap.data" in answer.message
