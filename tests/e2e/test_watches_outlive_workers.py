"""Watches go on when processes behind the front are killed: every event once, in order, and no client notices."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.e2e.connection import Client, Watcher
from tests.running import RunningServer, wait_for

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
OBJECTS = 120


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("outlived")
    with RunningServer(folder, "--advertise-address=192.0.2.10") as running:
        yield running


def create(client: Client, path: str, name: str) -> None:
    """Create an object, whatever happens to the workers meanwhile."""
    obj = {"metadata": {"name": name, "labels": {"told": "yes"}}}

    def created() -> bool:
        status, answer = client.ask("POST", path, obj)
        assert status in (0, 201, 409, 500, 503, 504), answer
        return status in (201, 409)  # 409: an attempt that nobody answered had succeeded

    wait_for(created, 15, f"{name} to be created")


@pytest.mark.parametrize("role", ["core worker", "core", "extensions worker", "etcd", "reconciler"])
def test_no_watch_ends_or_misses_anything(own: RunningServer, role: str) -> None:
    client, namespace = Client(own), f"killed-{role.replace(' ', '-')}"
    assert client.ask("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})[0] == 201
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    create(client, path, "first")
    start = client.ask("GET", path)[1]["metadata"]["resourceVersion"]
    initial = "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    watchers = [
        Watcher(own, f"{path}?watch=true"),
        Watcher(own, f"{path}?watch=true{initial}"),
        Watcher(own, f"{path}?watch=true&resourceVersion={start}"),
        Watcher(own, f"{path}?watch=true&resourceVersion={start}&labelSelector=told%3Dyes"),
        Watcher(own, f"{path}?watch=true&resourceVersion={start}", TABLE),
    ]
    try:
        names = [f"c{number:03}" for number in range(OBJECTS)]
        for number, name in enumerate(names):
            if number == OBJECTS // 3:
                (pid,) = own.processes(role)
                os.kill(pid, signal.SIGKILL)
            create(client, path, name)
        for watcher, had_first in zip(watchers, (True, True, False, False, False), strict=True):
            expected = ["first", *names] if had_first else names
            wait_for(lambda w=watcher, e=expected: len(w.names()) >= len(e), 10, f"{len(expected)} events")
            assert watcher.names() == expected
            assert watcher.revisions() == sorted(set(watcher.revisions()))
            assert watcher.outcome == ""
    finally:
        for watcher in watchers:
            watcher.close()
    wait_for(lambda: own.status()["ready"], 10, "everything to be back")
