"""What other tools pass to kube-apiserver starts this server, unchanged, with the files that they make.

Where the lists come from: kubeadm cmd/kubeadm/app/phases/controlplane/manifests.go (1.36), kind pkg/cluster/internal/kubeadm,
k3s pkg/daemons/control/server.go, kwok pkg/kwokctl/components/kube_apiserver.go.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compatibility.files import Files
from tests.kube_apiserver import KubeApiserver, ask
from tests.storage.etcd_process import EtcdProcess, free_port

pytestmark = pytest.mark.e2e

FRONT_PROXY_HEADERS = (
    "--requestheader-extra-headers-prefix=X-Remote-Extra-",
    "--requestheader-group-headers=X-Remote-Group",
    "--requestheader-username-headers=X-Remote-User",
)
ADDRESS = "192.0.2.10"


def kubeadm_files(files: Files) -> None:
    for authority in ("ca", "front-proxy-ca", "etcd/ca"):
        files.authority(authority)
    files.pair("apiserver", "ca", "kube-apiserver", serving=True)
    files.pair("apiserver-kubelet-client", "ca", "kube-apiserver-kubelet-client", "kubeadm:cluster-admins")
    files.pair("apiserver-etcd-client", "etcd/ca", "kube-apiserver-etcd-client")
    files.pair("front-proxy-client", "front-proxy-ca", "front-proxy-client")
    files.pair("etcd/server", "etcd/ca", "localhost", serving=True)
    files.token_keys("sa.key", "sa.pub")


def kubeadm(files: Files, etcd: str, port: int) -> list[str]:
    pki = files.folder
    return [
        f"--advertise-address={ADDRESS}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        f"--client-ca-file={pki}/ca.crt",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-bootstrap-token-auth=true",
        f"--etcd-cafile={pki}/etcd/ca.crt",
        f"--etcd-certfile={pki}/apiserver-etcd-client.crt",
        f"--etcd-keyfile={pki}/apiserver-etcd-client.key",
        f"--etcd-servers={etcd}",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        "--requestheader-allowed-names=front-proxy-client",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        *FRONT_PROXY_HEADERS,
        f"--secure-port={port}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        "--service-cluster-ip-range=10.96.0.0/12",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
    ]


def kind(files: Files, etcd: str, port: int) -> list[str]:
    return [*kubeadm(files, etcd, port), "--runtime-config="]


def k3s_files(files: Files) -> None:
    for authority in ("server-ca", "client-ca", "request-header-ca", "etcd/ca"):
        files.authority(authority)
    files.pair("serving-kube-apiserver", "server-ca", "kube-apiserver", serving=True)
    files.pair("client-kube-apiserver", "client-ca", "system:apiserver", "system:masters")
    files.pair("client-auth-proxy", "request-header-ca", "system:auth-proxy")
    files.pair("etcd/client", "etcd/ca", "etcd-client")
    files.pair("etcd/server", "etcd/ca", "etcd-server", serving=True)
    files.token_keys("service.current.key", "service.key")
    files.path("egress-selector-config.yaml").write_text(
        "apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections: []\n"
    )


def k3s(files: Files, etcd: str, port: int) -> list[str]:
    tls = files.folder
    issuer = "https://kubernetes.default.svc.cluster.local"
    return [
        f"--advertise-address={ADDRESS}",
        f"--advertise-port={port}",
        "--allow-privileged=true",
        "--anonymous-auth=false",
        f"--api-audiences={issuer},k3s",
        "--authorization-mode=Node,RBAC",
        "--bind-address=127.0.0.1",
        f"--cert-dir={tls}/temporary-certs",
        f"--client-ca-file={tls}/client-ca.crt",
        f"--egress-selector-config-file={tls}/egress-selector-config.yaml",
        "--enable-admission-plugins=NodeRestriction",
        "--enable-aggregator-routing=true",
        "--enable-bootstrap-token-auth=true",
        f"--etcd-cafile={tls}/etcd/ca.crt",
        f"--etcd-certfile={tls}/etcd/client.crt",
        f"--etcd-keyfile={tls}/etcd/client.key",
        f"--etcd-servers={etcd}",
        f"--kubelet-certificate-authority={tls}/server-ca.crt",
        f"--kubelet-client-certificate={tls}/client-kube-apiserver.crt",
        f"--kubelet-client-key={tls}/client-kube-apiserver.key",
        "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
        "--profiling=false",
        f"--proxy-client-cert-file={tls}/client-auth-proxy.crt",
        f"--proxy-client-key-file={tls}/client-auth-proxy.key",
        "--requestheader-allowed-names=system:auth-proxy",
        f"--requestheader-client-ca-file={tls}/request-header-ca.crt",
        *FRONT_PROXY_HEADERS,
        f"--secure-port={port}",
        f"--service-account-issuer={issuer}",
        f"--service-account-key-file={tls}/service.key",
        f"--service-account-signing-key-file={tls}/service.current.key",
        "--service-cluster-ip-range=10.43.0.0/16",
        "--service-node-port-range=30000-32767",
        "--storage-backend=etcd3",
        f"--tls-cert-file={tls}/serving-kube-apiserver.crt",
        "--tls-cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        f"--tls-private-key-file={tls}/serving-kube-apiserver.key",
    ]


def kwok_files(files: Files) -> None:
    files.authority("ca")
    files.pair("admin", "ca", "kubernetes-admin", "system:masters", serving=True)


def kwok(files: Files, etcd: str, port: int) -> list[str]:
    pki = files.folder
    return [
        "--etcd-prefix=/registry",
        "--allow-privileged=true",
        "--admission-control=",
        "--max-requests-inflight=0",
        "--max-mutating-requests-inflight=0",
        "--enable-priority-and-fairness=false",
        f"--etcd-servers={etcd}",
        "--authorization-mode=Node,RBAC",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={pki}/admin.crt",
        f"--tls-private-key-file={pki}/admin.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--service-account-key-file={pki}/admin.key",
        f"--service-account-signing-key-file={pki}/admin.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--proxy-client-key-file={pki}/admin.key",
        f"--proxy-client-cert-file={pki}/admin.crt",
        "--endpoint-reconciler-type=none",
    ]


Tool = tuple[Callable[[Files], None], Callable[[Files, str, int], list[str]], str, str, str]
# files, arguments, the authority of the serving certificate, that of clients, and of etcd ("" is plain HTTP)
TOOLS: dict[str, Tool] = {
    "kubeadm": (kubeadm_files, kubeadm, "ca", "ca", "etcd/ca"),
    "kind": (kubeadm_files, kind, "ca", "ca", "etcd/ca"),
    "k3s": (k3s_files, k3s, "server-ca", "client-ca", "etcd/ca"),
    "kwok": (kwok_files, kwok, "ca", "ca", ""),
}


@pytest.fixture
def etcd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[Files, str], EtcdProcess]]:
    started: list[EtcdProcess] = []

    def start(files: Files, authority: str) -> EtcdProcess:
        folder = tmp_path / "etcd-data"
        folder.mkdir()
        tls = (
            f"--cert-file={files.folder}/etcd/server.crt",
            f"--key-file={files.folder}/etcd/server.key",
            f"--trusted-ca-file={files.folder}/etcd/ca.crt",
            "--client-cert-auth",
        )
        member = EtcdProcess(folder, scheme="https" if authority else "http", flags=tls if authority else ())
        member.start()
        started.append(member)
        return member

    yield start
    for member in started:
        member.kill()


@pytest.mark.parametrize("tool", TOOLS)
def test_the_server_gets_ready_with_what_the_tool_passes(
    tool: str, tmp_path: Path, etcd: Callable[[Files, str], EtcdProcess]
) -> None:
    make, arguments, serving, clients, storage = TOOLS[tool]
    files = Files(tmp_path / "pki")
    make(files)
    port = free_port()
    member = etcd(files, storage)
    admin = files.admin(serving, clients)
    url = f"https://127.0.0.1:{port}"
    with KubeApiserver(tmp_path, *arguments(files, member.url, port)) as server:
        server.wait_until_answers(f"{url}/livez", context=admin)
        server.wait_until_answers(f"{url}/readyz", context=admin)
        status, body = ask(
            f"{url}/api/v1/namespaces/default/configmaps", "POST", {"metadata": {"name": tool}}, context=admin
        )
        assert status == 201, body
        assert json.loads(ask(f"{url}/version", context=admin)[1])["gitVersion"].startswith("v1.36.")
        if tool != "kwok":
            assert json.loads(ask(f"{url}/api/v1/namespaces/default/services/kubernetes", context=admin)[1])
        assert server.stop() == 0
        assert "Traceback" not in server.output
        assert "PRIVATE KEY" not in server.output
