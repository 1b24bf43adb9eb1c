"""The storage contract, against a real etcd and against the one in memory that other tests run on."""

import asyncio

import pytest
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.interface import (
    Compacted,
    FutureRevision,
    KeyExists,
    Mismatch,
    StorageError,
    Unavailable,
)

from tests.storage.memory import memory_storage
from tests.storage.objects import shape, value


@pytest.fixture(params=["etcd", "memory"])
def storage(request):
    if request.param == "memory":
        return memory_storage()
    return EtcdStorage([request.getfixturevalue("etcd").url])


async def test_create_get_update_delete(storage, root):
    key = f"{root}/pods/ns/a"
    assert await storage.get(key) is None
    first = await storage.create(key, value("a"))
    entry = await storage.get(key)
    assert (entry.key, entry.value, entry.mod_revision) == (key, value("a"), first)
    second = await storage.update(key, value("a", "new"), first)
    assert second > first
    assert (await storage.get(key, revision=first)).value == value("a")
    deletion = await storage.delete(key, second)
    assert deletion > second
    assert await storage.get(key) is None


async def test_create_of_a_key_that_exists(storage, root):
    await storage.create(f"{root}/a", value())
    with pytest.raises(KeyExists):
        await storage.create(f"{root}/a", value())


@pytest.mark.parametrize("verb", ["update", "delete"])
async def test_another_revision_is_a_mismatch_that_tells_the_present_entry(storage, root, verb):
    key = f"{root}/a"
    first = await storage.create(key, value())
    second = await storage.update(key, value("a", "second"), first)
    attempt = storage.update(key, value(), first) if verb == "update" else storage.delete(key, first)
    with pytest.raises(Mismatch) as raised:
        await attempt
    assert raised.value.current.mod_revision == second
    assert raised.value.current.value == value("a", "second")


@pytest.mark.parametrize("verb", ["update", "delete"])
async def test_a_key_that_is_gone_is_a_mismatch_without_an_entry(storage, root, verb):
    attempt = storage.update(f"{root}/a", value(), 5) if verb == "update" else storage.delete(f"{root}/a", 5)
    with pytest.raises(Mismatch) as raised:
        await attempt
    assert raised.value.current is None


async def test_increments_by_concurrent_writers_are_never_lost(storage, root):
    key = f"{root}/counter"
    await storage.create(key, b"0")

    async def increment(times: int) -> None:
        done = 0
        while done < times:
            entry = await storage.get(key)
            try:
                await storage.update(key, b"%d" % (int(entry.value) + 1), entry.mod_revision)
                done += 1
            except Mismatch:
                pass

    await asyncio.gather(*(increment(25) for _ in range(8)))
    assert (await storage.get(key)).value == b"200"


async def test_pages_of_a_list_show_one_revision(storage, root):
    for number in range(25):
        await storage.create(f"{root}/a/{number:02}", value())
    await storage.create(f"{root}/b", value())
    page = await storage.list(f"{root}/a/", limit=10)
    assert (len(page.entries), page.remaining) == (10, 15)
    await storage.create(f"{root}/a/11x", value())
    await storage.delete(f"{root}/a/24", (await storage.get(f"{root}/a/24")).mod_revision)
    names = [entry.key[-2:] for entry in page.entries]
    while page.remaining:
        page = await storage.list(f"{root}/a/", start_key=page.entries[-1].key + "\0", limit=10, revision=page.revision)
        names += [entry.key[-2:] for entry in page.entries]
    assert names == [f"{number:02}" for number in range(25)]


async def test_compacted_and_future_revisions(storage, root):
    key = f"{root}/a"
    first = await storage.create(key, value())
    second = await storage.update(key, value("b"), first)
    with pytest.raises(FutureRevision) as raised:
        await storage.list(f"{root}/", revision=second + 100_000)
    assert raised.value.current >= second
    await storage.compact(second)
    with pytest.raises(Compacted):
        await storage.list(f"{root}/", revision=first)
    with pytest.raises(Compacted):
        await storage.get(key, revision=first)
    with pytest.raises(Compacted) as compacted:
        await anext(storage.watch(f"{root}/", first))
    assert compacted.value.revision == second


async def test_a_large_value_is_stored_and_a_too_large_one_refused(storage, root):
    large = value("a", "x" * 1_400_000)
    revision = await storage.create(f"{root}/a", large)
    assert (await storage.get(f"{root}/a")).value == large
    with pytest.raises(StorageError, match="request is too large"):
        await storage.update(f"{root}/a", value("a", "x" * 1_700_000), revision)
    listing = await storage.list(f"{root}/")
    assert listing.entries[0].value == large


async def test_watch_reports_changes_in_order_with_the_previous_state(storage, root):
    key = f"{root}/pods/a"
    first = await storage.create(key, value("a"))
    second = await storage.update(key, value("a", "2"), first)
    third = await storage.delete(key, second)
    events = []
    async for batch in storage.watch(f"{root}/pods/", first):
        events += batch
        if len(events) == 3:
            break
    assert shape(events) == [("ADDED", "a", first), ("MODIFIED", "a", second), ("DELETED", "a", third)]
    assert [event.previous and event.previous.mod_revision for event in events] == [None, first, second]
    assert events[2].entry.value == value("a", "2")


async def test_calls_that_wait_at_the_same_time_share_one_probe(storage, root, monkeypatch):
    probes = 0
    probe = storage._read_index._read

    async def counted() -> int:
        nonlocal probes
        probes += 1
        return await probe()

    monkeypatch.setattr(storage._read_index, "_read", counted)
    revisions = await asyncio.gather(*(storage.current_revision() for _ in range(50)))
    assert (probes, len(set(revisions))) == (1, 1)


async def test_a_read_index_is_never_older_than_a_write_before_it(storage, root):
    async def write_then_probe(number: int) -> bool:
        revision = await storage.create(f"{root}/{number}", value())
        return await storage.current_revision() >= revision

    assert all(await asyncio.gather(*(write_then_probe(number) for number in range(200))))


async def test_objects_with_a_ttl_expire(storage, root):
    first = await storage.create(f"{root}/a", value(), ttl=1)
    events = []
    async with asyncio.timeout(10):
        async for changes in storage.watch(f"{root}/", first):
            events += changes
            if len(events) == 2:
                break
    assert [event.type for event in events] == ["ADDED", "DELETED"]


async def test_unreachable_etcd_is_unavailable_within_the_deadline():
    storage = EtcdStorage(["127.0.0.1:9"], timeout=0.4, probe_timeout=0.3)
    began = asyncio.get_running_loop().time()
    for attempt in (storage.get("/a"), storage.create("/a", value()), storage.current_revision()):
        with pytest.raises(Unavailable):
            await attempt
    assert asyncio.get_running_loop().time() - began < 2
    await storage.close()
