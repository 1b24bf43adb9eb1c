"""The commands that print something: logs, kubeconfig, completion, version."""

from __future__ import annotations

import re
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from apiserver_supervisor.commands.which import folder_of, which_server

LEVELS = ("debug", "info", "warning", "error")


class Duration(click.ParamType):
    """A duration such as 30s, 5m or 1h30m; its value is in seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from apiserver_supervisor.options.flag import FlagError, parse_duration

        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except FlagError as error:
            self.fail(f'"{value}" {error}', param, ctx)


def log_roles(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The roles that have a log, for a shell's completion."""
    folder = folder_of(context.params.get("instance") or "default", context.params.get("run_dir")) / "logs"
    return [CompletionItem(log.stem) for log in sorted(folder.glob(f"{incomplete}*.log"))]


@click.command(short_help="Print the logs of all processes in the order of time.")
@which_server
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option("-n", "--lines", default=200, show_default=True, help="How many lines of the past.")
@click.option("--since", type=Duration(), help="Only what is younger, such as 30s, 5m or 1h.")
@click.option("--level", type=click.Choice(LEVELS), default="debug", help="Only what is at least so grave.")
@click.option("--role", "roles", multiple=True, shell_complete=log_roles, help="Only this role; may be repeated.")
@click.argument("role", required=False, shell_complete=log_roles)
def logs(
    instance: str,
    run_dir: str | None,
    follow: bool,
    lines: int,
    since: float | None,
    level: str,
    roles: tuple[str, ...],
    role: str | None,
) -> None:
    """Print the logs of all processes in the order of time, or of one ROLE: master, etcd, aggregator, core, ..."""
    from apiserver_supervisor.logs import Selection, show

    folder = folder_of(instance, run_dir) / "logs"
    wanted = (*roles, *filter(None, [role]))
    files = _log_files(folder, wanted)
    selection = Selection(since=since, level=LEVELS.index(level), lines=lines)
    try:
        show(files, selection, follow=follow)
    except KeyboardInterrupt:
        click.echo()


def _log_files(folder: Path, roles: tuple[str, ...]) -> list[Path]:
    """The log files of these roles, or of all."""
    try:
        files = sorted(file for file in folder.iterdir() if re.fullmatch(r"[a-z-]+\.log", file.name))
    except FileNotFoundError:
        files = []
    except OSError as error:
        raise click.ClickException(f"{folder}: {error.strerror}") from None
    chosen = [file for file in files if not roles or file.stem in roles]
    if not chosen:
        raise click.ClickException(f"no logs of {' or '.join(roles) or 'any role'} in {folder}")
    return chosen


@click.command(short_help="Print the administrator's kubeconfig.")
@which_server
@click.option("--merge", is_flag=True, help="Put it into your kubeconfig and make it current.")
def kubeconfig(instance: str, run_dir: str | None, merge: bool) -> None:
    """Print the administrator's kubeconfig, or merge it into yours."""
    from apiserver_supervisor.kubeconfig import merge as merge_into
    from apiserver_supervisor.kubeconfig import users_file
    from apiserver_supervisor.run_folder import KUBECONFIG

    path = folder_of(instance, run_dir) / KUBECONFIG
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise click.ClickException(f"no server runs in {path.parent}") from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    if not merge:
        click.echo(text, nl=False)
        return
    name = merge_into(path, users_file())
    click.echo(f'context "{name}" is in {users_file()} and current')


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    bash:  source <(apiserver-supervisor completion bash)
    zsh:   source <(apiserver-supervisor completion zsh)
    fish:  apiserver-supervisor completion fish | source
    """
    from apiserver_supervisor.shell_completion import script

    click.echo(script(shell))


@click.command(short_help="Print the versions of this program and of Kubernetes.")
def version() -> None:
    """Print this program's version and the Kubernetes version that it serves."""
    click.echo(version_text())


def version_text() -> str:
    """The lines of `version` and --version."""
    from importlib.metadata import version as installed

    from apiserver_supervisor.options import FLAGS

    return f"apiserver-supervisor {installed('apiserver-supervisor')}\nKubernetes {FLAGS['kubernetes-version'].default}"
