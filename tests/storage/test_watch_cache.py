"""The watch cache against a real etcd: what readers and watchers may rely on."""

import asyncio
import random
from contextlib import asynccontextmanager

import orjson
import pytest
from apiserver_workers.storage import history as history_module
from apiserver_workers.storage import reflector as reflector_module
from apiserver_workers.storage import subscription as subscription_module
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.interface import Compacted, Dropped, FutureRevision, Lagging, SlowWatcher
from apiserver_workers.storage.watch_cache import EtcdWatchCache

from tests.storage.objects import shape, value

KEEP = ("pods", "services/specs")
FORMS = pytest.mark.parametrize("only", [None, ("pods",)], ids=["everything", "only pods"])


@asynccontextmanager
async def caching(etcd, root, only=None):
    storage = EtcdStorage([etcd.url])
    cache = EtcdWatchCache(storage, root, keep=KEEP, only=only)
    await cache.start()
    try:
        yield storage, cache, cache.resource("pods")
    finally:
        await cache.stop()
        await storage.close()


async def take(subscription, count):
    events = []
    async with asyncio.timeout(10):
        while len(events) < count:
            events += await subscription.next()
    return events


@FORMS
async def test_a_loaded_cache_holds_what_etcd_holds(etcd, root, only):
    storage = EtcdStorage([etcd.url])
    for number in range(1203):
        await storage.create(f"{root}/pods/n{number % 3}/{number:04}", value(str(number)))
    async with caching(etcd, root, only) as (_, cache, pods):
        assert cache.healthy
        assert len(pods.list(f"{root}/pods/")) == 1203
        assert len(pods.list(f"{root}/pods/n1/")) == 401
        assert pods.get(f"{root}/pods/n0/0000").value == value("0")
        items = orjson.loads(b"[" + b"".join(pods.list_body(f"{root}/pods/n2/")) + b"]")
        assert [item["metadata"]["name"] for item in items] == [str(number) for number in range(2, 1203, 3)]
    await storage.close()


@FORMS
async def test_fresh_holds_every_write_that_was_acknowledged_before(etcd, root, only):
    async with caching(etcd, root, only) as (storage, _, pods), caching(etcd, root, only) as (_, _, other_pods):

        async def write_and_read(number: int) -> bool:
            key = f"{root}/pods/n/{number}"
            created = await storage.create(key, value())
            await storage.create(f"{root}/others/{number}", value())
            seen = [(await cache.fresh(), cache.get(key)) for cache in (pods, other_pods)]
            await storage.delete(key, created)
            gone = [(await cache.fresh(), cache.get(key)) for cache in (pods, other_pods)]
            return all(entry is not None for _, entry in seen) and not any(entry for _, entry in gone)

        for start in range(0, 60, 20):
            assert all(await asyncio.gather(*(write_and_read(start + number) for number in range(20))))


@FORMS
async def test_fresh_returns_after_writes_elsewhere(etcd, root, only):
    async with caching(etcd, root, only) as (storage, _, pods):
        outside = await storage.create(f"{root}-elsewhere", value())
        assert await pods.fresh() >= outside
        assert pods.revision >= outside
        assert await pods.at_least(outside) >= outside


async def test_a_future_revision_is_waited_for_and_then_refused(etcd, root):
    async with caching(etcd, root) as (storage, _, pods):
        future = await storage.current_revision() + 1
        waiting = asyncio.create_task(pods.at_least(future))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await storage.create(f"{root}/pods/a", value())
        assert await waiting >= future
        with pytest.raises(FutureRevision) as raised:
            await pods.at_least(future + 1000, timeout=0.1)
        assert raised.value.current >= future


@FORMS
async def test_watchers_see_every_event_once_in_order_under_concurrent_writers(etcd, root, only):
    async with caching(etcd, root, only) as (storage, _, pods):
        everything = await pods.watch(f"{root}/pods/", pods.revision)
        namespace = await pods.watch(f"{root}/pods/n1/", pods.revision)
        one = await pods.watch(f"{root}/pods/n1/3", pods.revision)
        written = []

        async def write(number: int) -> None:
            key = f"{root}/pods/n{number % 2}/{number}"
            revision = await storage.create(key, value())
            written.append(("ADDED", str(number), revision))
            for kind in ("MODIFIED", "MODIFIED"):
                revision = await storage.update(key, value(str(number), kind), revision)
                written.append((kind, str(number), revision))
            written.append(("DELETED", str(number), await storage.delete(key, revision)))

        await asyncio.gather(*(write(number) for number in range(40)))
        written.sort(key=lambda event: event[2])
        assert shape(await take(everything, 160)) == written
        assert shape(await take(namespace, 80)) == [event for event in written if int(event[1]) % 2]
        assert shape(await take(one, 4)) == [event for event in written if event[1] == "3"]
        assert await everything.next(timeout=0.05) == ()
        assert everything.revision == pods.revision


