"""The real kubectl, on a server under test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.running import RunningServer

FOUND = shutil.which("kubectl", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
LONGEST = 60.0
needs_kubectl = pytest.mark.skipif(FOUND is None, reason="no kubectl")


class Kubectl:
    """kubectl as the administrator, in one namespace. Calling it returns what it printed; it must succeed."""

    def __init__(self, server: RunningServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace
        self.flags = [
            str(FOUND),
            f"--kubeconfig={server.kubeconfig}",
            f"--cache-dir={server.data_dir}/cache",
            f"--namespace={namespace}",
        ]

    def __call__(self, *arguments: str, stdin: str = "", **environment: str) -> str:
        done = self.run(*arguments, stdin=stdin, **environment)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """What it prints to stderr when it fails, as it must."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.flags, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | environment,
        )

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """A kubectl that goes on in the background for at most LONGEST seconds; end it."""
        process = subprocess.Popen(
            [*self.flags, *arguments], stdout=subprocess.PIPE, text=True, bufsize=1, env=os.environ | environment
        )
        limit = threading.Timer(LONGEST, process.kill)
        limit.daemon = True
        limit.start()
        return process
