"""The wheel installs and serves under every other Python on PATH that is new enough."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.wheel import ROOT, build_wheel
from tests.running import RunningServer

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
VERSION = "import sys, venv, ensurepip; print('.'.join(map(str, sys.version_info[:2])))"


def runs(version: str) -> bool:
    """Whether PATH has this Python; a launcher of a version that is not installed is none."""
    path = shutil.which(f"python{version}")
    if path is None:
        return False
    ended = subprocess.run([path, "-c", VERSION], capture_output=True, text=True, timeout=30)
    return ended.stdout.strip() == version


CURRENT = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHERS = [version for version in SUPPORTED if version != CURRENT and runs(version)]


@pytest.mark.e2e
@pytest.mark.parametrize("version", OTHERS or [pytest.param("", marks=pytest.mark.skip(reason="no other Python"))])
def test_installs_and_serves(version: str, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    python = str(environment / "bin" / "python")
    wheel = build_wheel(tmp_path)
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    for command in (
        [f"python{version}", "-m", "venv", str(environment)],
        [*pip, "--require-hashes", "-r", str(ROOT / "requirements.lock")],
        [*pip, "--no-deps", str(wheel)],
    ):
        subprocess.run(command, check=True, timeout=600)
    with RunningServer(tmp_path, command=(python, "-m", "apiserver_supervisor.cli")) as server:
        kubectl = [str(Path(sys.executable).with_name("kubectl")), f"--kubeconfig={server.kubeconfig}"]
        subprocess.run([*kubectl, "create", "configmap", "made", "--from-literal=by=kubectl"], check=True, timeout=60)
        logs = server.logs()
        assert server.stop() == 0
    assert "Exception ignored" not in logs
    assert "Traceback" not in logs
