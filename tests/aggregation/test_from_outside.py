"""A real extension API server behind the aggregator: kubectl and plain requests see one API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
