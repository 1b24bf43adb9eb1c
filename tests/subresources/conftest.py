"""A server whose kubelets are fake ones, and the node and the pod that lead there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from apiserver_supervisor.certificates import Pki, Subject, serving_subject

from tests.e2e.kubectl import Kubectl
from tests.running import RunningServer
from tests.subresources.backend import own_address
from tests.subresources.kubelet import FakeKubelet

POD = "/api/v1/namespaces/default/pods/p"


@dataclass
class Cluster:
    """A running server, its only kubelet, and kubectl."""

    server: RunningServer
    kubelet: FakeKubelet
    kubectl: Kubectl


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A server that verifies its kubelets and is verified by them.

    Pod `p` runs on node `n`, with containers a and b, pod `modern` on node `m`, which says that it speaks WebSocket.
    """
    folder = tmp_path_factory.mktemp("cluster")
    pki = Pki(Path(folder, "kubelet-pki"))
    authority = pki.authority("kubelet-ca")
    address = own_address() or "127.0.0.1"
    serving = pki.leaf("kubelet", authority, serving_subject(address, "", "", "n"))
    client = pki.leaf("client", authority, Subject("kube-apiserver-kubelet-client", ("system:masters",)))
    flags = (
        "--advertise-address=192.0.2.10",
        f"--kubelet-certificate-authority={authority.certificate}",
        f"--kubelet-client-certificate={client.certificate}",
        f"--kubelet-client-key={client.key}",
        "--kubelet-preferred-address-types=InternalIP,Hostname",
    )
    with (
        FakeKubelet(serving.certificate, serving.key, client_ca=authority.certificate, address=address) as kubelet,
        RunningServer(folder, *flags) as server,
    ):
        create_node(server, "n", kubelet, {"type": "Hostname", "address": "unused"})
        create_pod(server, "p", "n")
        create_node(
            server, "m", kubelet, {"type": "Hostname", "address": "unused"}, features=["ExtendWebSocketsToKubelet"]
        )
        create_pod(server, "modern", "m")
        yield Cluster(server, kubelet, Kubectl(server, "default"))


def create_node(
    server: RunningServer, name: str, kubelet: FakeKubelet, *others: dict[str, str], features: Sequence[str] = ()
) -> None:
    """A node whose internal address is the kubelet's; `others` are more addresses."""
    status = {
        "addresses": [*others, {"type": "InternalIP", "address": kubelet.address}],
        "declaredFeatures": list(features),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}},
    }
    code, body = server.request(
        "POST", "/api/v1/nodes", {"kind": "Node", "apiVersion": "v1", "metadata": {"name": name}, "status": status}
    )
    assert code == 201, body


def create_pod(server: RunningServer, name: str, node: str = "", **labels: str) -> None:
    containers = [{"name": one, "image": "i"} for one in ("a", "b")]
    spec = {"containers": containers, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    if node:
        spec["nodeName"] = node
    metadata = {"name": name, "labels": labels}
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
    server.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec}
    code, body = server.request("POST", "/api/v1/namespaces/default/pods", pod)
    assert code == 201, body
    running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    path = f"/api/v1/namespaces/default/pods/{name}/status"
    code, body = server.request("PATCH", path, running, Content_Type="application/merge-patch+json")
    assert code == 200, body
