"""The completion scripts, in the shells that they are for."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from pathlib import Path

import pytest
from apiserver_supervisor.options import FLAGS

from tests.running import COMMAND


def script(shell: str, folder: Path) -> Path:
    done = subprocess.run([*COMMAND, "completion", shell], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    path = folder / f"completion.{shell}"
    path.write_text(done.stdout)
    return path


def in_bash(folder: Path, line: str) -> list[str]:
    """What bash offers at the end of a line."""
    words = line.split(" ")
    code = f"""
        source {script("bash", folder)}
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_WORDS=({line or "''"}{" ''" if line.endswith(" ") else ""}) COMP_CWORD={len(words) - 1}
        _apiserver_supervisor {words[0]}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=folder)
    return [word for word in done.stdout.split("\n") if word]


def test_bash_completes_commands_flags_and_files(tmp_path: Path) -> None:
    assert in_bash(tmp_path, "apiserver-supervisor st") == ["start", "status", "stop"]
    assert in_bash(tmp_path, "apiserver-supervisor start --secure-p") == ["--secure-port="]
    assert in_bash(tmp_path, "apiserver-supervisor start --profil") == ["--profiling"]
    assert "--follow" in in_bash(tmp_path, "apiserver-supervisor logs --")
    assert in_bash(tmp_path, "apiserver-supervisor ha k") == ["kill"]
    assert in_bash(tmp_path, "apiserver-supervisor ha start --repl") == ["--replicas="]
    assert in_bash(tmp_path, "kube-apiserver --etcd-servers-o") == ["--etcd-servers-overrides="]
    (tmp_path / "some.crt").touch()
    assert in_bash(tmp_path, "kube-apiserver --client-ca-file=som") == ["some.crt"]
    shown = in_bash(tmp_path, "kube-apiserver --")
    assert {word.rstrip("=") for word in shown} == {f"--{name}" for name, flag in FLAGS.items() if not flag.hidden}


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_completes_commands_and_flags(tmp_path: Path) -> None:
    def offered(line: str) -> list[str]:
        code = f"source {script('fish', tmp_path)}; complete -C '{line}'"
        done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, cwd=tmp_path)
        return [answer.partition("\t")[0].rstrip("=") for answer in done.stdout.splitlines()]

    assert offered("apiserver-supervisor st") == ["start", "status", "stop"]
    assert offered("apiserver-supervisor start --secure-p") == ["--secure-port"]
    assert offered("kube-apiserver --etcd-servers-o") == ["--etcd-servers-overrides"]


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
        assert "--secure-port=" in read_until(terminal, "--secure-port=")
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