async def test_deleted_events_carry_the_last_state_at_the_deletions_revision(etcd, root):
    async with caching(etcd, root) as (storage, _, pods):
        revision = await storage.create(f"{root}/pods/a", value("a", "last"))
        subscription = await pods.watch(f"{root}/pods/", revision)
        deletion = await storage.delete(f"{root}/pods/a", revision)
        (event,) = await take(subscription, 1)
        assert event.entry.obj["metadata"]["resourceVersion"] == str(deletion)
        assert event.entry.obj["data"] == {"a": "last"}
        assert event.previous.mod_revision == revision


@FORMS
@pytest.mark.parametrize("memory", [4096, 20], ids=["memory from the load on", "trimmed memory"])
async def test_a_watch_resumes_from_any_revision_without_gap_or_duplicate(etcd, root, only, memory, monkeypatch):
    monkeypatch.setattr(history_module, "MAX_EVENTS", memory)
    storage = EtcdStorage([etcd.url])
    revisions = [await storage.create(f"{root}/pods/n/{number}", value()) for number in range(40)]
    await storage.create(f"{root}/others/quiet", value())
    async with caching(etcd, root, only) as (_, _, pods):
        if memory < 40:
            revisions += [await storage.create(f"{root}/pods/n/{number}", value()) for number in range(40, 100)]
            await pods.fresh()

        async def resume(index: int) -> list[int]:
            subscription = await pods.watch(f"{root}/pods/", revisions[index])
            await asyncio.sleep(random.random() / 50)
            events = await take(subscription, len(revisions) + 30 - index - 1)
            await subscription.aclose()
            return [event.entry.mod_revision for event in events]

        indexes = (0, 1, 17, 38, 39, len(revisions) - 1)
        watches = [asyncio.create_task(resume(index)) for index in indexes]
        later = [await storage.create(f"{root}/pods/n/later{number:02}", value()) for number in range(30)]
        assert await asyncio.gather(*watches) == [(revisions + later)[index + 1 :] for index in indexes]
    await storage.close()


async def test_a_replay_that_is_ahead_of_the_cache_makes_no_duplicate(etcd, root):
    storage = EtcdStorage([etcd.url])
    revisions = [await storage.create(f"{root}/pods/{number}", value()) for number in range(3)]
    async with caching(etcd, root) as (_, cache, pods):
        reflector = cache._everything
        await reflector.stop()
        revisions += [await storage.create(f"{root}/pods/{number}", value()) for number in range(3, 6)]
        subscription = await pods.watch(f"{root}/pods/", revisions[0])
        seen = await take(subscription, 5)
        assert subscription.revision == revisions[-1] > pods.revision
        reflector._task = asyncio.create_task(reflector._run(loaded=True))
        revisions.append(await storage.create(f"{root}/pods/6", value()))
        seen += await take(subscription, 1)
        assert [event.entry.mod_revision for event in seen] == revisions[1:]
    await storage.close()


async def test_a_quiet_resource_resumes_from_before_the_load(etcd, root):
    storage = EtcdStorage([etcd.url])
    old = await storage.create(f"{root}/others/a", value())
    await storage.create(f"{root}/others/b", value())
    async with caching(etcd, root) as (_, _, pods):
        subscription = await pods.watch(f"{root}/pods/", old)
        revision = await storage.create(f"{root}/pods/a", value())
        assert shape(await take(subscription, 1)) == [("ADDED", "a", revision)]
        await subscription.aclose()
    await storage.close()


async def test_a_watch_from_compacted_history_is_refused(etcd, root):
    storage = EtcdStorage([etcd.url])
    first = await storage.create(f"{root}/pods/a", value())
    last = await storage.update(f"{root}/pods/a", value("b"), first)
    async with caching(etcd, root) as (_, _, pods):
        await storage.compact(last)
        with pytest.raises(Compacted) as raised:
            await pods.watch(f"{root}/pods/", first - 1)
        assert raised.value.revision == last
        assert (await pods.watch(f"{root}/pods/", pods.revision)) is not None
    await storage.close()


async def test_a_slow_watcher_is_dropped_alone(etcd, root, monkeypatch):
    monkeypatch.setattr(subscription_module, "MAX_PENDING", 10)
    async with caching(etcd, root) as (storage, _, pods):
        slow = await pods.watch(f"{root}/pods/", pods.revision)
        quick = await pods.watch(f"{root}/pods/", pods.revision)
        seen = []
        for number in range(12):
            await storage.create(f"{root}/pods/{number}", value())
            seen += await take(quick, 1)
        with pytest.raises(SlowWatcher):
            await slow.next()
        assert len(seen) == 12


