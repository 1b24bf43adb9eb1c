"""The extension server beside a server under test, and the objects that bring the two together."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.auth.remote import Authority
from tests.running import RunningServer, wait_for

Object = dict[str, Any]

SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
NAMESPACE, SERVICE = "kube-system", "extension"
FLUNDERS = "/apis/wardle.example.com/v1/namespaces/default/flunders"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ExtensionServer:
    """A process; `kill` and `start` as often as a test wants. Its service is an ExternalName, which needs no network."""

    def __init__(self, server: RunningServer, folder: Path, **settings: Any) -> None:
        self.server = server
        self.authority = Authority(folder)
        certificate, key = self.authority.pair("extension", f"{SERVICE}.{NAMESPACE}.svc", "localhost")
        self.port = free_port()
        pki = server.data_dir / "pki"
        self._settings = folder / "settings.json"
        common = {"port": self.port, "cert": str(certificate), "key": str(key), "server": server.url}
        own = {
            "server_ca": str(pki / "ca.crt"),
            "client_cert": str(pki / "admin.crt"),
            "client_key": str(pki / "admin.key"),
        }
        self._settings.write_text(json.dumps({**common, **own, **settings}))
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> ExtensionServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.aggregation.extension", str(self._settings)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def install(self, *versions: tuple[str, str], **spec: Any) -> None:
        """Its service, and an APIService for each group and version; all are available afterwards."""
        self.make_service()
        for group, version in versions or (("wardle.example.com", "v1"),):
            self.register(group, version, **spec)
            wait_for(
                lambda name=f"{version}.{group}": self.condition(name).get("status") == "True",
                what=f"{version}.{group}",
            )

    def make_service(self, **spec: Any) -> None:
        body = {"metadata": {"name": SERVICE}, "spec": spec or {"type": "ExternalName", "externalName": "localhost"}}
        status, text = self.server.request("POST", f"/api/v1/namespaces/{NAMESPACE}/services", body)
        assert status in (201, 409), text

    def register(self, group: str, version: str, **spec: Any) -> None:
        reference = {"namespace": NAMESPACE, "name": SERVICE, "port": self.port}
        bundle = base64.b64encode(self.authority.file.read_bytes()).decode()
        whole = {"group": group, "version": version, "groupPriorityMinimum": 100, "versionPriority": 10}
        whole |= {"service": reference, "caBundle": bundle} | spec
        whole = {name: value for name, value in whole.items() if value is not None}
        body = {"metadata": {"name": f"{version}.{group}"}, "spec": whole}
        status, text = self.server.request("POST", SERVICES, body)
        assert status == 201, text

    def condition(self, name: str) -> Object:
        """The condition Available of an APIService, {} if it has none."""
        _, body = self.server.request("GET", f"{SERVICES}/{name}")
        conditions = json.loads(body).get("status", {}).get("conditions") or [{}]
        found: Object = conditions[0]
        return found

    def mode(self, mode: str) -> None:
        self._direct("PUT", "/mode", mode.encode())

    def seen(self) -> list[Object]:
        """What it was asked."""
        found: list[Object] = json.loads(self._direct("GET", "/seen"))
        return found

    def _direct(self, method: str, path: str, body: bytes | None = None) -> bytes:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        request = urllib.request.Request(f"https://localhost:{self.port}{path}", body, method=method)
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            found: bytes = answer.read()
            return found
