"""A real extension API server behind the aggregator: kubectl and plain requests see one API server."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.aggregation.installed import FLUNDERS, SERVICES, ExtensionServer
from tests.e2e.kubectl import Kubectl, needs_kubectl
from tests.running import RunningServer, wait_for

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSIONS = (("wardle.example.com", "v1"), ("metrics.k8s.io", "v1beta1"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("aggregation"), "--authorization-mode=Node,RBAC") as running:
        yield running


@pytest.fixture(scope="module")
def extension(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExtensionServer]:
    with ExtensionServer(server, tmp_path_factory.mktemp("extension")) as running:
        running.install(*VERSIONS)
        yield running


def get(server: RunningServer, path: str, **headers: str) -> tuple[int, Any]:
    status, body = server.request("GET", path, **headers)
    return status, json.loads(body) if body[:1] == b"{" else body.decode()


def groups(server: RunningServer) -> dict[str, Any]:
    """The versions of each group in the newer form."""
    items = get(server, "/apis", Accept=AGGREGATED)[1]["items"]
    return {item["metadata"]["name"]: item["versions"] for item in items}


@pytest.mark.seed("S74")
def test_requests_reach_the_server_behind_an_api_service(extension: ExtensionServer, server: RunningServer) -> None:
    made = {"kind": "Flunder", "apiVersion": "wardle.example.com/v1", "metadata": {"name": "one"}, "spec": {"size": 3}}
    assert server.request("POST", FLUNDERS, made)[0] == 201
    assert get(server, f"{FLUNDERS}/one")[1]["spec"] == {"size": 3}
    assert get(server, f"{FLUNDERS}/none")[1]["message"] == 'flunders.wardle.example.com "none" not found'
    assert extension.condition("v1.wardle.example.com")["message"] == "all checks passed"
    assert server.request("DELETE", f"{FLUNDERS}/one")[0] == 200


@pytest.mark.seed("S61")
def test_the_server_is_told_who_asks(extension: ExtensionServer, server: RunningServer) -> None:
    headers = {"X-Remote-User": "mallory", "X-Remote-Group": "system:masters", "X-Remote-Extra-a": "b"}
    get(server, f"{FLUNDERS}?b=2&a=%20x", **headers, **{"X-Forwarded-For": "192.0.2.7"})
    request = [one for one in extension.seen() if one["path"].startswith(FLUNDERS)][-1]
    told = request["headers"]
    assert request["path"] == f"{FLUNDERS}?a=+x&b=2"
    assert told["x-remote-user"] == ["kubernetes-admin"]
    assert told["x-remote-group"] == ["system:masters", "system:authenticated"]
    assert "x-remote-extra-a" not in told
    assert any(name.startswith("x-remote-extra-authentication.kubernetes.io%2fcredential-id") for name in told)
    assert told["x-forwarded-for"] == ["192.0.2.7, 127.0.0.1"]
    assert told["x-forwarded-proto"] == ["https"]
    assert told["x-forwarded-uri"] == [FLUNDERS]
    assert told["host"] == [f"localhost:{extension.port}"]
    assert told["audit-id"][0]
    subject = dict(part[0] for part in request["by"]["subject"])
    assert subject["commonName"] == "front-proxy-client"


def test_discovery_shows_what_aggregated_servers_have(extension: ExtensionServer, server: RunningServer) -> None:
    def described() -> Any:
        found = groups(server).get("wardle.example.com")
        return found if found and found[0]["freshness"] == "Current" else None

    version = wait_for(described, what="discovery")[0]
    assert [one["resource"] for one in version["resources"]] == ["flunders"]
    assert version["resources"][0]["shortNames"] == ["fl"]
    listed = [group["name"] for group in get(server, "/apis")[1]["groups"]]
    assert listed[0] == "apiregistration.k8s.io"
    assert listed[-2:] == ["metrics.k8s.io", "wardle.example.com"]
    group = get(server, "/apis/wardle.example.com")[1]
    assert group["preferredVersion"] == {"groupVersion": "wardle.example.com/v1", "version": "v1"}
    assert get(server, "/apis/wardle.example.com/v1")[1]["resources"][0]["name"] == "flunders"
    assert get(server, "/apis/none.example.com")[0] == 404


@needs_kubectl
def test_kubectl_uses_aggregated_kinds_as_its_own(extension: ExtensionServer, server: RunningServer) -> None:
    kubectl = Kubectl(server, "default")
    wait_for(lambda: "flunders" in kubectl("api-resources", "--api-group=wardle.example.com"), what="discovery")
    manifest = {"kind": "Flunder", "apiVersion": "wardle.example.com/v1", "metadata": {"name": "fish"}}
    kubectl("create", "-f", "-", "--validate=false", stdin=json.dumps(manifest))
    assert "fish" in kubectl("get", "fl")
    assert kubectl("get", "flunders", "fish", "-o", "name") == "flunder.wardle.example.com/fish\n"
    watching = kubectl.start("get", "flunders", "--watch", "-o", "name")
    try:
        assert watching.stdout is not None
        assert watching.stdout.readline() == "flunder.wardle.example.com/fish\n"
        kubectl("create", "-f", "-", "--validate=false", stdin=json.dumps({**manifest, "metadata": {"name": "next"}}))
        assert any(line == "flunder.wardle.example.com/next\n" for line in iter(watching.stdout.readline, ""))
    finally:
        watching.kill()
        watching.wait()
    kubectl("delete", "flunder", "fish", "next", "--wait=false")


@needs_kubectl
def test_kubectl_top_prints_tables(extension: ExtensionServer, server: RunningServer) -> None:
    kubectl = Kubectl(server, "default")
    node = {"metadata": {"name": "node-1"}}
    assert server.request("POST", "/api/v1/nodes", node)[0] in (201, 409)
    capacity = {"cpu": "1", "memory": "128Mi", "pods": "10"}
    status = {"status": {"capacity": capacity, "allocatable": capacity}}
    assert (
        server.request("PATCH", "/api/v1/nodes/node-1/status", status, Content_Type="application/merge-patch+json")[0]
        == 200
    )
    nodes = kubectl("top", "nodes").splitlines()
    assert nodes[1].split() == ["node-1", "250m", "25%", "64Mi", "50%"]
    pods = kubectl("top", "pods").splitlines()
    assert pods[1].split() == ["pod-1", "250m", "64Mi"]


@pytest.mark.seed("S78")
@needs_kubectl
def test_openapi_of_aggregated_servers_is_merged(extension: ExtensionServer, server: RunningServer) -> None:
    """Another meaning of a name that is taken gets another name; kubectl explain finds the kind."""
    path = "/apis/wardle.example.com/v1/namespaces/{namespace}/flunders"
    document = wait_for(lambda: _described(server, path), timeout=20, what="OpenAPI v2")
    definitions = document["definitions"]
    assert document["info"]["title"] == "Kubernetes"
    meta = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    assert "labels" in definitions[meta]["properties"]
    assert definitions[f"{meta}_v2"]["description"] == "Metadata of flunders."
    flunder = definitions["com.example.wardle.v1.Flunder"]
    assert flunder["properties"]["metadata"] == {"$ref": f"#/definitions/{meta}_v2"}
    name = "apis/wardle.example.com/v1"
    urls = wait_for(lambda: _listed(server, name), timeout=20, what="OpenAPI v3")
    assert urls[name]["serverRelativeURL"] == f"/openapi/v3/{name}?hash=ABC"
    status, own = get(server, urls[name]["serverRelativeURL"])
    assert (status, own["info"]["title"]) == (200, "Wardle")
    protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
    assert server.request("GET", "/openapi/v2", Accept=protobuf)[0] == 200
    assert "How long it is." in Kubectl(server, "default")("explain", "flunders.spec")


def _listed(server: RunningServer, name: str) -> Any:
    paths = get(server, "/openapi/v3")[1]["paths"]
    return paths if name in paths else None


def _described(server: RunningServer, path: str) -> Any:
    document = get(server, "/openapi/v2")[1]
    return document if path in document["paths"] else None


def test_upgrades_and_long_bodies_go_through(extension: ExtensionServer, server: RunningServer) -> None:
    host, _, port = server.url.removeprefix("https://").rpartition(":")
    plain = socket.create_connection((host, int(port)))
    with server.admin_tls().wrap_socket(plain, server_hostname=host) as connection:
        head = f"GET {FLUNDERS}/one/echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        connection.sendall(b"there and back")
        assert connection.recv(4096) == b"there and back"
    large = {"kind": "Flunder", "metadata": {"name": "large"}, "spec": {"text": "x" * (5 << 20)}}
    assert server.request("POST", FLUNDERS, large)[0] == 201, "what is longer than this server's own limit"
    assert len(server.request("GET", f"{FLUNDERS}/large")[1]) > 5 << 20
    assert server.request("DELETE", f"{FLUNDERS}/large")[0] == 200


@pytest.mark.parametrize(
    ("mode", "status", "text"),
    [
        ("garbage", 503, "error trying to reach service: malformed HTTP response"),
        ("redirect", 502, "the backend attempted to redirect this request, which is not permitted"),
        ("hang", 503, "error trying to reach service: context deadline exceeded"),
    ],
)
def test_bad_answers_are_the_servers_own_affair(
    extension: ExtensionServer, server: RunningServer, mode: str, status: int, text: str
) -> None:
    extension.mode(mode)
    try:
        slowest = 0.0
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(get, server, "/apis/wardle.example.com/v1")
            while not asked.done():
                began = time.monotonic()
                assert get(server, "/api/v1/namespaces/default")[0] == 200
                assert get(server, "/apis", Accept=AGGREGATED)[0] == 200
                slowest = max(slowest, time.monotonic() - began)
                time.sleep(0.05)
        answered = asked.result()
        assert answered[0] == status
        assert answered[1].startswith(text)
        assert slowest < 1
    finally:
        extension.mode("")
        recovered(extension)


@pytest.mark.parametrize("mode", ["huge", "nonsense", "cut"])
def test_documents_that_cannot_be_used_are_stale(extension: ExtensionServer, server: RunningServer, mode: str) -> None:
    def freshness() -> str:
        return str(groups(server)["wardle.example.com"][0]["freshness"])

    extension.mode(mode)
    try:
        # a change of the APIService lets its documents be read anew
        path, body = f"{SERVICES}/v1.wardle.example.com", {"spec": {"versionPriority": 20 + len(mode)}}
        assert server.request("PATCH", path, body, Content_Type="application/merge-patch+json")[0] == 200
        wait_for(lambda: freshness() == "Stale", timeout=15, what="stale discovery")
        version = groups(server)["wardle.example.com"][0]
        assert [one["resource"] for one in version["resources"]] == ["flunders"], "what was known is still shown"
        assert groups(server)["apps"][0]["freshness"] == "Current"
    finally:
        extension.mode("")
        recovered(extension)
    assert (
        server.request("PATCH", path, {"spec": {"versionPriority": 10}}, Content_Type="application/merge-patch+json")[0]
        == 200
    )
    wait_for(lambda: freshness() == "Current", timeout=20, what="discovery")


def test_an_answer_that_breaks_off_breaks_off_here_too(extension: ExtensionServer, server: RunningServer) -> None:
    extension.mode("cut")
    try:
        with pytest.raises((http.client.IncompleteRead, OSError)):
            server.request("GET", FLUNDERS)
    finally:
        extension.mode("")
        recovered(extension)


def recovered(extension: ExtensionServer) -> None:
    for group, version in VERSIONS:
        wait_for(
            lambda name=f"{version}.{group}": extension.condition(name).get("status") == "True", 40, what="recovery"
        )


@pytest.mark.seed("S74")
def test_whoever_dies_comes_back(extension: ExtensionServer, server: RunningServer) -> None:
    """The extension server, a front worker and a core worker are killed in turn; each time requests work again."""

    def works() -> bool:
        try:
            return get(server, FLUNDERS)[0] == 200
        except OSError:
            return False

    extension.kill()
    wait_for(lambda: extension.condition("v1.wardle.example.com").get("status") == "False", 45, what="its absence")
    assert get(server, FLUNDERS) == (503, "service unavailable\n")
    assert get(server, "/api/v1/namespaces/default")[0] == 200
    extension.start()
    recovered(extension)
    wait_for(works, what="the extension server")
    for role in ("aggregator worker", "core worker"):
        before = server.processes(role)
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: server.processes(role) != before, what="another worker")  # noqa: B023
        wait_for(works, 20, what=f"requests after a {role} died")
    extension.kill()
    wait_for(lambda: extension.condition("v1.wardle.example.com").get("status") == "False", 45, what="its absence")
    extension.start()
    recovered(extension)


@pytest.mark.seed("S71")
def test_who_may_not_is_refused_before_anybody_is_asked(extension: ExtensionServer, server: RunningServer) -> None:
    before = len([one for one in extension.seen() if one["path"].startswith(FLUNDERS)])
    headers = {"Impersonate-User": "jane"}
    status, refused = get(server, FLUNDERS, **headers)
    assert status == 403
    assert refused["message"].startswith('flunders.wardle.example.com is forbidden: User "jane" cannot list resource')
    assert len([one for one in extension.seen() if one["path"].startswith(FLUNDERS)]) == before
    assert get(server, "/nope") == (404, "404 page not found\n")


@pytest.mark.seed("S73")
def test_built_in_groups_are_registered_at_the_start_and_not_again(server: RunningServer) -> None:
    items = {one["metadata"]["name"]: one for one in get(server, SERVICES)[1]["items"]}
    assert {"v1.", "v1.apps", "v1.apiextensions.k8s.io"} <= items.keys()
    apps = items["v1.apps"]
    assert apps["spec"] == {"group": "apps", "version": "v1", "groupPriorityMinimum": 17800, "versionPriority": 15}
    assert apps["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    assert apps["status"]["conditions"][0]["reason"] == "Local"
    assert server.request("DELETE", f"{SERVICES}/v1.apps")[0] == 200
    wait_for(lambda: "apps" not in [group["name"] for group in get(server, "/apis")[1]["groups"]], what="/apis")
    assert get(server, "/apis/apps/v1/deployments")[0] == 200, "it is served all the same"
    assert get(server, "/readyz")[0] == 200
    pids = server.processes("core worker")
    os.kill(pids[0], signal.SIGKILL)
    wait_for(lambda: server.processes("core worker") != pids, what="another worker")
    wait_for(lambda: get(server, "/readyz")[0] == 200, what="readiness")
    assert get(server, f"{SERVICES}/v1.apps")[0] == 404, "another worker is no new start"
    pids = server.processes("aggregator worker")
    os.kill(pids[0], signal.SIGKILL)
    wait_for(lambda: server.processes("aggregator worker") != pids, what="another worker")
    wait_for(lambda: ready(server), what="readiness of a worker that never saw the APIService")
    body = {"metadata": {"name": "v1.apps"}, "spec": apps["spec"]}
    assert server.request("POST", SERVICES, body)[0] == 201


def ready(server: RunningServer) -> bool:
    try:
        return get(server, "/readyz")[0] == 200
    except OSError:
        return False


def _found(server: RunningServer, path: str) -> Any:
    status, obj = get(server, path)
    return obj if status == 200 else None


@pytest.mark.seed("S73")
def test_groups_of_definitions_are_kept_registered(server: RunningServer) -> None:
    versions = [
        {"name": name, "served": served, "storage": name == "v1"} for name, served in (("v1", True), ("v2", False))
    ]
    schema = {"schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": "trees", "singular": "tree", "kind": "Tree", "listKind": "TreeList"}
    spec = {
        "group": "wood.example.com",
        "scope": "Cluster",
        "names": names,
        "versions": [one | schema for one in versions],
    }
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    body = {"metadata": {"name": "trees.wood.example.com"}, "spec": spec}
    assert server.request("POST", definitions, body)[0] == 201
    path = f"{SERVICES}/v1.wood.example.com"
    made = wait_for(lambda: _found(server, path), what="an APIService")
    assert made["spec"] == {
        "group": "wood.example.com",
        "version": "v1",
        "groupPriorityMinimum": 1000,
        "versionPriority": 100,
    }
    assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert get(server, f"{SERVICES}/v2.wood.example.com")[0] == 404
    assert server.request("DELETE", path)[0] == 200
    wait_for(lambda: get(server, path)[0] == 200, what="the APIService again")
    change = {"spec": {"versionPriority": 1}}
    assert server.request("PATCH", path, change, Content_Type="application/merge-patch+json")[0] == 200
    wait_for(lambda: get(server, path)[1]["spec"]["versionPriority"] == 100, what="the priority again")
    assert server.request("DELETE", f"{definitions}/trees.wood.example.com")[0] == 200
    wait_for(lambda: get(server, path)[0] == 404, what="the end of the APIService")


@pytest.mark.seed("S74")
def test_an_api_service_without_a_server_is_unavailable(server: RunningServer, tmp_path: Path) -> None:
    nobody = ExtensionServer(server, tmp_path / "nobody")
    nobody.make_service()
    for name, service in (("lost.example.com", "absent"), ("dead.example.com", "extension")):
        nobody.register(name, "v1", service={"namespace": "kube-system", "name": service, "port": nobody.port})
        wait_for(lambda name=name: nobody.condition(f"v1.{name}"), what=name)
    assert nobody.condition("v1.lost.example.com")["reason"] == "ServiceNotFound"
    assert nobody.condition("v1.lost.example.com")["message"] == 'service/absent in "kube-system" is not present'
    dead = nobody.condition("v1.dead.example.com")
    assert dead["reason"] == "FailedDiscoveryCheck"
    url = f"https://localhost:{nobody.port}/apis/dead.example.com/v1"
    assert dead["message"].startswith(f'failing or missing response from {url}: Get "{url}": dial tcp')
    assert get(server, "/apis/dead.example.com/v1/things") == (503, "service unavailable\n")
    assert wait_for(lambda: groups(server).get("dead.example.com"), what="discovery")[0]["freshness"] == "Stale"
    metrics = get(server, "/metrics")[1]
    assert 'aggregator_unavailable_apiservice{name="v1.dead.example.com"} 1' in metrics
    for name in ("lost", "dead"):
        assert server.request("DELETE", f"{SERVICES}/v1.{name}.example.com")[0] == 200
    wait_for(lambda: "dead.example.com" not in groups(server), what="discovery")
    assert get(server, "/apis/dead.example.com/v1/things")[0] == 404
