"""Watches: order, selections, initial events, bookmarks."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from apiserver_workers.server.endpoints import watch as watching

from tests.registry.api import CONFIG_MAPS, events, running
from tests.storage.etcd_process import EtcdProcess

INITIAL = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}


async def take(events: AsyncIterator[Any], count: int) -> list[tuple[str, str]]:
    """(type, name) of that many events."""
    async with asyncio.timeout(5):
        found = [await anext(events) for _ in range(count)]
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in found]


async def test_every_change_after_the_revision_is_told_once_in_order(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        since = (await api.create("a")).version
        watch = await api.watch(CONFIG_MAPS, resourceVersion=since)
        await api.create("b")
        await api.merge(f"{CONFIG_MAPS}/a", {"data": {"k": "v"}})
        await api.call("DELETE", f"{CONFIG_MAPS}/b")
        expected = [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
        assert await take(watch, 3) == expected
        assert await take(await api.watch(CONFIG_MAPS, resourceVersion=since), 3) == expected


async def test_without_a_revision_the_present_state_comes_first(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        watch = await api.watch(CONFIG_MAPS)
        assert await take(watch, 1) == [("ADDED", "a")]
        await api.create("b")
        assert await take(watch, 1) == [("ADDED", "b")]


async def test_objects_enter_and_leave_a_selection(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        since = (await api.create("a")).version
        watch = await api.watch(CONFIG_MAPS, resourceVersion=since, labelSelector="on=yes")
        path = f"{CONFIG_MAPS}/a"
        await api.merge(path, {"metadata": {"labels": {"on": "yes"}}})
        await api.merge(path, {"data": {"k": "v"}})
        left = await api.merge(path, {"metadata": {"labels": {"on": "no"}}})
        await api.merge(path, {"data": {"k": "w"}})
        assert await take(watch, 2) == [("ADDED", "a"), ("MODIFIED", "a")]
        last = await anext(watch)
        assert last["type"] == "DELETED"
        # The last state that was selected, at the revision that ended it.
        assert last["object"]["metadata"]["labels"] == {"on": "yes"}
        assert last["object"]["metadata"]["resourceVersion"] == left.version


async def test_a_bookmark_ends_the_initial_events(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        watch = await api.watch(CONFIG_MAPS, **INITIAL)
        assert await take(watch, 1) == [("ADDED", "a")]
        bookmark = await anext(watch)
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["kind"] == "ConfigMap"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        await api.create("b")
        assert await take(watch, 1) == [("ADDED", "b")]


async def test_bookmarks_come_now_and_then_and_at_the_end(
    etcd: EtcdProcess, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "BOOKMARK_INTERVAL", 0.3)
    async with running(etcd, root) as api:
        since = (await api.create("a")).version
        query = {"resourceVersion": since, "allowWatchBookmarks": "true", "timeoutSeconds": 1}
        watch = await api.watch(CONFIG_MAPS, **query)
        newest = (await api.create("b")).version
        events = [event async for event in watch]
        assert events[0]["object"]["metadata"]["name"] == "b"
        bookmarks = events[1:]
        assert len(bookmarks) >= 3
        assert {event["type"] for event in bookmarks} == {"BOOKMARK"}
        assert all(int(event["object"]["metadata"]["resourceVersion"]) >= int(newest) for event in bookmarks)


async def test_a_watch_ends_after_its_time(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        async with asyncio.timeout(3):
            watch = await api.watch(CONFIG_MAPS, timeoutSeconds=1)
            assert [event async for event in watch] == []


async def test_a_compacted_revision_is_told_in_the_stream(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as one:
        since = (await one.create("a")).version
        await one.create("b")
        await one.backend.storage.compact(int((await one.create("c")).version))
        # Another server does not have in memory what was before it started.
        async with running(etcd, root) as other:
            events = [event async for event in await other.watch(CONFIG_MAPS, resourceVersion=since)]
            [error] = events
            assert (error["type"], error["object"]["code"], error["object"]["reason"]) == ("ERROR", 410, "Expired")


@pytest.mark.parametrize("path", [CONFIG_MAPS, "/api/v1/configmaps", "/api/v1/watch/namespaces/default/configmaps/d"])
async def test_a_watch_may_start_in_the_future(etcd: EtcdProcess, root: str, path: str) -> None:
    async with running(etcd, root) as api:
        now = int((await api.create("a")).version)
        async with asyncio.timeout(1):  # at once: nothing is waited for
            watch = await api.watch(path, resourceVersion=now + 2)
        for name in "bcd":
            await api.create(name)
        assert await take(watch, 1) == [("ADDED", "d")]


async def test_a_future_revision_with_initial_events_is_refused_in_the_stream(
    etcd: EtcdProcess, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(etcd, root) as api:
        now = (await api.create("a")).version
        cache = api.backend.registry.store("", "configmaps").cache
        monkeypatch.setattr(type(cache), "at_least", functools.partialmethod(type(cache).at_least, timeout=0.05))
        [error] = [event async for event in await api.watch(CONFIG_MAPS, **INITIAL, resourceVersion=10**9)]
        assert error["type"] == "ERROR"
        status = error["object"]
        assert (status["code"], status["reason"]) == (504, "Timeout")
        assert status["message"] == f"Timeout: Too large resource version: 1000000000, current: {now}"
        assert status["details"]["causes"] == [
            {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        ]


async def test_a_revision_that_is_no_number_is_refused_before_the_stream(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        answer = await api.call("GET", CONFIG_MAPS, watch="1", resourceVersion="x")
        assert answer.status == 500


async def test_frames_are_made_once_for_all_watchers_of_a_form(
    etcd: EtcdProcess, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(etcd, root) as api:
        made = []

        def make(frames: watching.Frames, *told: Any, columns: bool = False) -> bytes:
            made.append(told)
            return b"frame"

        monkeypatch.setattr(watching.Frames, "make", make)
        requests = [api.request("GET", CONFIG_MAPS, watch="1") for _ in range(3)]
        streams = [(await api.handle(request)).body for request in requests]
        await api.create("a")
        frames = [await anext(stream) for stream in streams]  # type: ignore[arg-type]
        assert frames == [b"frame"] * 3
        assert len(made) == 1
        for stream in streams:
            await stream.aclose()  # type: ignore[union-attr]


async def test_a_watch_that_nobody_reads_leaves_nothing_behind(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        response = await api.handle(api.request("GET", CONFIG_MAPS, watch="1"))
        cache = api.backend.registry.store("", "configmaps").cache
        assert cache._watchers  # type: ignore[attr-defined]
        await response.body.aclose()  # type: ignore[union-attr]
        assert not cache._watchers  # type: ignore[attr-defined]


async def test_a_watch_of_one_object_hears_of_no_other(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        since = (await api.create("a")).version
        everywhere = {"resourceVersion": since, "fieldSelector": "metadata.namespace=default,metadata.name=b"}
        watches = [
            await api.watch(CONFIG_MAPS, resourceVersion=since, fieldSelector="metadata.name=b"),
            await api.watch("/api/v1/configmaps", **everywhere),
        ]
        for name in "cb":
            await api.create(name)
        for watch in watches:
            assert await take(watch, 1) == [("ADDED", "b")]


async def test_a_table_heads_its_first_frame_alone(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        for name in "ab":
            await api.create(name)
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
        response = await api.handle(api.request("GET", CONFIG_MAPS, watch="1", accept=accept))
        watch = events(response.body)
        first, second = await anext(watch), await anext(watch)
        assert len(first["object"]["columnDefinitions"]) == 3
        assert second["object"]["columnDefinitions"] is None
        assert second["object"]["rows"][0]["cells"][0] == "b"
        await watch.aclose()  # type: ignore[attr-defined]


async def test_protobuf_frames_carry_their_length(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a")
        request = api.request("GET", CONFIG_MAPS, watch="1", accept="application/vnd.kubernetes.protobuf")
        response = await api.handle(request)
        assert response.content_type == "application/vnd.kubernetes.protobuf;stream=watch"
        frame = await anext(response.body)  # type: ignore[arg-type]
        assert int.from_bytes(frame[:4], "big") == len(frame) - 4
        await response.body.aclose()  # type: ignore[union-attr]


REFUSED = [
    ({"sendInitialEvents": "true"}, 422, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    ({"resourceVersion": "1", "resourceVersionMatch": "NotOlderThan"}, 422, "unless sendInitialEvents is provided"),
    ({"continue": "x"}, 422, "resourceVersionMatch is forbidden when continue is provided"),
    ({"resourceVersion": "x"}, 500, 'strconv.ParseUint: parsing "x": invalid syntax'),
]


@pytest.mark.parametrize(("query", "status", "message"), REFUSED)
async def test_options_that_make_no_sense_are_refused(
    etcd: EtcdProcess, root: str, query: Any, status: int, message: str
) -> None:
    async with running(etcd, root) as api:
        answer = await api.call("GET", CONFIG_MAPS, watch="1", **query)
        assert answer.status == status
        assert message in answer.message
