"""Three real etcd members, each of which a test may kill, pause and start again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

from tests.storage.etcd_process import BINARY, free_port


class EtcdCluster:
    """Started when made, and ready then."""

    def __init__(self, folder: Path) -> None:
        self.urls = [f"http://127.0.0.1:{free_port()}" for _ in range(3)]
        peers = {f"m{n}": f"http://127.0.0.1:{free_port()}" for n in range(3)}
        self.members = [Member(folder / name, name, url, peers) for name, url in zip(peers, self.urls, strict=True)]
        for member in self.members:
            member.start()
        deadline = time.monotonic() + 20
        while not all(map(healthy, self.urls)):
            assert time.monotonic() < deadline, "the members did not find together"
            time.sleep(0.05)

    def kill(self) -> None:
        for member in self.members:
            member.kill()


class Member:
    """One member."""

    def __init__(self, folder: Path, name: str, url: str, peers: dict[str, str]) -> None:
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


def healthy(url: str) -> bool:
    """Whether a member serves and knows a leader."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return b"true" in answer.read()
    except OSError:
        return False
