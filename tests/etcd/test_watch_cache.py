"""Reads past the watch cache, and how far back a watch may go."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import orjson
import pytest

from tests.e2e.connection import Watcher
from tests.etcd.outside import ask, config_map, merge, refused, watched
from tests.running import COMMAND, RunningServer, wait_for

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
SECRETS = "/api/v1/namespaces/default/secrets"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """ConfigMaps are not cached; a watch of secrets may go 100 events back."""
    sizes = "--watch-cache-sizes=configmaps#0,secrets#100"
    with RunningServer(tmp_path_factory.mktemp("uncached"), sizes, "--core-workers=2") as running:
        yield running


def change(server: RunningServer, path: str, times: int) -> None:
    for number in range(times):
        merge(server, path, {"metadata": {"annotations": {"n": str(number)}}})


@pytest.mark.seed("S37")
def test_an_uncached_resource_is_watched_from_any_revision_that_etcd_has(server: RunningServer) -> None:
    first = ask(server, "POST", CONFIG_MAPS, config_map("w"))["metadata"]["resourceVersion"]
    ask(server, "POST", CONFIG_MAPS, config_map("w-longer"))
    change(server, f"{CONFIG_MAPS}/w", 150)
    ask(server, "DELETE", f"{CONFIG_MAPS}/w")
    told = watched(server, CONFIG_MAPS, first)
    assert [event["type"] for event in told] == ["ADDED", *["MODIFIED"] * 150, "DELETED"]
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in told]
    assert revisions == sorted(set(revisions))
    one = watched(server, f"{CONFIG_MAPS}", f"{first}&fieldSelector=metadata.name%3Dw")
    assert len(one) == 151, "its longer neighbour is not told of"


@pytest.mark.seed("S37")
def test_a_cached_resource_is_watched_as_far_back_as_its_size_says(server: RunningServer) -> None:
    first = ask(server, "POST", SECRETS, {"metadata": {"name": "l"}})["metadata"]["resourceVersion"]
    change(server, f"{SECRETS}/l", 100)
    assert len(watched(server, SECRETS, first)) == 100
    change(server, f"{SECRETS}/l", 1)
    for _ in range(4):  # whichever worker answers
        (told,) = watched(server, SECRETS, first)
        assert told["type"] == "ERROR"
        assert (told["object"]["code"], told["object"]["reason"]) == (410, "Expired")
        assert told["object"]["message"].startswith(f"too old resource version: {first} (")
    server.command("restart", "core")
    time.sleep(2)
    assert [event["type"] for event in watched(server, SECRETS, first)] == ["ERROR"], "a new worker says the same"


def test_uncached_lists_follow_the_rules_of_revisions(server: RunningServer) -> None:
    made = ask(server, "POST", "/api/v1/namespaces", {"metadata": {"name": "lists"}})
    path = "/api/v1/namespaces/lists/configmaps"
    # the root certificate's config map is the business of controllers that are not here
    revisions = [ask(server, "POST", path, config_map(f"c{n}"))["metadata"]["resourceVersion"] for n in range(4)]
    names = [item["metadata"]["name"] for item in ask(server, "GET", path)["items"]]
    assert names == ["c0", "c1", "c2", "c3"]
    page = ask(server, "GET", f"{path}?limit=3")
    assert len(page["items"]) == 3
    assert page["metadata"]["remainingItemCount"] == 1
    rest = ask(server, "GET", f"{path}?limit=3&continue={page['metadata']['continue']}")
    assert [item["metadata"]["name"] for item in rest["items"]] == ["c3"]
    exact = ask(server, "GET", f"{path}?resourceVersion={revisions[1]}&resourceVersionMatch=Exact")
    assert [item["metadata"]["name"] for item in exact["items"]] == ["c0", "c1"]
    newer = ask(server, "GET", f"{path}?resourceVersion={revisions[1]}&resourceVersionMatch=NotOlderThan")
    assert len(newer["items"]) == 4
    assert len(ask(server, "GET", f"{path}?resourceVersion=0")["items"]) == 4
    labelled = ask(server, "GET", f"{path}?fieldSelector=metadata.name%3Dc2")
    assert [item["metadata"]["name"] for item in labelled["items"]] == ["c2"]
    future = int(revisions[3]) + 100_000
    message = refused(server, "GET", f"{path}?resourceVersion={future}")["message"]
    assert message.startswith(f"Timeout: Too large resource version: {future}, current: ")
    assert refused(server, "GET", f"{path}/c0?resourceVersion={future}")["code"] == 504
    assert ask(server, "GET", f"{path}/c0?resourceVersion=0")["metadata"]["resourceVersion"] == revisions[0]
    assert refused(server, "GET", f"{path}/nobody")["reason"] == "NotFound"
    assert int(made["metadata"]["resourceVersion"]) < int(revisions[0])


def test_uncached_writes_are_compare_and_swap(server: RunningServer) -> None:
    path = f"{CONFIG_MAPS}/counter"
    ask(server, "POST", CONFIG_MAPS, {**config_map("counter"), "data": {"n": "0"}})
    conflicts = []

    def count() -> None:
        done = 0
        while done < 10:
            obj = ask(server, "GET", path)
            obj["data"]["n"] = str(int(obj["data"]["n"]) + 1)
            status, _ = server.request("PUT", path, obj)
            done += status == 200
            conflicts.append(status) if status != 200 else None

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(server, "GET", path)["data"]["n"] == "40"
    assert set(conflicts) <= {409}
    same = ask(server, "GET", path)
    assert ask(server, "PUT", path, same)["metadata"]["resourceVersion"] == same["metadata"]["resourceVersion"]
    assert refused(server, "POST", f"{CONFIG_MAPS}?dryRun=All", config_map("counter"))["reason"] == "AlreadyExists"


def test_an_uncached_watch_begins_with_what_there_is_when_asked_to(server: RunningServer) -> None:
    path = "/api/v1/namespaces/initial/configmaps"
    ask(server, "POST", "/api/v1/namespaces", {"metadata": {"name": "initial"}})
    ask(server, "POST", path, config_map("a"))
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1"
    lines = server.request("GET", f"{path}?{query}")[1].splitlines()
    told = [orjson.loads(line) for line in lines]
    assert [event["type"] for event in told][:2] == ["ADDED", "BOOKMARK"]
    assert told[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert told[0]["object"]["metadata"]["name"] == "a"


def test_uncached_watches_outlive_the_worker_that_serves_them(server: RunningServer) -> None:
    ask(server, "POST", "/api/v1/namespaces", {"metadata": {"name": "outlived"}})
    path = "/api/v1/namespaces/outlived/configmaps"
    start = ask(server, "POST", path, config_map("first"))["metadata"]["resourceVersion"]
    watchers = [Watcher(server, f"{path}?watch=1"), Watcher(server, f"{path}?watch=1&resourceVersion={start}")]
    names = [f"c{number:02}" for number in range(30)]
    try:
        for number, name in enumerate(names):
            if number in (10, 20):
                for pid in server.processes("core worker"):
                    os.kill(pid, signal.SIGKILL)
                wait_for(lambda: server.request("GET", f"{path}/first")[0] == 200, 20, "new workers")
            ask(server, "POST", path, config_map(name))
        for watcher, expected in zip(watchers, (["first", *names], names), strict=True):
            wait_for(lambda w=watcher, e=expected: len(w.names()) >= len(e), 10, f"{len(expected)} events")
            assert watcher.names() == expected
            assert watcher.outcome == ""
    finally:
        for watcher in watchers:
            watcher.close()
    wait_for(lambda: server.status()["ready"], 20, "everything to be back")


def test_without_any_watch_cache_everything_comes_from_etcd(tmp_path) -> None:
    """And nothing is polled, and etcd's health has the time that the flags give it."""
    flags = (
        "--watch-cache=false",
        "--etcd-count-metric-poll-period=0",
        "--etcd-db-metric-poll-interval=0",
        "--etcd-healthcheck-timeout=300ms",
        "--etcd-readycheck-timeout=1s",
    )
    with RunningServer(tmp_path, *flags) as server:
        first = ask(server, "POST", SECRETS, {"metadata": {"name": "s"}})["metadata"]["resourceVersion"]
        change(server, f"{SECRETS}/s", 3)
        assert [event["type"] for event in watched(server, SECRETS, first)] == ["MODIFIED"] * 3
        assert [item["metadata"]["name"] for item in ask(server, "GET", SECRETS)["items"]] == ["s"]
        ask(server, "DELETE", f"{SECRETS}/s")
        assert ask(server, "GET", SECRETS)["items"] == []
        # an object of the server's own kinds, whose admission looks things up in memory
        assert refused(server, "POST", "/api/v1/namespaces/nowhere/secrets", {"metadata": {"name": "s"}})["code"] == 404
        metrics = server.request("GET", "/metrics")[1]
        assert b"apiserver_resource_objects{" not in metrics
        assert b"apiserver_storage_size_bytes{" not in metrics
        _health_of_a_hung_etcd(server)


def _health_of_a_hung_etcd(server: RunningServer) -> None:
    (etcd,) = server.processes("etcd")
    os.kill(etcd, signal.SIGSTOP)
    try:
        for path, seconds in (("/livez/etcd", "0.3"), ("/readyz/etcd-readiness", "1")):
            began = time.monotonic()
            status, answer = server.request("GET", path)
            assert (status, answer.decode()) == (500, f"internal server error: no answer within {seconds} s\n")
            assert float(seconds) <= time.monotonic() - began < 4
    finally:
        os.kill(etcd, signal.SIGCONT)
    wait_for(lambda: server.request("GET", "/readyz")[0] == 200, 10, "recovery")


@pytest.mark.seed("S38")
@pytest.mark.parametrize("entry", ["pods#x", "pods#-1", "pods", "#5"])
def test_a_size_that_is_none_is_an_error_at_the_start(tmp_path, entry) -> None:
    folders = (f"--run-dir={tmp_path}/r", f"--data-dir={tmp_path}/d")
    done = subprocess.run([*COMMAND, "start", *folders, f"--watch-cache-sizes={entry}"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "watch-cache-sizes" in done.stderr
    assert not (tmp_path / "d").exists()
