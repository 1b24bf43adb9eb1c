"""What happens when etcd dies, hangs, or forgets."""

import asyncio
import signal

import pytest
from apiserver_workers.storage import reflector as reflector_module
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.interface import Compacted, Mismatch, Unavailable

from tests.storage.etcd_process import EtcdProcess
from tests.storage.objects import shape, value
from tests.storage.test_watch_cache import caching, take


async def in_thread(function, *arguments):
    await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


async def test_writes_and_watches_go_on_after_etcd_was_killed(own_etcd, tmp_path):
    async with caching(own_etcd, "/registry") as (storage, cache, pods):
        subscription = await pods.watch("/registry/pods/", pods.revision)
        first = await storage.create("/registry/pods/a", value())
        await in_thread(own_etcd.kill)
        write = asyncio.create_task(storage.update("/registry/pods/a", value("b"), first))
        await asyncio.sleep(0.1)
        await in_thread(own_etcd.start)
        second = await write
        assert await pods.fresh() >= second
        assert shape(await take(subscription, 2)) == [("ADDED", "a", first), ("MODIFIED", "a", second)]
        assert cache.healthy


async def test_a_watch_that_moves_is_no_fault_and_one_that_stays_away_is(own_etcd, monkeypatch):
    monkeypatch.setattr(reflector_module, "MOVING", 0.5)
    async with caching(own_etcd, "/registry") as (_, cache, _pods):
        await in_thread(own_etcd.kill)
        await asyncio.sleep(0.2)
        assert cache.healthy
        await asyncio.sleep(0.6)
        assert not cache.healthy
        await in_thread(own_etcd.start)
        async with asyncio.timeout(10):
            while not cache.healthy:
                await asyncio.sleep(0.05)


async def test_no_acknowledged_write_is_lost_or_seen_twice_while_etcd_is_killed(own_etcd):
    async with caching(own_etcd, "/registry") as (storage, _, pods):
        subscription = await pods.watch("/registry/pods/", pods.revision)
        acknowledged = []
        stopping = asyncio.Event()

        async def write(writer: int) -> None:
            number = 0
            while not stopping.is_set():
                number += 1
                try:
                    acknowledged.append(
                        await storage.create(f"/registry/pods/{writer}-{number}", value(uid=f"{writer}-{number}"))
                    )
                except Unavailable:
                    pass

        writers = [asyncio.create_task(write(writer)) for writer in range(4)]
        for _ in range(2):
            await asyncio.sleep(0.2)
            await in_thread(own_etcd.kill)
            await in_thread(own_etcd.start)
        await asyncio.sleep(0.3)
        stopping.set()
        await asyncio.gather(*writers)
        await pods.fresh()
        seen = []
        while batch := await subscription.next(timeout=0.2):
            seen += [event.entry.mod_revision for event in batch]
        assert len(acknowledged) > 20
        assert set(acknowledged) <= set(seen)
        assert seen == sorted(set(seen))
        assert {entry.mod_revision for entry in pods.list("/registry/pods/")} == set(seen)


async def test_a_hung_etcd_makes_consistent_reads_unavailable_in_time(own_etcd, monkeypatch):
    monkeypatch.setattr(reflector_module, "FRESH_TIMEOUT", 0.5)
    storage = EtcdStorage([own_etcd.url], timeout=1.0, probe_timeout=0.5)
    await storage.create("/registry/pods/a", value())
    own_etcd.signal(signal.SIGSTOP)
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await storage.current_revision()
    with pytest.raises(Unavailable):
        await storage.create("/registry/pods/b", value())
    assert asyncio.get_running_loop().time() - began < 3
    own_etcd.signal(signal.SIGCONT)
    assert await storage.current_revision() >= 2
    await storage.close()


async def test_a_write_whose_answer_was_lost_is_never_reported_as_a_mismatch(own_etcd):
    """etcd applies the write after our deadline has passed: we say that we do not know, not that it failed."""
    storage = EtcdStorage([own_etcd.url], timeout=0.6)
    first = await storage.create("/registry/pods/a", value())
    own_etcd.signal(signal.SIGSTOP)
    with pytest.raises(Unavailable):
        await storage.update("/registry/pods/a", value("b"), first)
    own_etcd.signal(signal.SIGCONT)
    try:
        await storage.update("/registry/pods/a", value("c"), first)
    except Mismatch as mismatch:
        assert mismatch.current.value == value("b")
    await storage.close()


async def test_a_cache_that_was_cut_off_past_a_compaction_loads_again(own_etcd):
    async with caching(own_etcd, "/registry") as (storage, cache, pods):
        subscription = await pods.watch("/registry/pods/", pods.revision)
        first = await storage.create("/registry/pods/a", value())
        await take(subscription, 1)
        reflector = cache._everything
        await reflector.stop()
        last = await storage.update("/registry/pods/a", value("b"), first)
        await storage.create("/registry/pods/b", value())
        last = await storage.delete("/registry/pods/b", (await storage.get("/registry/pods/b")).mod_revision)
        await storage.compact(last)
        reflector._task = asyncio.create_task(reflector._run(loaded=True))
        assert await pods.at_least(last) >= last
        assert [entry.value for entry in pods.list("/registry/pods/")] == [value("b")]
        with pytest.raises(Compacted):
            await subscription.next()


async def test_an_etcd_restored_to_an_earlier_state_is_loaded_again(own_etcd, tmp_path):
    empty = EtcdProcess(tmp_path / "restored")
    empty.folder.mkdir()
    async with caching(own_etcd, "/registry") as (storage, _, pods):
        for number in range(20):
            await storage.create(f"/registry/pods/{number}", value())
        assert len(pods.list("/registry/pods/")) <= 20
        before = await pods.fresh()
        await in_thread(own_etcd.kill)
        empty.url = own_etcd.url
        await in_thread(empty.start)
        try:
            async with asyncio.timeout(10):
                while pods.list("/registry/pods/"):
                    await asyncio.sleep(0.05)
            assert pods.revision < before
            revision = await storage.create("/registry/pods/new", value())
            assert await pods.fresh() >= revision
        finally:
            empty.kill()
