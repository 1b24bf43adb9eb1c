"""Three real etcd members, each of which a test may kill, pause and start again."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

from apiserver_supervisor.certificates import Pki, Subject
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.storage.etcd_process import BINARY, free_port


class Certificates:
    """What the members show to clients and want to see of them."""

    def __init__(self, folder: Path) -> None:
        pki = Pki(folder)
        authority = pki.authority("etcd-ca")
        usages = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)  # etcd is its own client too
        self.ca = str(authority.certificate)
        self.server = pki.leaf("server", authority, Subject("etcd", names=("127.0.0.1",), usages=usages))
        self.client = pki.leaf("client", authority, Subject("apiserver"))

    @property
    def of_members(self) -> tuple[str, ...]:
        """The flags of etcd."""
        files = (
            f"--cert-file={self.server.certificate}",
            f"--key-file={self.server.key}",
            f"--trusted-ca-file={self.ca}",
        )
        return (*files, "--client-cert-auth")

    @property
    def of_servers(self) -> tuple[str, ...]:
        """The flags of an API server."""
        client = self.client
        return (f"--etcd-cafile={self.ca}", f"--etcd-certfile={client.certificate}", f"--etcd-keyfile={client.key}")

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(self.client.certificate, self.client.key)
        return context


class EtcdCluster:
    """Started when made, and ready then. With certificates the members take no client without one."""

    def __init__(self, folder: Path, certificates: Certificates | None = None) -> None:
        scheme, flags, context = "http", (), None
        if certificates is not None:
            scheme, flags, context = "https", certificates.of_members, certificates.context()
        self.urls = [f"{scheme}://127.0.0.1:{free_port()}" for _ in range(3)]
        peers = {f"m{n}": f"http://127.0.0.1:{free_port()}" for n in range(3)}
        self.members = [
            Member(folder / name, name, url, peers, flags) for name, url in zip(peers, self.urls, strict=True)
        ]
        for member in self.members:
            member.start()
        deadline = time.monotonic() + 20
        while not all(healthy(url, context) for url in self.urls):
            assert time.monotonic() < deadline, "the members did not find together"
            time.sleep(0.05)

    def kill(self) -> None:
        for member in self.members:
            member.kill()


class Member:
    """One member."""

    def __init__(self, folder: Path, name: str, url: str, peers: dict[str, str], flags: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._command = [
            BINARY,
            f"--name={name}",
            f"--data-dir={folder / 'data'}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peers[name]}",
            f"--initial-advertise-peer-urls={peers[name]}",
            "--initial-cluster=" + ",".join(f"{other}={peer}" for other, peer in peers.items()),
            "--heartbeat-interval=50",
            "--election-timeout=500",
            "--log-level=error",
            *flags,
        ]

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """kill -9, also of a paused process; the data stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def healthy(url: str, context: ssl.SSLContext | None = None) -> bool:
    """Whether a member serves and knows a leader."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1, context=context) as answer:
            return b"true" in answer.read()
    except OSError:
        return False
