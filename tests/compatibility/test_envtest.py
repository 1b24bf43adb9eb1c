"""A folder with our kube-apiserver and an etcd serves as envtest's KUBEBUILDER_ASSETS.

The sequence is controller-runtime's (pkg/internal/testing/controlplane/apiserver.go, process/process.go): --help to find
out about --insecure-port, a serving pair and a token certificate in --cert-dir, its default arguments, /healthz without
credentials every 100 ms, SIGTERM.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.compatibility.files import Files
from tests.kube_apiserver import BINARY, KubeApiserver, ask
from tests.storage.etcd_process import BINARY as ETCD
from tests.storage.etcd_process import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.seed("S15", "S32")]

START_TIMEOUT = STOP_TIMEOUT = 20.0


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    folder = tmp_path / "assets"
    folder.mkdir()
    for binary in (BINARY, ETCD):
        (folder / Path(binary).name).symlink_to(binary)
    return folder


def supports(binary: Path, flag: str) -> bool:
    """process.CheckFlag."""
    done = subprocess.run([binary, "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    return bool(re.search(rf"(?m)^\s*--{flag}\b", done.stdout + done.stderr))


def test_envtest_starts_uses_and_stops_it(assets: Path, tmp_path: Path) -> None:
    files = Files(tmp_path / "certs")
    files.authority("serving-ca")
    files.authority("client-ca")
    files.pair("apiserver", "serving-ca", "localhost", serving=True)
    files.authority("sa-signer")  # its certificate verifies tokens, its key signs them
    serving = files.path("apiserver.crt").read_bytes()
    etcd_port, peer_port, port = free_port(), free_port(), free_port()
    etcd = subprocess.Popen(
        [
            assets / "etcd",
            f"--data-dir={tmp_path / 'etcd'}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd_port}",
            f"--listen-client-urls=http://127.0.0.1:{etcd_port}",
            f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
            "--log-level=error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
    )
    binary = assets / "kube-apiserver"
    arguments = [
        "--allow-privileged=true",
        "--authorization-mode=RBAC",
        "--bind-address=127.0.0.1",
        f"--cert-dir={files.folder}",
        f"--client-ca-file={files.folder}/client-ca.crt",
        "--disable-admission-plugins=ServiceAccount",
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--secure-port={port}",
        f"--service-account-issuer=https://127.0.0.1:{port}/",
        f"--service-account-key-file={files.folder}/sa-signer.crt",
        f"--service-account-signing-key-file={files.folder}/sa-signer.key",
        "--service-cluster-ip-range=10.0.0.0/24",
    ]
    if supports(binary, "insecure-port"):
        arguments.append("--insecure-port=0")
    url = f"https://127.0.0.1:{port}"
    try:
        with KubeApiserver(tmp_path, *arguments, binary=str(binary)) as server:
            began = time.monotonic()
            server.wait_until_answers(f"{url}/healthz")
            assert time.monotonic() - began < START_TIMEOUT
            assert ask(f"{url}/readyz")[0] == 200
            admin = files.admin("serving-ca", "client-ca")
            pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
            status, body = ask(f"{url}/api/v1/namespaces/default/pods", "POST", pod, context=admin)
            assert status == 201, body  # no service account is asked for
            assert files.path("apiserver.crt").read_bytes() == serving, "the pair that is there is used"
            assert server.stop(STOP_TIMEOUT) == 0
    finally:
        etcd.kill()
        etcd.wait()
    left = list(Path("/tmp").glob(f"kube-apiserver-*-{port}"))
    assert not left
    shutil.rmtree(assets)
