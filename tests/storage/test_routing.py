"""Several etcd clusters: each resource is read, written and followed in its own."""

import asyncio
from types import SimpleNamespace

import pytest
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.factory import cache_windows, is_cached, parse_cache_sizes, parse_overrides
from apiserver_workers.storage.routing import RoutedStorage
from apiserver_workers.storage.watch_cache import EtcdWatchCache

from tests.storage.objects import shape, value
from tests.storage.test_watch_cache import take


def settings(**changes):
    given = {"watch_cache": True, "watch_cache_sizes": (), "default_watch_cache_size": 100}
    return SimpleNamespace(**(given | changes))


def test_overrides_name_resources_by_group_and_stand_for_where_those_lie():
    found = parse_overrides(
        ("/events#http://a:1;http://b:1", "/nodes#http://c:1", "apps/deployments#http://a:1", "example.com/widgets#http://d:1")
    )  # fmt: skip
    assert found == {
        "events": ("http://a:1", "http://b:1"),
        "minions": ("http://c:1",),
        "deployments": ("http://a:1",),
        "example.com/widgets": ("http://d:1",),
    }


@pytest.mark.parametrize(
    ("changes", "cached"),
    [
        ({}, True),
        ({"watch_cache": False}, False),
        ({"watch_cache": False, "watch_cache_sizes": ("pods#5",)}, False),
        ({"watch_cache_sizes": ("pods#0",)}, False),
        ({"watch_cache_sizes": ("pods.apps#0", "nodes#0")}, True),
        ({"default_watch_cache_size": 0}, False),
        ({"default_watch_cache_size": 0, "watch_cache_sizes": ("pods#7",)}, True),
    ],
)
def test_what_is_cached(changes, cached):
    assert is_cached(settings(**changes), "", "pods") is cached


def test_sizes_are_of_resources_and_windows_of_where_they_lie():
    sizes = ("nodes#5", "events#0", "deployments.apps#7")
    assert parse_cache_sizes(sizes) == {("", "nodes"): 5, ("", "events"): 0, ("apps", "deployments"): 7}
    assert cache_windows(settings(watch_cache_sizes=sizes)) == {"minions": 5, "deployments": 7}


async def test_each_resource_is_followed_in_its_own_cluster(etcd, own_etcd, root):
    main, other = EtcdStorage([etcd.url]), EtcdStorage([own_etcd.url])
    # what lay there before the override is not shown any more
    await main.create(f"{root}/events/ns/old", value("old"))
    storage = RoutedStorage(main, {f"{root}/events/": other})
    cache = EtcdWatchCache(storage, root, keep=("pods",))
    await cache.start()
    pods, events = cache.resource("pods"), cache.resource("events")
    subscription = await events.watch(f"{root}/events/", events.revision)
    written = [await storage.create(f"{root}/{folder}/ns/a", value()) for folder in ("pods", "events")]
    assert await pods.fresh() >= written[0]
    assert await events.fresh() >= written[1]
    assert events.revision < written[0], "each counts by itself"
    assert [entry.key for entry in events.list(f"{root}/events/")] == [f"{root}/events/ns/a"]
    assert await other.get(f"{root}/events/ns/a")
    assert not await main.get(f"{root}/events/ns/a")
    assert not await other.get(f"{root}/pods/ns/a")
    changed = await storage.update(f"{root}/events/ns/a", value("b"), written[1])
    gone = await storage.delete(f"{root}/events/ns/a", changed)
    await main.create(f"{root}/events/ns/stray", value())
    assert shape(await take(subscription, 3)) == [
        ("ADDED", "a", written[1]),
        ("MODIFIED", "a", changed),
        ("DELETED", "a", gone),
    ]
    await pods.fresh()
    assert events.list(f"{root}/events/") == []
    assert (await storage.list(f"{root}/events/")).entries == []
    await cache.stop()
    await asyncio.gather(main.close(), other.close())
