"""What a server makes and keeps in being, seen from outside: whole servers on an etcd that is nobody's but the test's."""

from __future__ import annotations

import base64
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.auth.test_authentication import Authority
from tests.etcd_view import EtcdView
from tests.running import RunningServer, wait_for
from tests.storage.etcd_process import EtcdProcess

pytestmark = pytest.mark.e2e
Object = dict[str, Any]
QUICK = (sys.executable, "-m", "tests.bootstrap.quick_repairs")
DEFAULT, SYSTEM = "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system"
KUBERNETES, CONFIG = f"{DEFAULT}/services/kubernetes", f"{SYSTEM}/configmaps/extension-apiserver-authentication"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
PORTS = "ranges/servicenodeports"
# the core server's, by the names that kube-apiserver 1.36 gives them
HOOKS = (
    "start-apiserver-admission-initializer",
    "generic-apiserver-start-informers",
    "priority-and-fairness-config-consumer",
    "storage-object-count-tracker-hook",
    "start-system-namespaces-controller",
    "start-cluster-authentication-info-controller",
    "start-kube-apiserver-identity-lease-controller",
    "start-kube-apiserver-identity-lease-garbage-collector",
    "start-legacy-token-tracking-controller",
    "start-service-ip-repair-controllers",
    "rbac/bootstrap-roles",
    "scheduling/bootstrap-system-priority-classes",
    "priority-and-fairness-config-producer",
    "bootstrap-controller",
    "start-kubernetes-service-cidr-controller",
    "kube-apiserver-autoregistration",
    "apiservice-status-local-available-controller",
    "storage-readiness",
)


class Bootstrapped:
    """A server and the etcd that it uses."""

    def __init__(self, folder: Path, etcd: EtcdProcess) -> None:
        flags = (f"--etcd-servers={etcd.url}", "--advertise-address=192.0.2.10")
        self.server = RunningServer(folder, *flags, command=QUICK)
        self.view = EtcdView(etcd.url)
        self.deleted = 0.0

    def get(self, path: str) -> Object | None:
        status, body = self.server.request("GET", path)
        assert status in (200, 404), body
        return json.loads(body) if status == 200 else None

    def must(self, path: str) -> Object:
        found = self.get(path)
        assert found is not None, path
        return found

    def patch(self, path: str, change: Object) -> None:
        status, body = self.server.request("PATCH", path, change, Content_Type="application/merge-patch+json")
        assert status == 200, body


@pytest.fixture(scope="module")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdProcess]:
    process = EtcdProcess(tmp_path_factory.mktemp("etcd"))
    process.start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def bootstrapped(etcd: EtcdProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bootstrapped]:
    made = Bootstrapped(tmp_path_factory.mktemp("server"), etcd)
    with made.server:
        yield made
    made.view.close()


@pytest.mark.seed("S96")
def test_the_system_namespaces_are_there_when_the_server_is_ready(bootstrapped: Bootstrapped) -> None:
    names = [one["metadata"]["name"] for one in bootstrapped.must("/api/v1/namespaces")["items"]]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    bootstrapped.view.delete("namespaces/kube-public")  # the API refuses that; a later test sees it come back
    bootstrapped.deleted = time.monotonic()


@pytest.mark.seed("S83")
def test_every_post_start_hook_is_a_health_check(bootstrapped: Bootstrapped) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        status, body = bootstrapped.server.request("GET", f"{path}?verbose")
        assert status == 200
        lines = body.decode().splitlines()
        assert [hook for hook in HOOKS if f"[+]poststarthook/{hook} ok" not in lines] == []
    assert bootstrapped.server.request("GET", "/readyz/poststarthook/bootstrap-controller") == (200, b"ok")


