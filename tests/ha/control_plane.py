"""A control plane for tests: `apiserver-supervisor ha start` as a process of its own."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.running import COMMAND, RunningServer

READY_WITHIN = 120


class RunningControlPlane:
    """Starts when entered, is ready then, and has ended when left. `servers` are those of the latest start."""

    def __init__(self, *flags: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ah-"))  # short: Unix sockets lie there
        self.flags = flags
        self.kubeconfig = self.folder / "kubeconfig"

    def __enter__(self) -> RunningControlPlane:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it says that it is ready. Raises AssertionError if it does not."""
        ready, told = os.pipe()
        with (self.folder / "output").open("w") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "ha", "start", f"--dir={self.folder}", f"--ready-fd={told}", *self.flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(told,),
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        os.close(told)
        with os.fdopen(ready) as pipe:
            told_us = select.select([pipe], [], [], READY_WITHIN)[0] and os.read(pipe.fileno(), 64)
        if told_us != b"ready\n":
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the control plane did not get ready:\n{self.output}")
        self.servers = {one["name"]: Reached(self.folder, one) for one in self.status()["servers"]}

    def stop(self) -> int:
        """End it in an orderly way; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    @property
    def output(self) -> str:
        """What `ha start` has printed."""
        return (self.folder / "output").read_text()

    def command(self, name: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run an `ha` command on it."""
        done = subprocess.run(
            [*COMMAND, "ha", name, f"--dir={self.folder}", *arguments], capture_output=True, text=True, timeout=90
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def status(self) -> Any:
        """What `ha status -o json` prints."""
        done = self.command("status", "-o", "json", check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def server(self, number: int) -> dict[str, Any]:
        """What the status says of one server."""
        return self.status()["servers"][number - 1]

    def leader(self) -> str:
        """The name of the etcd member that leads, "" if none does."""
        return next((one["name"] for one in self.status()["etcd"] if one.get("leader") and one["healthy"]), "")

    def mend(self) -> None:
        """Bring back what is paused or dead."""
        found = self.status()
        for part in (*found["etcd"], *found["servers"]):
            if part["state"] == "paused":
                self.command("resume", part["name"])
            elif part["state"] == "killed":
                self.command("restart", part["name"])

    def pids(self) -> list[int]:
        """All its processes."""
        found = self.status()
        trees = [one["tree"] for one in found["servers"] if one["tree"]]
        return [found["pid"], *(one["pid"] for one in found["etcd"]), *(pid for tree in trees for pid in _pids(tree))]


class Reached:
    """One server of a control plane, with what the tests' clients ask of a server."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.name, self.url, self.published = facts["name"], facts["url"], facts["published"]
        self.kubeconfig = folder / f"{self.name}.kubeconfig"
        self.data_dir = folder / self.name / "data"
        self._pki = folder / "pki"

    request = RunningServer.request

    def admin_tls(self) -> ssl.SSLContext:
        """TLS with the common authority and the administrator's client certificate."""
        context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
        context.load_cert_chain(self._pki / "admin.crt", self._pki / "admin.key")
        return context


def _pids(tree: dict[str, Any]) -> list[int]:
    return [tree["pid"], *(pid for child in tree["children"] for pid in _pids(child) if pid)]
