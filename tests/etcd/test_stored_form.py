"""How and where objects lie in etcd: media types, keys, versions, clusters for single resources, leases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.etcd.outside import all_keys, ask, config_map, lease, merge, raw, watched
from tests.etcd_view import EtcdView
from tests.running import RunningServer, wait_for
from tests.storage.etcd_process import EtcdProcess

MAGIC = b"k8s\0"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
EVENT = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "default"}, "reason": "r", "type": "Normal"}
AUTOSCALER = {
    "metadata": {"name": "a"},
    "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}, "maxReplicas": 3},
}
AUTOSCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
CRD = {
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
        ],
    },
}


def etcd_in(folder: Path) -> EtcdProcess:
    folder.mkdir()
    process = EtcdProcess(folder)
    process.start()
    return process


class Place:
    """A server on an etcd of its own, with events in another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers = 0
        self.etcd, self.events_etcd = etcd_in(folder / "main"), etcd_in(folder / "events")
        self.view, self.events = EtcdView(self.etcd.url), EtcdView(self.events_etcd.url)
        self.flags = (f"--etcd-servers={self.etcd.url}", "--advertise-address=192.0.2.10", "--event-ttl=10s")

    def server(self, *flags: str) -> RunningServer:
        override = f"--etcd-servers-overrides=/events#{self.events_etcd.url}"
        self.servers += 1
        return RunningServer(self.folder / f"server-{self.servers}", *self.flags, override, *flags)

    def close(self) -> None:
        self.view.close()
        self.events.close()
        self.etcd.kill()
        self.events_etcd.kill()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("stored"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(place: Place) -> Iterator[RunningServer]:
    with place.server() as running:
        yield running


@pytest.mark.seed("S13")
def test_built_in_objects_are_protobuf_and_the_rest_is_json(server: RunningServer, place: Place) -> None:
    wait_for(lambda: "192.0.2.10" in place.view.keys("masterleases/"), 10, "the lease")
    ask(server, "POST", CONFIG_MAPS, config_map("form"))
    ask(server, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CRD)
    json_folders = ("/registry/apiregistration.k8s.io/", "/registry/apiextensions.k8s.io/")
    keys = [key for key in all_keys(place.view) if key.startswith("/registry/")]
    for key in keys:
        assert raw(place.view, key)[:4] == (b'{"ki' if key.startswith(json_folders) else MAGIC), key
    folders = {key.split("/")[2] for key in keys}
    assert {"namespaces", "masterleases", "ranges", "configmaps", "clusterroles", "apiextensions.k8s.io"} <= folders
    assert raw(place.view, "/registry/namespaces/default").startswith(b"k8s\0\n\x0f\n\x02v1\x12\tNamespace\x12")


@pytest.mark.seed("S14")
def test_keys_are_those_of_upstream(server: RunningServer, place: Place) -> None:
    node = {"metadata": {"name": "n"}}
    controller = {"metadata": {"name": "rc"}, "spec": {"selector": {"a": "b"}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}  # fmt: skip
    ingress = {
        "metadata": {"name": "i"},
        "spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}},
    }
    ask(server, "POST", "/api/v1/nodes", node)
    ask(server, "POST", "/api/v1/namespaces/default/replicationcontrollers", controller)
    ask(server, "POST", "/apis/networking.k8s.io/v1/namespaces/default/ingresses", ingress)
    keys = set(all_keys(place.view))
    assert keys >= {
        "/registry/minions/n",
        "/registry/controllers/default/rc",
        "/registry/ingress/default/i",
        "/registry/services/specs/default/kubernetes",
        "/registry/services/endpoints/default/kubernetes",
        "/registry/ranges/servicenodeports",
        "/registry/apiregistration.k8s.io/apiservices/v1.",
    }
    assert {key for key in keys if not key.startswith("/registry/")} <= {"compact_rev_key"}


@pytest.mark.seed("S42", "S58")
def test_a_resource_with_an_etcd_of_its_own_is_read_written_and_watched_there(
    server: RunningServer, place: Place
) -> None:
    events = "/api/v1/namespaces/default/events"
    before = ask(server, "GET", events)["metadata"]["resourceVersion"]
    made = ask(server, "POST", events, EVENT)
    assert "default/e" in place.events.keys("events/")
    assert place.view.keys("events/") == []
    assert int(made["metadata"]["resourceVersion"]) < 1000, "revisions are those of the other etcd"
    assert [item["metadata"]["name"] for item in ask(server, "GET", events)["items"]] == ["e"]
    assert ask(server, "GET", "/apis/events.k8s.io/v1/namespaces/default/events/e")["reason"] == "r"
    told = watched_names(server, events, before)
    assert told == [("ADDED", "e")]
    changed = merge(server, f"{events}/e", {"count": 7})
    assert changed["count"] == 7
    found = lease(place.events, "/registry/events/default/e")
    assert found
    assert place.events.time_to_live(found)[0] == 10
    began = time.monotonic()
    wait_for(lambda: server.request("GET", f"{events}/e")[0] == 404, 14, "the event's end")
    assert time.monotonic() - began > 8
    assert ask(server, "GET", events)["items"] == []


def watched_names(server: RunningServer, path: str, revision: str) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"]["name"]) for event in watched(server, path, revision)]


@pytest.mark.seed("S42")
def test_the_health_of_the_other_etcd_is_checked_too(server: RunningServer, place: Place) -> None:
    lines = server.request("GET", "/readyz?verbose")[1].decode()
    assert "[+]etcd ok\n" in lines
    assert "[+]etcd-override-0 ok\n[+]etcd-override-readiness-0 ok\n" in lines
    names = [item["metadata"]["name"] for item in ask(server, "GET", "/api/v1/componentstatuses")["items"]]
    assert names == ["etcd-0", "etcd-1"]
    place.events_etcd.kill()
    try:
        status, answer = server.request("GET", "/readyz")
        assert status == 500
        assert b"[+]etcd ok\n" in answer
        assert b"[-]etcd-override-0 failed: reason withheld\n" in answer
        assert server.request("GET", CONFIG_MAPS)[0] == 200, "what lies elsewhere is served"
        assert server.request("POST", CONFIG_MAPS, config_map("meanwhile"))[0] == 201
    finally:
        place.events_etcd.start()
    wait_for(lambda: server.request("GET", "/readyz")[0] == 200, 10, "recovery")


def test_the_size_of_each_database_is_a_metric(server: RunningServer) -> None:
    text = server.request("GET", "/metrics")[1].decode()
    sizes = [line for line in text.splitlines() if line.startswith("apiserver_storage_size_bytes{")]
    assert [line.split("}")[0] for line in sizes] == [
        'apiserver_storage_size_bytes{storage_cluster_id="etcd-0"',
        'apiserver_storage_size_bytes{storage_cluster_id="etcd-1"',
    ]
    assert all(float(line.rpartition(" ")[2]) > 0 for line in sizes)
    assert 'apiserver_resource_objects{group="",resource="namespaces"} ' in text


@pytest.mark.seed("S13", "S23")
def test_the_same_objects_go_on_in_another_form(place: Place) -> None:
    """After a restart with other flags everything is read, and written anew at its next update."""
    with place.server() as first:
        ask(first, "POST", CONFIG_MAPS, config_map("old"))
        ask(first, "POST", AUTOSCALERS, AUTOSCALER)
        assert raw(place.view, "/registry/horizontalpodautoscalers/default/a").startswith(
            b"k8s\0\n)\n\x0eautoscaling/v2\x12\x17HorizontalPodAutoscaler"
        )
    _restarted_with_json_and_old_versions(place)
    _restarted_with_yaml(place)


def _restarted_with_json_and_old_versions(place: Place) -> None:
    flags = (
        "--storage-media-type=application/json",
        "--storage-versions=autoscaling/v1,=events.k8s.io/v1",
        "--delete-collection-workers=5",
        "--enable-garbage-collector=false",
    )
    with place.server(*flags) as second:
        key = "/registry/namespaces/default"
        assert raw(place.view, key)[:4] == MAGIC
        merge(second, "/api/v1/namespaces/default", {"metadata": {"labels": {"a": "b"}}})
        assert raw(place.view, key).startswith(b'{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"default"')
        listed = {item["metadata"]["name"] for item in ask(second, "GET", "/api/v1/namespaces")["items"]}
        assert {"default", "kube-system"} <= listed, "objects of either kind are listed together"
        same = ask(second, "GET", f"{AUTOSCALERS}/a")
        ask(second, "PUT", f"{AUTOSCALERS}/a", same)  # changes nothing, but is written as it is to be now
        stored = orjson.loads(raw(place.view, "/registry/horizontalpodautoscalers/default/a"))
        assert stored["apiVersion"] == "autoscaling/v1"
        read = ask(second, "GET", f"{AUTOSCALERS}/a")
        assert {**read, "metadata": None} == {**same, "metadata": None}
        ask(second, "POST", "/api/v1/namespaces/default/events", EVENT)
        assert orjson.loads(raw(place.events, "/registry/events/default/e"))["apiVersion"] == "events.k8s.io/v1"
        assert ask(second, "GET", "/api/v1/namespaces/default/events/e")["apiVersion"] == "v1"
        _deletions(second)


def _deletions(server: RunningServer) -> None:
    """Without the garbage collector nothing waits for it; a collection is deleted five at a time."""
    ask(server, "POST", CONFIG_MAPS, config_map("owner"))
    answer = ask(server, "DELETE", f"{CONFIG_MAPS}/owner?propagationPolicy=Foreground")
    assert answer["status"] == "Success"
    assert server.request("GET", f"{CONFIG_MAPS}/owner")[0] == 404
    for number in range(20):
        labels = {"labels": {"c": "yes" if number % 2 else "no"}}
        ask(server, "POST", CONFIG_MAPS, config_map(f"many-{number}", **labels))
    deleted = ask(server, "DELETE", f"{CONFIG_MAPS}?labelSelector=c%3Dyes")
    assert len(deleted["items"]) == 10
    assert ask(server, "GET", f"{CONFIG_MAPS}?labelSelector=c%3Dyes")["items"] == []
    assert len(ask(server, "GET", f"{CONFIG_MAPS}?labelSelector=c%3Dno")["items"]) == 10


def _restarted_with_yaml(place: Place) -> None:
    with place.server("--storage-media-type=application/yaml") as third:
        read = ask(third, "GET", f"{AUTOSCALERS}/a")
        assert read["apiVersion"] == "autoscaling/v2"
        merge(third, f"{CONFIG_MAPS}/old", {"data": {"y": "no"}})
        assert raw(place.view, "/registry/configmaps/default/old").startswith(b"apiVersion: v1\n")
        expected: dict[str, Any] = {"a": "b", "y": "no"}
        assert ask(third, "GET", f"{CONFIG_MAPS}/old")["data"] == expected
        # the worker decodes what another process has written
        assert [i["data"] for i in ask(third, "GET", CONFIG_MAPS)["items"] if i["metadata"]["name"] == "old"] == [
            expected
        ]


@pytest.mark.seed("S42", "S58")
def test_the_endpoints_are_published_where_they_are_read(tmp_path: Path) -> None:
    main, other = etcd_in(tmp_path / "main"), etcd_in(tmp_path / "other")
    views = EtcdView(main.url), EtcdView(other.url)
    overrides = f"/endpoints#{other.url},discovery.k8s.io/endpointslices#{other.url}"
    flags = (f"--etcd-servers={main.url}", f"--etcd-servers-overrides={overrides}", "--advertise-address=192.0.2.10")
    try:
        with RunningServer(tmp_path / "server", *flags, "--etcd-prefix=registry/") as server:
            path = "/api/v1/namespaces/default/endpoints/kubernetes"
            wait_for(lambda: server.request("GET", path)[0] == 200, 15, "the endpoints")
            assert ask(server, "GET", path)["subsets"][0]["addresses"] == [{"ip": "192.0.2.10"}]
            assert views[1].keys("services/endpoints/") == ["default/kubernetes"]
            assert views[1].keys("endpointslices/") == ["default/kubernetes"]
            assert views[0].keys("services/endpoints/") == []
            assert views[0].keys("masterleases/") == ["192.0.2.10"]
            _events_share_a_lease(server, views[0])
    finally:
        for view in views:
            view.close()
        main.kill()
        other.kill()


def _events_share_a_lease(server: RunningServer, view: EtcdView) -> None:
    """An hour, and a minute in which the same lease is taken."""
    for name in ("e1", "e2"):
        ask(server, "POST", "/api/v1/namespaces/default/events", {**EVENT, "metadata": {"name": name}})
    leases = {lease(view, f"/registry/events/default/{name}") for name in ("e1", "e2")}
    assert len(leases) == 1
    assert view.time_to_live(leases.pop())[0] == 3660