@pytest.mark.seed("S83")
def test_a_hook_that_never_succeeds_ends_the_server(tmp_path: Path) -> None:
    flags = [f"--run-dir={tmp_path / 'r'}", f"--data-dir={tmp_path / 'd'}", "--secure-port=auto"]
    command = [sys.executable, "-m", "tests.bootstrap.failing_hook", "start", *flags]
    failed = subprocess.run(
        [*command, "--storage-initialization-timeout=1s"], capture_output=True, text=True, timeout=60
    )
    assert failed.returncode == 1
    assert "waiting for poststarthook/scheduling/bootstrap-system-priority-classes\n" in failed.stderr
    assert "told to fail" in (tmp_path / "r" / "logs" / "core.log").read_text()


@pytest.mark.seed("S88")
def test_the_kubernetes_service_is_kept_and_not_changed(bootstrapped: Bootstrapped) -> None:
    service = bootstrapped.must(KUBERNETES)
    port = int(bootstrapped.server.url.rpartition(":")[2])
    assert service["metadata"]["labels"] == {"component": "apiserver", "provider": "kubernetes"}
    spec = service["spec"]
    assert spec["ports"] == [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}]
    assert (spec["clusterIP"], spec["type"], spec["sessionAffinity"]) == ("10.0.0.1", "ClusterIP", "None")
    assert spec["ipFamilyPolicy"] == "SingleStack" and "selector" not in spec
    bootstrapped.patch(KUBERNETES, {"metadata": {"labels": {"component": "mine"}}})
    time.sleep(11)
    assert bootstrapped.must(KUBERNETES)["metadata"]["labels"]["component"] == "mine"
    assert bootstrapped.server.request("DELETE", KUBERNETES)[0] == 200
    again = wait_for(lambda: bootstrapped.get(KUBERNETES), 12, "the service is back")
    assert again["metadata"]["uid"] != service["metadata"]["uid"]
    assert again["spec"] == spec and again["metadata"]["labels"]["component"] == "apiserver"


