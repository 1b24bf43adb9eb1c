"""What clients are told when etcd fails."""

from __future__ import annotations

from apiserver_workers.storage.interface import Unavailable

from tests.registry.api import CONFIG_MAPS, running
from tests.storage.etcd_process import EtcdProcess


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
