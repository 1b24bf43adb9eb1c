"""The ways to an aggregated server: cluster IP or endpoints, trust, older discovery, a group that somebody else has too."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aggregation.installed import FLUNDERS, NAMESPACE, SERVICE, SERVICES, ExtensionServer
from tests.aggregation.test_from_outside import AGGREGATED, get, groups
from tests.etcd_view import EtcdView
from tests.running import RunningServer, wait_for
from tests.storage.etcd_process import EtcdProcess

NAME = "v1.wardle.example.com"
FORM = {"Content_Type": "application/merge-patch+json"}


@pytest.fixture(scope="module")
def etcd_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, EtcdView]]:
    etcd = EtcdProcess(tmp_path_factory.mktemp("etcd"))
    etcd.start()
    flags = (f"--etcd-servers={etcd.url}", "--enable-aggregator-routing", "--storage-media-type=application/json")
    with RunningServer(tmp_path_factory.mktemp("routing"), *flags) as running:
        yield running, EtcdView(etcd.url)
    etcd.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("ways"), "--aggregator-reject-forwarding-redirect=false") as running:
        yield running


@pytest.fixture
def extension(server: RunningServer, tmp_path: Path) -> Iterator[ExtensionServer]:
    with ExtensionServer(server, tmp_path / "extension", legacy=True) as running:
        running.make_service()
        yield running
        server.request("DELETE", f"{SERVICES}/{NAME}")
        wait_for(lambda: get(server, f"{FLUNDERS}")[0] == 404, what="the end of the group")


def endpoint_slice(ip: str, port: int) -> dict[str, Any]:
    """A slice whose address this server would not take from a client."""
    metadata = {
        "name": SERVICE,
        "namespace": NAMESPACE,
        "uid": "00000000-0000-0000-0000-000000000001",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"kubernetes.io/service-name": SERVICE},
    }
    head = {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata, "addressType": "IPv4"}
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    return {**head, "endpoints": [{"addresses": [ip], "conditions": {"ready": True}}], "ports": ports}


SELECTED = {"type": "ClusterIP", "ports": [{"name": "https", "port": 443}]}


@pytest.mark.seed("S60")
def test_with_routing_a_ready_endpoint_is_dialled(etcd_server: tuple[RunningServer, EtcdView], tmp_path: Path) -> None:
    server, view = etcd_server
    with ExtensionServer(server, tmp_path / "extension") as extension:
        extension.make_service(**SELECTED)
        reference = {"namespace": NAMESPACE, "name": SERVICE}
        extension.register("wardle.example.com", "v1", service=reference)
        wait_for(lambda: extension.condition(NAME).get("reason") == "EndpointsNotFound", what="no endpoints")
        assert (
            extension.condition(NAME)["message"] == f'cannot find endpointslices for service/{SERVICE} in "{NAMESPACE}"'
        )
        view.put(f"endpointslices/{NAMESPACE}/{SERVICE}", endpoint_slice("127.0.0.1", extension.port))
        wait_for(lambda: extension.condition(NAME).get("reason") == "Passed", what="an endpoint")
        wait_for(lambda: get(server, FLUNDERS)[0] == 200, what="an answer")
        extension.register("other.example.com", "v1", service={**reference, "port": 444})
        wait_for(
            lambda: extension.condition("v1.other.example.com").get("reason") == "ServicePortError", what="a wrong port"
        )
        view.delete(f"endpointslices/{NAMESPACE}/{SERVICE}")
        wait_for(lambda: extension.condition(NAME).get("status") == "False", what="no endpoints again")


@pytest.mark.seed("S60")
def test_without_routing_the_cluster_ip_is_dialled(extension: ExtensionServer, server: RunningServer) -> None:
    service = {"type": "LoadBalancer", "clusterIP": "10.0.0.77", "ports": [{"name": "https", "port": 443}]}
    body = {"metadata": {"name": "unreachable"}, "spec": service}
    assert server.request("POST", f"/api/v1/namespaces/{NAMESPACE}/services", body)[0] == 201
    extension.register("wardle.example.com", "v1", service={"namespace": NAMESPACE, "name": "unreachable"})
    wait_for(lambda: extension.condition(NAME), timeout=20, what="a condition")
    assert extension.condition(NAME)["reason"] == "FailedDiscoveryCheck"
    assert "https://10.0.0.77:443/apis/wardle.example.com/v1" in extension.condition(NAME)["message"]


def test_older_discovery_and_openapi_are_enough(extension: ExtensionServer, server: RunningServer) -> None:
    extension.register("wardle.example.com", "v1")
    found = wait_for(lambda: current(server), timeout=20, what="discovery")
    assert [one["resource"] for one in found["resources"]] == ["flunders"]
    assert found["resources"][0]["subresources"][0]["subresource"] == "echo"
    name = "apis/wardle.example.com/v1"
    paths = wait_for(lambda: listed(server, name), timeout=20, what="OpenAPI v3")
    status, document = get(server, paths[name]["serverRelativeURL"])
    assert status == 200
    assert "com.example.wardle.v1.Flunder" in document["components"]["schemas"]


def current(server: RunningServer) -> Any:
    versions = groups(server).get("wardle.example.com")
    return versions[0] if versions and versions[0]["freshness"] == "Current" else None


def listed(server: RunningServer, name: str) -> Any:
    paths = get(server, "/openapi/v3")[1]["paths"]
    return paths if name in paths else None


def change(server: RunningServer, **spec: Any) -> None:
    status, body = server.request("PATCH", f"{SERVICES}/{NAME}", {"spec": spec}, **FORM)
    assert status == 200, body


def test_whom_the_connection_trusts(extension: ExtensionServer, server: RunningServer) -> None:
    extension.register("wardle.example.com", "v1", caBundle=base64.b64encode(b"no certificate").decode())
    failed = wait_for(lambda: extension.condition(NAME), what="a condition")
    assert failed["message"] == "unable to load root certificates: unable to parse bytes as PEM block"
    other = (server.data_dir / "pki" / "ca.crt").read_bytes()
    change(server, caBundle=base64.b64encode(other).decode())
    unknown = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    wait_for(lambda: unknown in extension.condition(NAME)["message"], what="a refused certificate")
    change(server, caBundle=None, insecureSkipTLSVerify=True)
    wait_for(lambda: extension.condition(NAME)["reason"] == "Passed", what="trust in anybody")
    wait_for(lambda: get(server, FLUNDERS)[0] == 200, what="an answer")


def test_redirects_go_to_the_client_if_they_may(extension: ExtensionServer, server: RunningServer) -> None:
    extension.register("wardle.example.com", "v1")
    wait_for(lambda: get(server, FLUNDERS)[0] == 200, what="an answer")
    extension.mode("redirect")

    host, _, port = server.url.removeprefix("https://").rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), context=server.admin_tls())
    connection.request("GET", FLUNDERS)
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Location"]) == (302, "http://169.254.169.254/latest/meta-data/")
    connection.close()


def test_a_definitions_group_can_be_taken_over_and_given_back(
    extension: ExtensionServer, server: RunningServer
) -> None:
    """Requests go where the APIService says: to another server, and back to the definition's when it is local again."""
    names = {"plural": "flunders", "singular": "flunder", "kind": "Flunder", "listKind": "FlunderList"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {"group": "wardle.example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    extension.register("wardle.example.com", "v1")
    wait_for(lambda: get(server, FLUNDERS)[0] == 200, what="an answer")
    assert server.request("POST", path, {"metadata": {"name": "flunders.wardle.example.com"}, "spec": spec})[0] == 201
    asked = len(extension.seen())
    assert get(server, FLUNDERS)[0] == 200
    assert len(extension.seen()) > asked, "an APIService that is not managed stays as it is"
    assert server.request("DELETE", f"{SERVICES}/{NAME}")[0] == 200
    made = wait_for(lambda: local(server), what="the definition's own APIService")
    assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    wait_for(lambda: not asks(extension, server), what="requests that stay here")
    assert server.request("DELETE", f"{path}/flunders.wardle.example.com")[0] == 200
    wait_for(lambda: get(server, f"{SERVICES}/{NAME}")[0] == 404, what="the end of the APIService")


def local(server: RunningServer) -> Any:
    status, obj = get(server, f"{SERVICES}/{NAME}")
    return obj if status == 200 and "service" not in obj["spec"] else None


def asks(extension: ExtensionServer, server: RunningServer) -> bool:
    """Whether a request reaches the extension server."""
    before = len([one for one in extension.seen() if one["path"].startswith(FLUNDERS)])
    get(server, FLUNDERS, Accept=AGGREGATED)
    return len([one for one in extension.seen() if one["path"].startswith(FLUNDERS)]) > before
