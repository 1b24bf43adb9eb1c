"""Lists: pages, revisions, selectors, forms."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.registry import continue_token
from apiserver_workers.registry.options import ListOptions
from apiserver_workers.server.endpoints.negotiation import JSON

from tests.registry.api import CONFIG_MAPS, Answer, Api, running
from tests.storage.etcd_process import EtcdProcess


def names(answer: Answer) -> list[str]:
    return [item["metadata"]["name"] for item in answer.obj["items"]]


async def make(api: Api, count: int) -> None:
    for number in range(count):
        await api.create(f"c{number}", metadata={"labels": {"odd": str(number % 2)}})


async def test_items_say_no_kind_of_their_own(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await make(api, 1)
        listed = (await api.call("GET", CONFIG_MAPS)).obj
        assert listed["kind"] == "ConfigMapList"
        assert list(listed["items"][0]) == ["metadata"]


async def test_pages_continue_at_the_revision_of_the_first(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await make(api, 5)
        first = await api.call("GET", CONFIG_MAPS, limit=2)
        assert names(first) == ["c0", "c1"]
        assert first.obj["metadata"]["remainingItemCount"] == 3
        await api.create("c1b")
        await api.call("DELETE", f"{CONFIG_MAPS}/c3")
        token = first.obj["metadata"]["continue"]
        second = await api.call("GET", CONFIG_MAPS, limit=2, **{"continue": token})
        assert names(second) == ["c2", "c3"]
        assert second.version == first.version
        rest = await api.call("GET", CONFIG_MAPS, **{"continue": token})
        assert names(rest) == ["c2", "c3", "c4"]
        assert "continue" not in rest.obj["metadata"]


async def test_pages_of_selected_objects_do_not_count_what_remains(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await make(api, 6)
        first = await api.call("GET", CONFIG_MAPS, limit=2, labelSelector="odd=1")
        assert names(first) == ["c1", "c3"]
        assert "remainingItemCount" not in first.obj["metadata"]
        token = first.obj["metadata"]["continue"]
        assert names(await api.call("GET", CONFIG_MAPS, limit=2, labelSelector="odd=1", **{"continue": token})) == [
            "c5"
        ]


async def test_an_exact_revision_is_read_from_history(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        version = (await api.create("a")).version
        await api.create("b")
        exact = {"resourceVersion": version, "resourceVersionMatch": "Exact"}
        assert names(await api.call("GET", CONFIG_MAPS, **exact)) == ["a"]
        newer = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan"}
        assert names(await api.call("GET", CONFIG_MAPS, **newer)) == ["a", "b"]


async def test_a_compacted_revision_is_gone_and_a_token_goes_on_inconsistently(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await make(api, 3)
        first = await api.call("GET", CONFIG_MAPS, limit=1)
        await api.create("d")
        await api.backend.storage.compact(int((await api.create("e")).version))
        exact = {"resourceVersion": first.version, "resourceVersionMatch": "Exact"}
        assert (await api.call("GET", CONFIG_MAPS, **exact)).status == 410
        gone = await api.call("GET", CONFIG_MAPS, limit=1, **{"continue": first.obj["metadata"]["continue"]})
        assert (gone.status, gone.obj["reason"]) == (410, "Expired")
        token = gone.obj["metadata"]["continue"]
        assert names(await api.call("GET", CONFIG_MAPS, **{"continue": token})) == ["c1", "c2", "d", "e"]


async def test_a_revision_that_does_not_exist_yet_times_out(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        answer = await api.call("GET", CONFIG_MAPS, resourceVersion=10**9, resourceVersionMatch="Exact")
        assert answer.status == 504
        assert answer.message.startswith("Timeout: Too large resource version: 1000000000, current: ")
        assert ("Retry-After", "1") in answer.headers


async def test_every_server_sees_what_another_has_acknowledged(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as one, running(etcd, root) as other:
        for number in range(30):
            await one.create(f"n{number}")
            assert (await other.call("GET", f"{CONFIG_MAPS}/n{number}")).status == 200
        assert len(names(await other.call("GET", CONFIG_MAPS))) == 30


REFUSED = [
    ({"limit": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ({"labelSelector": "a~1"}, 400, 'unable to parse requirement: <nil>: Invalid value: "a~1"'),
    ({"fieldSelector": "metadata.name"}, 400, "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
    ({"fieldSelector": "spec.x=1"}, 400, '"spec.x" is not a known field selector: only "metadata.name"'),
    ({"resourceVersion": "x"}, 400, "invalid resource version: resourceVersion: Invalid value"),
    ({"resourceVersionMatch": "Exact"}, 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
    ({"sendInitialEvents": "true"}, 422, "sendInitialEvents is forbidden for list"),
    ({"continue": "golden"}, 400, "invalid continue token: continue key is not valid: invalid character"),
    ({"continue": continue_token.encode(0, "a")}, 400, "incorrect encoded start resourceVersion"),
    ({"continue": continue_token.encode(1, "../a")}, 400, "continue key is not valid: ../a"),
    ({"continue": continue_token.encode(1, "a"), "resourceVersion": "5"}, 400, "is not allowed when using continue"),
]


@pytest.mark.parametrize(("query", "status", "message"), REFUSED)
async def test_options_that_make_no_sense_are_refused(
    etcd: EtcdProcess, root: str, query: Any, status: int, message: str
) -> None:
    async with running(etcd, root) as api:
        answer = await api.call("GET", CONFIG_MAPS, **query)
        assert answer.status == status
        assert message in answer.message


SELECTORS = [
    ({"labelSelector": "odd=1"}, ["c1"]),
    ({"labelSelector": "odd notin (1)"}, ["c0", "c2"]),
    ({"labelSelector": "odd>0"}, ["c1"]),
    ({"labelSelector": "!odd"}, []),
    ({"fieldSelector": "metadata.name=c2"}, ["c2"]),
    ({"fieldSelector": "metadata.name!=c2"}, ["c0", "c1"]),
    ({"fieldSelector": "metadata.name=c2", "labelSelector": "odd=1"}, []),
]


@pytest.mark.parametrize(("query", "expected"), SELECTORS)
async def test_selectors(etcd: EtcdProcess, root: str, query: Any, expected: list[str]) -> None:
    async with running(etcd, root) as api:
        await make(api, 3)
        assert names(await api.call("GET", CONFIG_MAPS, **query)) == expected


async def test_a_table_and_metadata_alone(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await api.create("a", data={"k": "v"})
        table = (await api.call("GET", CONFIG_MAPS, accept="application/json;as=Table;v=v1;g=meta.k8s.io")).obj
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert table["rows"][0]["cells"][:2] == ["a", 1]
        assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
        accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
        [item] = (await api.call("GET", CONFIG_MAPS, accept=accept)).obj["items"]
        assert set(item) == {"kind", "apiVersion", "metadata"}


async def test_yaml_protobuf_and_pretty_json(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        created = await api.create("a", data={"k": "yes"})
        path = f"{CONFIG_MAPS}/a"
        assert (await api.call("GET", path, accept="application/yaml")).obj == created.obj
        protobuf = await api.call("GET", path, accept="application/vnd.kubernetes.protobuf")
        assert protobuf.body.startswith(b"k8s\0")
        pretty = await api.call("GET", path, pretty="true")
        assert pretty.body.startswith(b'{\n  "kind"')
        assert pretty.obj == created.obj


NOT_ACCEPTABLE = [
    ("text/html", "406: Not Acceptable"),
    ("application/json;as=Table;v=v9;g=meta.k8s.io", "only the following media types are accepted"),
    ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "but the requested object is a list"),
]


@pytest.mark.parametrize(("accept", "message"), NOT_ACCEPTABLE)
async def test_what_is_not_served_is_not_acceptable(etcd: EtcdProcess, root: str, accept: str, message: str) -> None:
    async with running(etcd, root) as api:
        answer = await api.call("GET", CONFIG_MAPS, accept=accept)
        assert answer.status == 406
        assert message in answer.message


async def test_pages_from_etcd_hold_the_entries_that_the_cache_has_read_already(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        for number in range(5):
            await api.create(f"c{number}")
        store = api.backend.registry.store("", "configmaps")
        page = await store.list("default", ListOptions(limit=2))
        rest = await store.list("default", ListOptions(limit=2, continue_token=page.continue_token))
        assert [entry.key.rsplit("/", 1)[1] for entry in rest.entries] == ["c2", "c3"]
        assert all(entry is store.cache.get(entry.key) for entry in rest.entries)
        # what has changed since the first page is shown as it was then
        await api.merge(f"{CONFIG_MAPS}/c3", {"data": {"new": "yes"}})
        again = await store.list("default", ListOptions(limit=2, continue_token=page.continue_token))
        assert "data" not in again.entries[1].obj


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (CONFIG_MAPS, {"limit": 10}, ["c0", "c1", "c2"]),
        ("/api/v1/configmaps", {"limit": 10}, ["c0", "c1", "c2"]),
        (CONFIG_MAPS, {"limit": 2}, ["c0", "c1"]),
        (CONFIG_MAPS, {"limit": 10, "labelSelector": "odd=0"}, ["c0", "c2"]),
        (CONFIG_MAPS, {"limit": 10, "fieldSelector": "metadata.name=c1"}, ["c1"]),
        (CONFIG_MAPS, {"limit": 10, "resourceVersionMatch": "NotOlderThan"}, ["c0", "c2", "c3"]),
        (CONFIG_MAPS, {}, ["c0", "c2", "c3"]),
        (CONFIG_MAPS, {"limit": 0}, ["c0", "c2", "c3"]),
    ],
)
async def test_a_revision_with_a_limit_and_no_rule_is_meant_exactly(
    etcd: EtcdProcess, root: str, path: str, query: Any, expected: list[str]
) -> None:
    async with running(etcd, root) as api:
        await make(api, 3)
        then = (await api.call("GET", CONFIG_MAPS)).version
        await api.call("DELETE", f"{CONFIG_MAPS}/c1")
        await api.create("c3")
        await api.call("GET", CONFIG_MAPS)  # now the cache has it
        answer = await api.call("GET", path, resourceVersion=then, **query)
        assert names(answer) == expected
        if expected[-1] != "c3":
            assert answer.version == then
        table = await api.call("GET", path, resourceVersion=then, accept=f"{JSON};as=Table;g=meta.k8s.io;v=v1", **query)
        assert [row["cells"][0] for row in table.obj["rows"]] == expected
        then_all = await api.call("GET", path, resourceVersion="0", limit=1)
        assert names(then_all) == ["c0", "c2", "c3"]


async def test_the_pages_of_an_exact_revision_stay_at_it(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await make(api, 3)
        then = (await api.call("GET", CONFIG_MAPS)).version
        await api.call("DELETE", f"{CONFIG_MAPS}/c2")
        first = await api.call("GET", CONFIG_MAPS, resourceVersion=then, limit=2)
        assert first.obj["metadata"]["remainingItemCount"] == 1
        rest = await api.call("GET", CONFIG_MAPS, limit=2, **{"continue": first.obj["metadata"]["continue"]})
        assert (names(rest), rest.version) == (["c2"], then)


async def test_a_limited_list_of_a_compacted_or_future_revision(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        then = (await api.create("a")).version
        await api.backend.storage.compact(int((await api.create("b")).version))
        gone = await api.call("GET", CONFIG_MAPS, resourceVersion=then, limit=5)
        assert (gone.status, gone.obj["reason"]) == (410, "Expired")
        future = await api.call("GET", CONFIG_MAPS, resourceVersion=10**9, limit=5)
        assert (future.status, future.obj["reason"]) == (504, "Timeout")
        assert "Too large resource version: 1000000000" in future.message


async def test_what_a_row_holds_is_asked_of_tables_alone(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        await make(api, 1)
        table = f"{JSON};as=Table;g=meta.k8s.io;v=v1"
        for path in (CONFIG_MAPS, f"{CONFIG_MAPS}/c0"):
            answer = await api.call("GET", path, accept=table, includeObject="all")
            assert (answer.status, answer.message) == (
                400,
                'Unable to convert to Table as requested: includeObject: Invalid value: "all": '
                "must be 'Metadata', 'Object', 'None', or empty",
            )
            assert (await api.call("GET", path, includeObject="all")).status == 200
        watch = await api.call("GET", CONFIG_MAPS, accept=table, includeObject="all", watch="1")
        assert watch.status == 400
        plain = await api.call("GET", CONFIG_MAPS, includeObject="all", watch="1", timeoutSeconds=1)
        assert plain.status == 200