async def test_closing_a_subscription_ends_its_reader(etcd, root):
    async with caching(etcd, root) as (_, _, pods):
        subscription = await pods.watch(f"{root}/pods/", pods.revision)

        async def read():
            return [events async for events in subscription]

        reader = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        await subscription.aclose()
        assert await reader == []


async def test_a_resource_below_two_folders_has_its_entries_and_events(etcd, root):
    async with caching(etcd, root) as (storage, cache, pods):
        await storage.create(f"{root}/services/specs/n/a", value())
        gone = await storage.create(f"{root}/services/specs/n/gone", value())
        await storage.delete(f"{root}/services/specs/n/gone", gone)
        await storage.create(f"{root}/services/endpoints/n/a", value())
        await pods.fresh()
        services = cache.resource("services/specs")
        assert [entry.key for entry in services.list(f"{root}/services/specs/")] == [f"{root}/services/specs/n/a"]
        subscription = await services.watch(f"{root}/services/specs/", services.revision)
        revision = await storage.create(f"{root}/services/specs/n/b", value())
        assert shape(await take(subscription, 1)) == [("ADDED", "b", revision)]


async def test_a_limited_cache_can_follow_more_resources(etcd, root):
    async with caching(etcd, root, ("pods",)) as (storage, cache, _):
        await storage.create(f"{root}/example.com/widgets/a", value())
        with pytest.raises(KeyError):
            cache.resource("example.com/widgets")
        widgets = await cache.add("example.com/widgets")
        assert [entry.key for entry in widgets.list(f"{root}/example.com/widgets/")] == [
            f"{root}/example.com/widgets/a"
        ]
        assert cache.resource("example.com/widgets") is widgets


@FORMS
async def test_resources_are_added_and_dropped_while_it_runs(etcd, root, only):
    key = f"{root}/example.com/widgets/a"
    async with caching(etcd, root, only) as (storage, cache, pods):
        await storage.create(key, value())
        for _ in range(2):
            widgets = await cache.add("example.com/widgets")
            assert [entry.key for entry in widgets.list(f"{root}/example.com/widgets/")] == [key]
            watch = await widgets.watch(f"{root}/example.com/widgets/", widgets.revision)
            ending = asyncio.create_task(watch.next())
            await asyncio.sleep(0)
            await cache.drop("example.com/widgets")
            with pytest.raises(Dropped):
                await ending
            with pytest.raises(KeyError):
                cache.resource("example.com/widgets")
        await storage.create(f"{root}/pods/a", value())
        await pods.fresh()
        assert [entry.key for entry in pods.list(f"{root}/pods/")] == [f"{root}/pods/a"]
        assert set(cache.counts()) == ({"pods"} if only else {"pods", "services/specs"})


async def test_what_is_not_kept_is_passed_over_and_may_be_dropped_and_added_again(etcd, root):
    async with caching(etcd, root) as (storage, cache, pods):
        await storage.create(f"{root}/secrets/n/a", value())
        await storage.create(f"{root}/pods/n/a", value())
        await pods.fresh()
        with pytest.raises(KeyError):
            cache.resource("secrets")
        await cache.drop("pods")
        await storage.create(f"{root}/pods/n/b", value())
        again = await cache.add("pods")
        assert [entry.key for entry in again.list(f"{root}/pods/")] == [f"{root}/pods/n/a", f"{root}/pods/n/b"]


async def test_a_watch_that_has_fallen_silent_is_opened_anew(etcd, root, monkeypatch):
    monkeypatch.setattr(reflector_module, "FRESH_TIMEOUT", 0.3)
    storage = EtcdStorage([etcd.url])
    opened = []
    open_watch = storage.watch_stream

    async def first_is_silent(*arguments, **options):
        opened.append(arguments)
        async for answer in open_watch(*arguments, **options):
            if len(opened) > 1 or answer.created:
                yield answer

    monkeypatch.setattr(storage, "watch_stream", first_is_silent)
    cache = EtcdWatchCache(storage, root, keep=KEEP)
    await cache.start()
    pods = cache.resource("pods")
    revision = await storage.create(f"{root}/pods/a", value())
    with pytest.raises(Lagging):
        await pods.fresh()
    async with asyncio.timeout(5):
        while pods.revision < revision:
            await asyncio.sleep(0.02)
    assert await pods.fresh() >= revision
    assert len(opened) == 2
    await cache.stop()
    await storage.close()
