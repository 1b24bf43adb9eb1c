"""The command line itself: quick, and clear about what is wrong."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from apiserver_supervisor import control, kubeconfig
from apiserver_supervisor.certificates import ADMIN, Pki
from apiserver_supervisor.cli import main
from apiserver_supervisor.run_folder import make_private
from apiserver_supervisor.tree import duration, render
from click.testing import CliRunner

from tests.running import COMMAND

KUBE_APISERVER = (COMMAND[0], "-c", "from apiserver_supervisor.starting import kube_apiserver; kube_apiserver()")


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
    done = run("start", "--help-all")
    assert done.returncode == 0 and "Secure serving flags:" in done.stdout and not done.stderr


def test_help_of_start_begins_with_the_everyday_flags() -> None:
    text = run("start", "--help").stdout
    assert text.index("Everyday flags:") < text.index("      --secure-port int") < text.index("Supervisor flags:")
    assert "--audit-log-path" not in text and "start --help-all" in text


def test_help_of_kube_apiserver_is_whole() -> None:
    whole = subprocess.run([*KUBE_APISERVER, "--help"], capture_output=True, text=True, timeout=30)
    assert "--audit-log-path" in whole.stdout


@pytest.mark.parametrize("arguments", [["--version"], ["version"]])
def test_versions_are_printed(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 0 and done.stdout.splitlines()[1] == "Kubernetes 1.36"


@pytest.mark.parametrize("command", ["status", "stop", "logs", "list", "delete", "ha", "config"])
def test_every_command_has_a_short_help(command: str) -> None:
    assert run(command, "-h").stdout.startswith(f"Usage: python -m apiserver_supervisor.cli {command}")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["bogus"], 2, "error: No such command 'bogus'"),
        (["status", "--bogus"], 2, "error: No such option"),
        (["completion", "powershell"], 2, "error: Invalid value"),
        (["start", "--bogus"], 1, "error: unknown flag: --bogus"),
    ],
)
def test_errors_begin_alike(arguments: list[str], status: int, told: str) -> None:
    done = run(*arguments)
    assert done.returncode == status and done.stderr.startswith(told), done.stderr
    assert "--help' for usage" in done.stderr


def test_a_folder_of_another_user_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(control, "_ask", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    for command in ("status", "stop", "kubeconfig"):
        done = CliRunner().invoke(main, [command, f"--run-dir={tmp_path}"])
        assert done.exit_code == 1 and str(tmp_path) in done.output and "Permission denied" in done.output


def test_following_logs_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "core.log").write_text("a line\n")
    following = subprocess.Popen(
        [*COMMAND, "logs", "-f", f"--run-dir={tmp_path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert following.stdout is not None
    assert following.stdout.readline() == "a line\n"
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=20)
    assert following.returncode == 0 and errors == ""


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
