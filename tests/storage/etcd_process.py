"""A real etcd on free loopback ports, which a test may kill, pause and start again on the same data."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

BINARY = shutil.which("etcd") or str(Path(sys.executable).with_name("etcd"))


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


class EtcdProcess:
    def __init__(self, folder: Path, *, scheme: str = "http", flags: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.url = f"{scheme}://127.0.0.1:{free_port()}"
        self._peer = f"http://127.0.0.1:{free_port()}"
        self._flags = flags
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            BINARY,
            f"--data-dir={self.folder / 'data'}",
            f"--listen-client-urls={self.url}",
            f"--advertise-client-urls={self.url}",
            f"--listen-peer-urls={self._peer}",
            f"--initial-advertise-peer-urls={self._peer}",
            f"--initial-cluster=default={self._peer}",
            "--heartbeat-interval=10",
            "--election-timeout=50",
            "--log-level=error",
            *self._flags,
        ]
        log = (self.folder / "etcd.log").open("ab")
        self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
        log.close()
        self._wait_for_port()

    def _wait_for_port(self) -> None:
        host, port = self.url.rsplit("/", 1)[1].split(":")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError((self.folder / "etcd.log").read_text())

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)
        if number == signal.SIGSTOP:
            os.waitpid(self._process.pid, os.WUNTRACED)

    def kill(self) -> None:
        """kill -9, also of a paused process; the data stays."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
