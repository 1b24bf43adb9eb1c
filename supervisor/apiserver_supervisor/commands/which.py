"""What the commands about a running server share: which server is meant, asking it, and saying how long things took."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem


def instance_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The instances that have a folder on this machine, for a shell's completion."""
    from apiserver_supervisor.instances import find_instances

    return [CompletionItem(found.name) for found in find_instances() if found.name.startswith(incomplete)]


def which_server(command: Any) -> Any:
    """Decorator: adds --instance and --run-dir, which say which server is meant."""
    instance = click.option(
        "--instance",
        default="default",
        show_default=True,
        metavar="NAME",
        shell_complete=instance_names,
        help="Which server, by its name.",
    )
    run_dir = click.option("--run-dir", metavar="DIR", help="Which server, by its run folder.")
    return instance(run_dir(command))


def quietly(command: Any) -> Any:
    """Decorator: adds --quiet."""
    return click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")(command)


def folder_of(instance: str, run_dir: str | None) -> Path:
    """The run folder of the server that is meant."""
    from apiserver_supervisor.completion import default_run_dir

    return Path(run_dir).absolute() if run_dir else default_run_dir(instance)


def ask(folder: Path, command: str, **arguments: Any) -> Any:
    """The master's answer to a command. Raises ClickException if no server runs there or it refuses."""
    from apiserver_supervisor.control import ControlError, NotRunning, request

    try:
        return request(folder, command, **arguments)
    except (NotRunning, ControlError) as error:
        raise click.ClickException(str(error)) from None


class Report:
    """Says what a command did and how long that took, unless it is to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._began = time.monotonic()

    def say(self, done: str) -> None:
        """Print one line: what was done, and the seconds since the command began."""
        if not self._quiet:
            click.echo(f"{done} ({time.monotonic() - self._began:.1f} s)")


def wait_until(condition: Callable[[], bool], timeout: float, failure: str, pause: float = 0.05) -> None:
    """Call `condition` until it is true. Raises ClickException with `failure` after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise click.ClickException(f"{failure} after {timeout:g} s")
        time.sleep(pause)