@pytest.mark.seed("S88", "S92")
def test_the_endpoints_of_that_service_are_this_server(bootstrapped: Bootstrapped) -> None:
    endpoints = wait_for(lambda: bootstrapped.get(f"{DEFAULT}/endpoints/kubernetes"), 12)
    port = int(bootstrapped.server.url.rpartition(":")[2])
    wanted = {"addresses": [{"ip": "192.0.2.10"}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}
    assert endpoints["subsets"] == [wanted]
    mirrored = bootstrapped.must("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes")
    assert mirrored["endpoints"] == [{"addresses": ["192.0.2.10"], "conditions": {"ready": True}}]
    assert mirrored["ports"] == [{"name": "https", "protocol": "TCP", "port": port}]


@pytest.mark.seed("S97")
def test_cluster_ips_are_objects_and_node_ports_a_bitmap(bootstrapped: Bootstrapped) -> None:
    address = bootstrapped.must("/apis/networking.k8s.io/v1/ipaddresses/10.0.0.1")
    assert address["spec"]["parentRef"] == {"resource": "services", "namespace": "default", "name": "kubernetes"}
    assert bootstrapped.must("/apis/networking.k8s.io/v1/servicecidrs/kubernetes")["spec"] == {"cidrs": ["10.0.0.0/24"]}
    stored = bootstrapped.view.get(PORTS)
    assert stored is not None and stored["kind"] == "RangeAllocation" and stored["range"] == "30000-32767"


@pytest.mark.seed("S97")
def test_a_service_made_in_etcd_is_recorded_and_a_leaked_port_freed(bootstrapped: Bootstrapped) -> None:
    spec = {"type": "NodePort", "clusterIP": "10.0.0.50", "clusterIPs": ["10.0.0.50"]}
    spec |= {"ports": [{"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 30123}]}
    bootstrapped.view.put("services/specs/default/smuggled", stored("Service", "smuggled", spec=spec))
    leak(bootstrapped, 30456)
    address = wait_for(lambda: bootstrapped.get("/apis/networking.k8s.io/v1/ipaddresses/10.0.0.50"), 8)
    assert address["spec"]["parentRef"]["name"] == "smuggled"
    wait_for(lambda: 30123 in bits(bootstrapped), 8, "its port is recorded")
    taken = {"metadata": {"name": "other"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30123}]}}
    status, body = bootstrapped.server.request("POST", f"{DEFAULT}/services", taken)
    assert status == 422 and b"provided port is already allocated" in body
    wait_for(lambda: 30456 not in bits(bootstrapped), 12, "the leaked port is free")
    assert 30123 in bits(bootstrapped)
    events = bootstrapped.must(f"{DEFAULT}/events?fieldSelector=involvedObject.name=smuggled")["items"]
    told = {(one["reason"], one["type"], one["reportingComponent"]) for one in events}
    assert ("ClusterIPNotAllocated", "Warning", "ipallocator-repair-controller") in told
    assert ("PortNotAllocated", "Warning", "portallocator-repair-controller") in told


@pytest.mark.seed("S98")
def test_the_authentication_config_map_is_kept_and_follows_the_files(
    bootstrapped: Bootstrapped, tmp_path: Path
) -> None:
    pki = bootstrapped.server.data_dir / "pki"
    client_ca, front_proxy = (pki / "client-ca.crt").read_text(), (pki / "front-proxy-ca.crt").read_text()
    data = bootstrapped.must(CONFIG)["data"]
    assert data["client-ca-file"] == client_ca and data["requestheader-client-ca-file"] == front_proxy
    assert json.loads(data["requestheader-allowed-names"]) == ["front-proxy-client"]
    assert json.loads(data["requestheader-username-headers"]) == ["X-Remote-User"]
    assert json.loads(data["requestheader-group-headers"]) == ["X-Remote-Group"]
    assert json.loads(data["requestheader-extra-headers-prefix"]) == ["X-Remote-Extra-"]
    assert bootstrapped.server.request("DELETE", CONFIG)[0] == 200
    wait_for(lambda: bootstrapped.get(CONFIG), 8, "the config map is back")
    bootstrapped.patch(CONFIG, {"data": {"requestheader-allowed-names": '["theirs"]'}})
    added = Path(Authority("added").write(tmp_path / "added.crt")).read_text()
    (pki / "client-ca.crt").write_text(client_ca + added)

    def merged() -> bool:
        now = bootstrapped.must(CONFIG)["data"]
        both = json.loads(now["requestheader-allowed-names"]) == ["theirs", "front-proxy-client"]
        return both and added in now["client-ca-file"] and client_ca in now["client-ca-file"]

    wait_for(merged, 12, "both servers' names, and the new authority")


def test_the_identity_lease_is_renewed_by_whichever_worker(bootstrapped: Bootstrapped) -> None:
    (lease,) = bootstrapped.must(LEASES)["items"]
    metadata, spec = lease["metadata"], lease["spec"]
    assert metadata["name"].startswith("apiserver-") and len(metadata["name"]) == len("apiserver-") + 26
    assert metadata["labels"]["apiserver.kubernetes.io/identity"] == "kube-apiserver"
    assert metadata["labels"]["kubernetes.io/hostname"] == os.uname().nodename
    assert spec["leaseDurationSeconds"] == 3600 and spec["holderIdentity"].startswith(metadata["name"] + "_")
    os.kill(bootstrapped.server.processes("core worker")[0], signal.SIGKILL)

    def renewed() -> Object | None:
        _, body = bootstrapped.server.request("GET", f"{LEASES}/{metadata['name']}", timeout=30)
        now = json.loads(body).get("spec", {})
        return now if now.get("renewTime", "") > spec["renewTime"] else None

    now = wait_for(renewed, 20, "it is renewed")
    assert now["holderIdentity"] == spec["holderIdentity"], "the server is the same"


@pytest.mark.seed("S96")
def test_a_deleted_system_namespace_is_back_within_a_minute(bootstrapped: Bootstrapped) -> None:
    left = bootstrapped.deleted + 65 - time.monotonic()
    wait_for(lambda: bootstrapped.get("/api/v1/namespaces/kube-public"), max(left, 1), "kube-public is back")


@pytest.mark.seed("S89", "S97")
def test_the_next_start_leaves_the_service_and_collects_dead_servers(bootstrapped: Bootstrapped) -> None:
    server, view = bootstrapped.server, bootstrapped.view
    (own,) = bootstrapped.must(LEASES)["items"]
    server.stop()
    assert view.keys("masterleases/") == []
    identity = {"apiserver.kubernetes.io/identity": "kube-apiserver"}
    now = datetime.datetime.now(datetime.UTC)
    for name, age in (("apiserver-dead", 3700), ("apiserver-alive", 3500)):
        renewed = (now - datetime.timedelta(seconds=age)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": "x", "leaseDurationSeconds": 3600, "renewTime": renewed}
        lease = stored("Lease", name, "coordination.k8s.io/v1", "kube-system", labels=identity, spec=spec)
        view.put(f"leases/kube-system/{name}", lease)
    server.flags = (*server.flags, "--kubernetes-service-node-port=30443")
    server.start()
    service = bootstrapped.must(KUBERNETES)
    assert service["spec"]["type"] == "ClusterIP" and "nodePort" not in service["spec"]["ports"][0]
    wait_for(lambda: bootstrapped.get(f"{LEASES}/apiserver-dead") is None, 5, "the dead server's lease is collected")
    names = {one["metadata"]["name"] for one in bootstrapped.must(LEASES)["items"]}
    assert "apiserver-alive" in names and len(names - {"apiserver-alive", own["metadata"]["name"]}) <= 1


@pytest.mark.seed("S89", "S93")
def test_a_node_port_for_the_service_of_a_server_that_no_endpoints_name(etcd: EtcdProcess, tmp_path: Path) -> None:
    flags = ("--etcd-prefix=/ported", "--kubernetes-service-node-port=30443", "--endpoint-reconciler-type=none")
    with RunningServer(tmp_path, f"--etcd-servers={etcd.url}", "--advertise-address=192.0.2.11", *flags) as server:
        status, body = server.request("GET", KUBERNETES)
        assert status == 200
        spec = json.loads(body)["spec"]
        assert spec["type"] == "NodePort" and spec["ports"][0]["nodePort"] == 30443
        status, body = server.request("GET", f"{DEFAULT}/endpoints/kubernetes")
        assert status == 404 and json.loads(body)["reason"] == "NotFound"
        view = EtcdView(etcd.url, "/ported")
        assert view.keys("masterleases/") == []
        view.close()


def stored(kind: str, name: str, version: str = "v1", namespace: str = "default", **rest: Any) -> Object:
    """An object as it lies in etcd; `labels` are its metadata's."""
    metadata = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "creationTimestamp": "2026-01-01T00:00:00Z"}
    labels = {"labels": rest.pop("labels")} if "labels" in rest else {}
    return {"kind": kind, "apiVersion": version, "metadata": metadata | labels, **rest}


def bits(bootstrapped: Bootstrapped) -> set[int]:
    """The node ports that are taken, as the bitmap in etcd says."""
    data = (bootstrapped.view.get(PORTS) or {}).get("data") or ""
    number = int.from_bytes(base64.b64decode(data), "big")
    return {30000 + n for n in range(number.bit_length()) if number >> n & 1}


def leak(bootstrapped: Bootstrapped, port: int) -> None:
    """Take a port in etcd that no service has."""
    number = sum(1 << (taken - 30000) for taken in bits(bootstrapped) | {port})
    data = base64.b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).decode()
    found = bootstrapped.view.get(PORTS)
    assert found is not None
    bootstrapped.view.put(PORTS, {**found, "data": data})
