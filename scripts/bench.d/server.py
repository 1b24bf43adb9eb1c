"""A server under test: started from nothing, its processes watched through /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

COMMAND = Path(sys.executable).with_name("apiserver-supervisor")
TICKS = os.sysconf("SC_CLK_TCK")
PARTS = ("aggregator", "core", "extensions", "etcd")
TOKEN = "bench"


class Server:
    """`apiserver-supervisor start` in a folder of its own."""

    def __init__(self, folder: Path, port: int, options: list[str]) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self._folder = folder
        (folder / "tokens.csv").write_text(f'{TOKEN},bench,bench,"system:masters"\n')
        self._command = [
            str(COMMAND),
            "start",
            f"--run-dir={folder}/run",
            f"--data-dir={folder}/data",
            f"--secure-port={port}",
            f"--token-auth-file={folder}/tokens.csv",
            "--authorization-mode=Node,RBAC",
            *options,
        ]

    def start(self) -> float:
        """Start on whatever the data folder holds; the seconds until it says that it is ready."""
        readable, writable = os.pipe()
        begin = time.monotonic()
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [*self._command, f"--ready-fd={writable}"], pass_fds=[writable], stdout=output, stderr=output
            )
        os.close(writable)
        with os.fdopen(readable) as ready:
            if ready.read().strip() != "ready":
                raise RuntimeError(f"the server did not start:\n{(self._folder / 'output').read_text()}")
        return time.monotonic() - begin

    def stop(self) -> float:
        """End it as an operator does; the seconds until its last process is gone."""
        processes = self._processes()
        begin = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        while any(Path(f"/proc/{pid}").exists() for pid in processes):
            time.sleep(0.005)
        return time.monotonic() - begin

    def cpu(self) -> Counter[str]:
        """CPU milliseconds so far of each part of the server."""
        spent: Counter[str] = Counter()
        for pid, part in self._processes().items():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            spent[part] += (int(fields[11]) + int(fields[12])) * 1000 // TICKS
        return spent

    def memory(self) -> Counter[str]:
        """Proportional set size in bytes of each part of the server."""
        size: Counter[str] = Counter()
        for pid, part in self._processes().items():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            size[part] += int(rollup.split("\nPss:")[1].split()[0]) * 1024
        return size

    def _processes(self) -> dict[int, str]:
        """Every process of the tree and the part that it belongs to."""
        found = {}
        waiting = [self._process.pid]
        while waiting:
            pid = waiting.pop()
            found[pid] = _part(pid)
            children = Path(f"/proc/{pid}/task").glob("*/children")
            waiting.extend(int(child) for file in children for child in file.read_text().split())
        return found


def _part(pid: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return next((part for part in PARTS if part in command.split("--")[0]), "master")
