"""The official Python client: typed objects, pages, an informer, and watches from the past."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kubernetes import client, config, watch

from tests.e2e.informer import Informer
from tests.running import RunningServer, wait_for

MANY = 5000


@pytest.fixture(scope="module")
def core(server: RunningServer) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(server.kubeconfig)))


@pytest.fixture
def namespace(core: client.CoreV1Api, request: pytest.FixtureRequest) -> Iterator[str]:
    name = request.node.name.replace("_", "-")[:60].strip("-")
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    yield name
    core.delete_namespace(name)


def config_map(name: str, **data: str) -> client.V1ConfigMap:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name), data=data)


def test_five_thousand_objects_in_pages(server: RunningServer, core: client.CoreV1Api, namespace: str) -> None:
    names = [f"page-{number:04}" for number in range(MANY)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: core.create_namespaced_config_map(namespace, config_map(name)), names))
    found: list[str] = []
    versions = set()
    token, left = None, MANY
    while token != "":
        page = core.list_namespaced_config_map(namespace, limit=500, _continue=token)
        found += [one.metadata.name for one in page.items]
        versions.add(page.metadata.resource_version)
        token = page.metadata._continue or ""
        left -= len(page.items)
        assert (page.metadata.remaining_item_count or 0) == left
    assert found == names and len(versions) == 1
    assert len(core.list_namespaced_config_map(namespace).items) == MANY


def test_an_informer_follows_every_change(core: client.CoreV1Api, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("first", n="0"))
    informer = Informer(core.list_namespaced_config_map, namespace)
    informer.start()
    assert informer.synced.wait(10)
    for number in range(1, 11):
        core.patch_namespaced_config_map("first", namespace, {"data": {"n": str(number)}})
    core.create_namespaced_config_map(namespace, config_map("second"))
    core.delete_namespaced_config_map("second", namespace)
    try:
        wait_for(lambda: len(informer.seen) == 12, 10, "twelve events")
        assert [kind for kind, _ in informer.seen] == ["MODIFIED"] * 10 + ["ADDED", "DELETED"]
        revisions = [revision for _, revision in informer.seen]
        assert revisions == sorted(set(revisions))
        assert informer.store["first"].data == {"n": "10"} and "second" not in informer.store
    finally:
        informer.stop()


def test_a_watch_resumes_from_an_old_revision(core: client.CoreV1Api, namespace: str) -> None:
    start = core.list_namespaced_config_map(namespace).metadata.resource_version
    for number in range(20):
        core.create_namespaced_config_map(namespace, config_map(f"old-{number:02}"))
    stream = watch.Watch().stream(core.list_namespaced_config_map, namespace, resource_version=start, timeout_seconds=2)
    assert [event["object"].metadata.name for event in stream] == [f"old-{number:02}" for number in range(20)]


def test_a_compacted_revision_is_gone(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10", "--etcd-compaction-interval=1s") as own:
        api = client.CoreV1Api(config.new_client_from_config(str(own.kubeconfig)))
        start = api.list_namespaced_config_map("default").metadata.resource_version

        def compacted() -> bool:
            api.patch_namespace("default", {"metadata": {"annotations": {"at": str(time.monotonic())}}})
            try:
                api.list_namespaced_config_map("default", resource_version=start, resource_version_match="Exact")
            except client.ApiException as error:
                return bool(error.status == 410)
            return False

        wait_for(compacted, 20, "the compaction")
        # A worker that has just started knows only what etcd still has.
        own.command("restart", "core")
        with pytest.raises(client.ApiException) as caught:
            list(
                watch.Watch().stream(
                    api.list_namespaced_config_map, "default", resource_version=start, timeout_seconds=5
                )
            )
        assert caught.value.status == 410
