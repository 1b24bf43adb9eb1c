"""The command line itself: quick, and clear about what is wrong."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from apiserver_supervisor import kubeconfig
from apiserver_supervisor.certificates import ADMIN, Pki
from apiserver_supervisor.run_folder import make_private
from apiserver_supervisor.tree import duration, render

from tests.running import COMMAND


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=30, env=os.environ | environment
    )


def test_help_names_every_command() -> None:
    text = run("--help").stdout
    assert all(
        name in text for name in ("start", "status", "stop", "restart", "scale", "logs", "kubeconfig", "version")
    )


def test_help_needs_no_heavy_module() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--help']; from apiserver_supervisor.cli import main; main(standalone_mode=False);"
    )
    heavy = "print([m for m in ('cryptography', 'grpc', 'yaml', 'asyncio', 'rich') if m in sys.modules])"
    done = subprocess.run([COMMAND[0], "-c", code + heavy], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_help_of_start_goes_to_stdout() -> None:
    done = run("start", "--help")
    assert done.returncode == 0 and "Secure serving flags:" in done.stdout and not done.stderr


def test_a_bad_command_line_writes_nothing(tmp_path: Path) -> None:
    run_dir, data_dir = tmp_path / "r", tmp_path / "d"
    done = run("start", f"--run-dir={run_dir}", f"--data-dir={data_dir}", "--secure-port=70000", "--v=-1")
    assert done.returncode == 1
    assert done.stderr.startswith("error: [") and "--secure-port" in done.stderr and "--v" in done.stderr
    assert not run_dir.exists() and not data_dir.exists()


@pytest.mark.parametrize("command", [["status"], ["stop"], ["restart", "core"], ["scale", "core=2"], ["kubeconfig"]])
def test_commands_say_that_no_server_runs(command: list[str], tmp_path: Path) -> None:
    done = run(command[0], f"--run-dir={tmp_path}", *command[1:])
    assert done.returncode == 1 and "no server runs in" in done.stderr


def test_a_scale_of_the_wrong_form_is_explained(tmp_path: Path) -> None:
    done = run("scale", f"--run-dir={tmp_path}", "core")
    assert done.returncode == 2 and "ROLE=N" in done.stderr


def test_merging_keeps_what_is_in_the_users_file(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    authority = pki.authority("ca")
    own = tmp_path / "admin.kubeconfig"
    pair = pki.leaf("admin", authority, ADMIN)
    kubeconfig.write(own, kubeconfig.document("mine", "https://127.0.0.1:1", authority.certificate, client=pair))
    target = tmp_path / "sub" / "config"
    target.parent.mkdir()
    target.write_text(yaml.safe_dump({"clusters": [{"name": "other"}], "users": None, "preferences": {"colors": True}}))
    for _ in range(2):
        assert kubeconfig.merge(own, target) == "mine"
    merged = yaml.safe_load(target.read_text())
    assert [cluster["name"] for cluster in merged["clusters"]] == ["other", "mine"]
    assert merged["current-context"] == "mine" and merged["preferences"] == {"colors": True}
    assert stat.S_IMODE(own.stat().st_mode) == stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_folder_that_others_can_enter_is_not_taken_over(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    (shared / "file").touch()
    with pytest.raises(PermissionError):
        make_private(shared)
    (shared / "file").unlink()
    make_private(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o700


def test_the_tree_is_drawn_with_branches() -> None:
    leaf = {"role": "leaf", "pid": 2, "uptimeSeconds": 61, "restarts": 1, "memoryBytes": 1 << 20, "children": []}
    tree = leaf | {"role": "root", "pid": 1, "children": [leaf, leaf | {"pid": None, "ready": False}]}
    lines = render(tree).splitlines()
    assert lines[2].startswith("├─ leaf") and lines[3].startswith("└─ leaf") and lines[3].endswith("not ready")


def test_durations_are_short() -> None:
    assert [duration(s) for s in (5, 119, 120, 7200, 200000)] == ["5s", "119s", "2m", "2h", "2d"]
