"""What clients are told when etcd fails."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.registry.interpret import interpret
from apiserver_workers.storage.etcd_api import translate
from apiserver_workers.storage.interface import TooLarge, Unavailable
from apiserver_workers.storage.transport.streams import RpcError

from tests.registry.api import CONFIG_MAPS, running
from tests.storage.etcd_process import EtcdProcess

TEMPLATES = "/api/v1/namespaces/default/podtemplates"


async def test_a_write_of_unknown_outcome_is_never_called_a_success(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        storage = api.backend.storage

        async def fails(*args: object, **options: object) -> int:
            raise Unavailable("no answer")

        for verb in ("create", "update", "delete"):
            setattr(storage, verb, fails)
        assert (await api.create("b")).status == 504
        assert (await api.merge(f"{CONFIG_MAPS}/a", {"data": {"k": "v"}})).status == 504
        assert (await api.call("DELETE", f"{CONFIG_MAPS}/a")).status == 504


async def test_a_read_fails_when_its_freshness_cannot_be_known(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        assert (await api.call("GET", f"{CONFIG_MAPS}/a")).status == 200
        cache = api.backend.registry.store("", "configmaps").cache

        async def fails() -> int:
            raise Unavailable("no answer")

        cache.fresh = fails  # type: ignore[method-assign]
        answer = await api.call("GET", f"{CONFIG_MAPS}/a")
        assert (answer.status, answer.obj["reason"]) == (500, "ServerTimeout")
        # What may be old is served all the same.
        assert (await api.call("GET", f"{CONFIG_MAPS}/a", resourceVersion="0")).status == 200


def keys(count: int) -> dict[str, str]:
    """Data whose managedFields are as large as they are."""
    return {f"key-{number:06}": "" for number in range(count)}


async def test_an_object_that_etcd_does_not_take_is_refused_in_etcds_words(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        huge = {"spec": {"containers": [{"name": "c", "image": "i", "args": ["x" * 1_600_000]}]}}
        small = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
        await api.create("a", path=TEMPLATES, kind="PodTemplate", template=small)
        answers = [
            await api.create("b", path=TEMPLATES, kind="PodTemplate", template=huge),
            await api.merge(f"{TEMPLATES}/a", {"template": huge}),
            await api.call("PUT", f"{TEMPLATES}/a", {"metadata": {"name": "a"}, "template": huge}),
        ]
        for answer in answers:
            status = answer.obj
            assert (status["code"], status.get("reason"), status.get("details")) == (500, None, None)
            assert status["message"] == "etcdserver: request is too large"


async def test_managed_fields_give_way_to_an_object_that_would_be_too_large(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        created = await api.create("a", data=keys(55_000))
        assert created.status == 201
        assert "managedFields" not in created.obj["metadata"]
        await api.create("b")
        for answer in (
            await api.merge(f"{CONFIG_MAPS}/b", {"data": keys(55_000)}),
            await api.call("PUT", f"{CONFIG_MAPS}/b", {"metadata": {"name": "b"}, "data": keys(55_001)}),
        ):
            assert answer.status == 200
            assert "managedFields" not in answer.obj["metadata"]


async def test_an_apply_does_not_lose_its_managed_fields(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": keys(55_000)}
        answer = await api.call(
            "PATCH", f"{CONFIG_MAPS}/a", config, type="application/apply-patch+yaml", fieldManager="m"
        )
        assert (answer.status, answer.message) == (500, "etcdserver: request is too large")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("etcdserver: request is too large", "etcdserver: request is too large"),
        (
            "grpc: received message larger than max (2500000 vs. 2097152)",
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2500000 vs. 2097152)",
        ),
    ],
)
def test_what_etcd_says_of_size(message: str, told: str) -> None:
    error = translate(RpcError(8, message))
    assert isinstance(error, TooLarge)
    info = resource("", "v1", "configmaps")
    assert info is not None
    status = interpret(error, info, "create").status
    assert status == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": told, "code": 500,
    }  # fmt: skip


def test_unknown_errors_of_etcd_are_told_as_they_are() -> None:
    info = resource("", "v1", "configmaps")
    assert info is not None
    error = interpret(translate(RpcError(2, "etcdserver: no space")), info, "update")
    assert (error.code, error.reason, error.message) == (500, "", "etcdserver: no space")
