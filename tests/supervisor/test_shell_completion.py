"""The completion scripts, in the shells that they are for."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from apiserver_supervisor.options import FLAGS
from apiserver_supervisor.shell_completion import variable

from tests.running import COMMAND


def script(shell: str, folder: Path) -> Path:
    done = subprocess.run([*COMMAND, "completion", shell], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = folder / f"completion.{shell}"
    path.write_text(done.stdout)
    return path


def offered(line: str, program: str = "apiserver-supervisor") -> list[str]:
    """What a command answers a shell that asks for completions of the last word of a line."""
    words = line.split(" ")
    asked = {"COMP_WORDS": f"{program} {line}", "COMP_CWORD": str(len(words)), variable(program): "bash_complete"}
    executable = str(Path(sys.executable).with_name(program))
    done = subprocess.run([executable], capture_output=True, text=True, env=os.environ | asked)
    return [answer.partition(",")[2] for answer in done.stdout.splitlines() if answer]


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("st", {"start", "status", "stop"}),
        ("start --secure-p", {"--secure-port"}),
        ("start --profil", {"--profiling"}),
        ("ha k", {"kill"}),
        ("ha start --repl", {"--replicas"}),
        ("ha kill ", set()),
        ("restart a", {"aggregator"}),
        ("scale c", {"core=2"}),
        ("completion z", {"zsh"}),
        ("start --kubernetes-version=1.3", {f"1.3{minor}" for minor in range(8)}),
        ("start --authorization-mode=R", {"RBAC"}),
        ("start --authorization-mode=Node,R", {"Node,RBAC"}),
        ("start --enable-admission-plugins=AlwaysP", {"AlwaysPullImages"}),
        ("start --client-ca-file=som", {"som"}),  # bash goes on with files
    ],
)
def test_commands_complete_names_and_values(line: str, answers: set[str]) -> None:
    assert set(offered(line)) == answers


def test_instances_are_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "apiserver-supervisor" / "second" / "data").mkdir(parents=True)
    assert offered("status --instance=s") == ["second"]
    assert offered("start --instance=s") == ["second"]


def test_kube_apiserver_completes_its_flags() -> None:
    assert offered("--etcd-servers-o", "kube-apiserver") == ["--etcd-servers-overrides"]
    shown = offered("--", "kube-apiserver")
    assert set(shown) == {f"--{name}" for name, flag in FLAGS.items() if not flag.hidden}


def test_bash_offers_what_the_command_answers(tmp_path: Path) -> None:
    code = f"""
        PATH={Path(sys.executable).parent}:$PATH
        source {script("bash", tmp_path)}
        COMP_WORDS=(apiserver-supervisor sta) COMP_CWORD=1
        _apiserver_supervisor_completion apiserver-supervisor
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["start", "status"], done.stderr


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_offers_what_the_command_answers(tmp_path: Path) -> None:
    code = f"source {script('fish', tmp_path)}; complete -C 'apiserver-supervisor st'"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], capture_output=True, text=True, env=os.environ | {"PATH": path}
    )
    assert [answer.partition("\t")[0] for answer in done.stdout.splitlines()] == ["start", "status", "stop"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_zsh_completes_a_flag_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / ".zshrc").write_text(
        f"autoload -Uz compinit && compinit -u -d {tmp_path}/dump\nsource {script('zsh', tmp_path)}\nPS1='ready> '\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"ZDOTDIR": str(tmp_path), "TERM": "dumb"}
        os.execvp("zsh", ["zsh", "-i"])
    try:
        read_until(terminal, "ready> ")
        os.write(terminal, b"apiserver-supervisor start --secure-po\t")
        assert "--secure-port" in read_until(terminal, "--secure-port")
        os.write(terminal, b"\x15apiserver-supervisor sta\t\t")
        assert "status" in read_until(terminal, "status")
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def read_until(terminal: int, text: str, timeout: float = 20) -> str:
    import select

    seen = ""
    while text not in seen and select.select([terminal], [], [], timeout)[0]:
        seen += os.read(terminal, 4096).decode(errors="replace")
    return seen
