"""A whole server for a test: `apiserver-supervisor start` as a process of its own, on a free port."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from apiserver_supervisor.control import request as ask_master

READY_WITHIN = 60
COMMAND = (sys.executable, "-m", "apiserver_supervisor.cli")


class RunningServer:
    """Starts when entered, is ready then, and has ended when left.

    `url`, `kubeconfig` (path), `run_dir`, `data_dir`, `process`; with `folder` kept, the same data can be served again.
    """

    def __init__(self, folder: Path, *flags: str, command: tuple[str, ...] = COMMAND, **environment: str) -> None:
        self.data_dir = folder / "data"
        self.flags = flags
        self.executable = command
        self._environment = {"PYTHONUNBUFFERED": "1"} | environment
        self._log = folder / "output"
        self.run_dir = Path(tempfile.mkdtemp(prefix="as-"))  # short: Unix sockets lie there

    def __enter__(self) -> RunningServer:
        self.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        self.stop()
        found = loop_faults(f"{self.output}\n{self.whole_logs()}")
        shutil.rmtree(self.run_dir, ignore_errors=True)
        if failure is None:
            assert not found, "exceptions of an event loop are in the server's logs:\n" + "\n".join(found)

    def start(self) -> None:
        """Start the process and wait until it says that it is ready. Raises AssertionError if it does not."""
        ready, told = os.pipe()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*self.executable, "start", *self.directories, "--secure-port=auto", f"--ready-fd={told}", *self.flags],
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(told,),
                env=os.environ | self._environment,
            )
        os.close(told)
        with os.fdopen(ready) as pipe:
            line = _read_line(pipe.fileno(), READY_WITHIN)
        if line != b"ready\n":
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not get ready:\n{self.output}\n{self.logs()}")
        status = self.status()
        self.url: str = status["url"]
        self.kubeconfig = Path(status["kubeconfig"])

    @property
    def directories(self) -> tuple[str, ...]:
        """The flags that name this server."""
        return (f"--run-dir={self.run_dir}", f"--data-dir={self.data_dir}")

    def stop(self, timeout: float = 20) -> int:
        """End it in an orderly way; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run an apiserver-supervisor command on this server."""
        done = subprocess.run(
            [*COMMAND, arguments[0], f"--run-dir={self.run_dir}", *arguments[1:]], capture_output=True, text=True
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done

    @property
    def output(self) -> str:
        """What `start` has printed."""
        return self._log.read_text()

    def status(self) -> Any:
        """What `status -o json` prints, without the cost of a command."""
        return ask_master(self.run_dir, "status")

    def processes(self, role: str) -> list[int]:
        """The pids of a role, such as `core`, `core worker` or `etcd`."""
        return [node["pid"] for node in _walk(self.status()["tree"]) if node["role"] == role and node["pid"]]

    def whole_logs(self) -> str:
        """All logs from their beginning."""
        return "\n".join(log.read_text(errors="replace") for log in sorted((self.run_dir / "logs").glob("*.log*")))

    def logs(self) -> str:
        """All logs, for messages of failed tests."""
        return "\n".join(f"== {log.name}\n{log.read_text()[-4000:]}" for log in (self.run_dir / "logs").glob("*.log"))

    def request(
        self, method: str, path: str, body: Any = None, *, timeout: float = 10, **headers: str
    ) -> tuple[int, bytes]:
        """One request as the administrator; status and body."""
        data = None if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
        asked = urllib.request.Request(self.url + path, data, given, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=timeout, context=self.admin_tls()) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def admin_tls(self) -> ssl.SSLContext:
        """TLS with the server's authority and the administrator's client certificate."""
        pki = self.data_dir / "pki"
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        return context


# What the event loop's own exception handler and asyncio's warnings write: nobody has caught it, so it is a fault of ours.
LOOP_FAULTS = (
    "Exception in callback",
    "Fatal error on transport",
    "Fatal read error",
    "Fatal write error",
    "Task exception was never retrieved",
    "Future exception was never retrieved",
    "Task was destroyed but it is pending",
    "returning true from eof_received",
    "unable to perform operation on <",
    "an error occurred during closing of asynchronous generator",
)


def loop_faults(text: str) -> list[str]:
    """The lines of a log that tell of exceptions which reached the event loop."""
    return [line for line in text.splitlines() if any(fault in line for fault in LOOP_FAULTS)]


def wait_for(condition: Any, timeout: float = 10, what: str = "condition") -> Any:
    """Call `condition` until what it returns is true, and return that. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.02)


async def eventually(condition: Any, timeout: float = 10, what: str = "condition") -> Any:
    """What `wait_for` does, for a condition that this event loop makes true."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        await asyncio.sleep(0.01)
    return found


def _walk(tree: dict[str, Any]) -> Any:
    yield tree
    for child in tree["children"]:
        yield from _walk(child)


def _read_line(descriptor: int, timeout: float) -> bytes:
    import select

    ready, _, _ = select.select([descriptor], [], [], timeout)
    return os.read(descriptor, 64) if ready else b""
