"""The kube-apiserver command as a process of its own, with exactly the arguments that a test gives it."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

BINARY = str(Path(sys.executable).with_name("kube-apiserver"))
READY_WITHIN = 40


class KubeApiserver:
    """Runs while it is entered; nobody waits for it. `output` is what it has printed so far."""

    def __init__(self, folder: Path, *arguments: str, binary: str = BINARY, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.arguments = arguments
        self.binary = binary
        self._environment = {"TMPDIR": "/tmp", "PYTHONUNBUFFERED": "1"} | environment
        self._log = folder / "kube-apiserver.log"

    def __enter__(self) -> KubeApiserver:
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [self.binary, *self.arguments], stdout=log, stderr=log, env=os.environ | self._environment
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self, timeout: float = 20) -> int:
        """SIGTERM, as envtest and the kubelet send it; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def wait_until_answers(self, url: str, status: int = 200, *, context: ssl.SSLContext | None = None) -> bytes:
        """Poll a URL every 100 ms until it answers so; the body. Raises AssertionError with the log."""
        deadline = time.monotonic() + READY_WITHIN
        found: Any = "nothing"
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output}"
            try:
                found, body = ask(url, context=context)
            except OSError as error:
                found = error
            else:
                if found == status:
                    return body
            time.sleep(0.1)
        raise AssertionError(f"{url}: {found}\n{self.output}")


def ask(
    url: str, method: str = "GET", body: Any = None, *, context: ssl.SSLContext | None = None, **headers: str
) -> tuple[int, bytes]:
    """One request; status and body. Without a context nobody checks the certificate, and the client is anonymous."""
    data = None if body is None else json.dumps(body).encode()
    given = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    request = urllib.request.Request(url, data, given, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context or ssl._create_unverified_context()) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def run(*arguments: str, timeout: float = 30, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command to its end, for what it refuses."""
    return subprocess.run(
        [BINARY, *arguments], capture_output=True, text=True, timeout=timeout, env=os.environ | environment
    )


__all__ = ["BINARY", "KubeApiserver", "ask", "run"]
