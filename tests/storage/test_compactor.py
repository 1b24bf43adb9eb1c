import asyncio

import pytest
from apiserver_workers.storage.compactor import KEY, compact_once, compactor
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.interface import Compacted

from tests.storage.objects import value


async def test_of_two_servers_one_compacts_what_was_current_an_interval_ago(own_etcd):
    one, other = EtcdStorage([own_etcd.url]), EtcdStorage([own_etcd.url])
    first = await one.create("/registry/pods/a", value())
    mine, others = await compact_once(one, 0, 0), await compact_once(other, 0, 0)
    assert mine == (1, first + 1)
    assert others == (1, first + 1)  # it lost, and learned the round
    last = await one.update("/registry/pods/a", value("b"), first)
    assert await compact_once(other, *others) == (2, last + 1)
    assert (await one.get(KEY.decode())).value == b"%d" % (first + 1)
    assert await compact_once(one, *mine) == (2, last + 1)
    with pytest.raises(Compacted):
        await one.get("/registry/pods/a", revision=first)
    assert (await one.get("/registry/pods/a", revision=last)).value == value("b")


async def test_the_loop_compacts_every_interval(own_etcd):
    storage = EtcdStorage([own_etcd.url])
    revision = await storage.create("/registry/pods/a", value())
    task = asyncio.create_task(compactor(storage, 0.05))
    async with asyncio.timeout(5):
        while True:
            await asyncio.sleep(0.02)
            try:
                await storage.get("/registry/pods/a", revision=revision)
            except Compacted:
                break
    task.cancel()
    await storage.close()


async def test_no_interval_no_compaction():
    await compactor(EtcdStorage(["127.0.0.1:9"]), 0)
