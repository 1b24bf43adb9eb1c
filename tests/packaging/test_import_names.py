"""The packages collide with no others: neither with PyPI's `supervisor` nor with a project's own `workers`."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.packaging.wheel import ROOT, build_wheel

SCRIPTS = Path(sys.executable).parent


def run(*command: str, folder: Path, path: Iterable[Path] = ()) -> str:
    """What a command prints; it is run in a folder, with more folders on Python's path."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))}
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_supervisord_and_ours_work_in_one_environment(tmp_path: Path) -> None:
    assert run(str(SCRIPTS / "supervisord"), "--version", folder=tmp_path).startswith("4.")
    assert "Kubernetes" in run(str(SCRIPTS / "apiserver-supervisor"), "version", folder=tmp_path)


PROJECT = """
import json, sys
from pathlib import Path
import supervisor, workers
import apiserver_supervisor, apiserver_workers
from tests.running import RunningServer
with RunningServer(Path(sys.argv[1])) as server:
    print(supervisor.NAME, workers.NAME, json.loads(server.request("GET", "/version")[1])["major"])
"""


def test_a_project_has_packages_of_the_old_names(tmp_path: Path) -> None:
    for name in ("supervisor", "workers"):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text(f"NAME = 'my {name}'\n")
    output = run(sys.executable, "-c", PROJECT, str(tmp_path / "server"), folder=tmp_path, path=(tmp_path, ROOT))
    assert output.strip() == "my supervisor my workers 1"


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    return set(zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("wheel"))).namelist())


def test_the_wheel_has_the_two_packages_alone(wheel_names: set[str]) -> None:
    tops = {
        name.split("/")[0] for name in wheel_names if not name.partition("/")[0].startswith("apiserver_supervisor-")
    }
    assert tops == {"apiserver_supervisor", "apiserver_workers"}


@pytest.mark.parametrize("sample", sorted(path.name for path in (ROOT / "etc").iterdir()))
def test_the_wheel_carries_the_samples(wheel_names: set[str], sample: str) -> None:
    assert any(name.endswith(f"data/share/apiserver-supervisor/{sample}") for name in wheel_names)


@pytest.mark.parametrize(
    "data",
    sorted(
        str(path.relative_to(ROOT / "workers"))
        for path in (ROOT / "workers").rglob("*.*")
        if path.suffix in (".json", ".proto", ".yaml")
    ),
)
def test_the_wheel_carries_the_data(wheel_names: set[str], data: str) -> None:
    assert data in wheel_names
