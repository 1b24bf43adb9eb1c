"""Instances: listed, stopped together, reset and deleted; a start that fails leaves nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

SMALL = (sys.executable, str(Path(__file__).with_name("small_apps.py")))


class Home:
    """The folders of one user, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.environment = os.environ | {
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "KUBECONFIG": str(self.kubeconfig),
        }
        (folder / "run").mkdir(mode=0o700)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*SMALL, *arguments], capture_output=True, text=True, timeout=120, env=self.environment, check=False
        )

    def list(self) -> dict[str, str]:
        return {one["instance"]: one["state"] for one in json.loads(self.run("list", "-o", "json").stdout)}

    def data(self, instance: str) -> Path:
        return self.folder / "state" / "apiserver-supervisor" / instance / "data"


@pytest.fixture
def home(short_folder: Path) -> Iterator[Home]:
    one = Home(short_folder)
    yield one
    one.run("stop", "--all")


def start(home: Home, instance: str) -> None:
    started = home.run("start", f"--instance={instance}", "--secure-port=auto", "--detach", "--wait")
    assert started.returncode == 0, started.stderr
    assert "ready" in started.stdout


def test_the_life_of_instances(home: Home) -> None:
    start(home, "first")
    start(home, "second")
    assert home.list() == {"first": "running", "second": "running"}
    assert home.run("kubeconfig", "--instance=first", "--merge").returncode == 0
    before = json.loads(home.run("status", "--instance=first", "-o", "json").stdout)["url"]

    refused = home.run("delete", "--instance=first", "--yes")
    assert refused.returncode == 1 and "runs, pid" in refused.stderr

    assert home.run("stop", "--all").stdout.count("stopped") == 2
    assert home.list() == {"first": "stopped", "second": "stopped"}
    gone = home.run("status", "--instance=first", "-o", "json")
    assert gone.returncode == 1 and json.loads(gone.stdout)["state"] == "stopped"

    assert home.run("reset", "--instance=first", "--yes").returncode == 0
    assert not (home.data("first") / "etcd").exists() and (home.data("first") / "pki").exists()
    start(home, "first")
    assert json.loads(home.run("status", "--instance=first", "-o", "json").stdout)["url"] == before  # the port is kept
    assert home.run("stop", "--instance=first", "--quiet").stdout == ""

    assert "apiserver-supervisor-first" in home.kubeconfig.read_text()
    assert home.run("delete", "--instance=first", "--yes").returncode == 0
    assert yaml.safe_load(home.kubeconfig.read_text())["contexts"] == []
    assert home.list() == {"second": "stopped"}
    assert not home.data("first").exists()


def test_a_start_that_fails_leaves_nothing(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        failed = home.run("start", f"--secure-port={port}", "--detach", "--wait")
    assert failed.returncode == 1 and "Address already in use" in failed.stderr
    assert home.list() == {}
    assert not home.data("default").exists()


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--wait"], "--wait: only with --detach"),
        (["--detach", "--ready-fd=3"], "--ready-fd: not with --detach"),
    ],
)
def test_flags_of_detaching_belong_together(home: Home, flags: list[str], fault: str) -> None:
    refused = home.run("start", *flags)
    assert refused.returncode == 1 and fault in refused.stderr
