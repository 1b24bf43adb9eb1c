"""Completion for bash, zsh and fish. click's scripts ask the commands themselves, so values are completed too."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

PROGRAMS = ("apiserver-supervisor", "kube-apiserver")


def script(shell: str) -> str:
    """The completion script of a shell (bash, zsh or fish), for both commands."""
    return "\n".join(_script(shell, program) for program in PROGRAMS)


def _script(shell: str, program: str) -> str:
    completion_class = get_completion_class(shell)
    assert completion_class is not None
    return completion_class(click.Command(program), {}, program, variable(program)).source()


def variable(program: str) -> str:
    """The environment variable by which a shell asks a command for completions."""
    return f"_{program.upper().replace('-', '_')}_COMPLETE"


def complete_kube_apiserver() -> None:
    """Answer a shell that completes kube-apiserver, which is no click command otherwise, and exit."""
    from apiserver_supervisor.commands.serving import start

    start.main([], prog_name="kube-apiserver", complete_var=variable("kube-apiserver"))
