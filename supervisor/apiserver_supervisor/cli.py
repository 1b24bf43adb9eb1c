"""The command line. Commands import what they need when they run, so that --help is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from apiserver_supervisor.ha.commands import ha

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
FOREIGN_OPTIONS = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@click.group(context_settings=CONTEXT)
def main() -> None:
    """A Kubernetes API server whose processes are supervised.

    \b
    apiserver-supervisor start          serve until Ctrl-C; prints the URL and a kubeconfig
    apiserver-supervisor status         the processes of the running server
    apiserver-supervisor kubeconfig --merge && kubectl get namespaces

    Every command takes --instance NAME to tell several servers on one machine apart.
    """


def _which_server(command: Any) -> Any:
    instance = click.option("--instance", default="default", metavar="NAME", help="Which server, by its name.")
    run_dir = click.option("--run-dir", metavar="DIR", help="Which server, by its run folder.")
    return instance(run_dir(command))


def _folder(instance: str, run_dir: str | None) -> Path:
    from apiserver_supervisor.completion import default_run_dir

    return Path(run_dir) if run_dir else default_run_dir(instance)


def _ask(folder: Path, command: str, **arguments: Any) -> Any:
    from apiserver_supervisor.control import ControlError, NotRunning, request

    try:
        return request(folder, command, **arguments)
    except (NotRunning, ControlError) as error:
        raise click.ClickException(str(error)) from None


@main.command(context_settings=FOREIGN_OPTIONS, add_help_option=False, short_help="Start a server in the foreground.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def start(flags: tuple[str, ...]) -> None:
    """Start a server in the foreground; `start --help` lists its flags."""
    from apiserver_supervisor.starting import command

    sys.exit(command(flags))


@main.command(context_settings=FOREIGN_OPTIONS, short_help="Show what `start` would run with, and why.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
@click.option("--all", "everything", is_flag=True, help="Also options that have their default.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def config(output: str, everything: bool, flags: tuple[str, ...]) -> None:
    """Show the options that `start` would run with, and where each comes from.

    The FLAGS are those of `start`. A flag comes before the environment (APISERVER_SUPERVISOR_SECURE_PORT), that before the
    file of --config, that before the default. Passwords in URLs are not shown.
    """
    from apiserver_supervisor.configuration import show

    sys.exit(show(flags, output=output, everything=everything))


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a SHELL.

    \b
    bash:  source <(apiserver-supervisor completion bash)
    zsh:   source <(apiserver-supervisor completion zsh)
    fish:  apiserver-supervisor completion fish | source
    """
    from apiserver_supervisor.shell_completion import script

    click.echo(script(shell, main), nl=False)


@main.command()
@_which_server
@click.option("-o", "--output", type=click.Choice(["tree", "json"]), default="tree", help="How to print it.")
def status(instance: str, run_dir: str | None, output: str) -> None:
    """Show the processes: pid, uptime, restarts, memory.

    Exits with 1 when no server runs, and with 2 when it is not ready.
    """
    found = _ask(_folder(instance, run_dir), "status")
    if output == "json":
        import json

        click.echo(json.dumps(found, indent=2))
    else:
        from apiserver_supervisor.tree import render

        click.echo(f"{found['instance']}: {found['state']} at {found['url']}\n\n{render(found['tree'])}")
        for problem in (
            *found["crashLoops"],
            found["reloadFailed"] and f"the last reload failed: {found['reloadFailed']}",
        ):
            if problem:
                click.echo(f"\n{problem}")
    sys.exit(0 if found["ready"] else 2)


@main.command()
@_which_server
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for its end.")
def stop(instance: str, run_dir: str | None, timeout: float) -> None:
    """Stop a server in an orderly way and wait for its end."""
    import time

    from apiserver_supervisor.run_folder import held

    folder = _folder(instance, run_dir)
    _ask(folder, "stop")
    deadline = time.monotonic() + timeout
    while held(folder):
        if time.monotonic() > deadline:
            raise click.ClickException(f"it still runs after {timeout:g} s")
        time.sleep(0.02)


@main.command()
@_which_server
@click.argument("role")
def restart(instance: str, run_dir: str | None, role: str) -> None:
    """Restart a ROLE: aggregator, core, extensions or etcd.

    The workers of a group are replaced while its socket stays open.
    """
    folder = _folder(instance, run_dir)
    _ask(folder, "restart", role=role)
    _wait_until_settled(folder)


@main.command()
@_which_server
@click.argument("size", metavar="ROLE=N")
def scale(instance: str, run_dir: str | None, size: str) -> None:
    """Give a group N workers, for example core=4."""
    role, _, number = size.partition("=")
    if not number.isdecimal():
        raise click.UsageError(f'"{size}" is not of the form ROLE=N')
    folder = _folder(instance, run_dir)
    _ask(folder, "scale", role=role, workers=int(number))
    _wait_until_settled(folder)


@main.command()
@_which_server
def reload(instance: str, run_dir: str | None) -> None:
    """Roll the server onto the code, the options and the files on disk, as SIGHUP does.

    They are checked first. No client notices: new workers serve before the old ones go.
    """
    folder = _folder(instance, run_dir)
    _ask(folder, "reload")
    _wait_until_settled(folder, timeout=120.0)
    if failed := _ask(folder, "status")["reloadFailed"]:
        raise click.ClickException(f"the server is as it was: {failed}")


def _wait_until_settled(folder: Path, timeout: float = 30.0) -> None:
    import time

    deadline = time.monotonic() + timeout
    while not _ask(folder, "status")["settled"]:
        if time.monotonic() > deadline:
            raise click.ClickException(f"not done after {timeout:g} s, see {folder / 'logs'}")
        time.sleep(0.1)


@main.command()
@_which_server
@click.option("-f", "--follow", is_flag=True, help="Go on with what is added.")
@click.option("-n", "--lines", default=200, show_default=True, help="How many lines of the past.")
@click.argument("role", required=False)
def logs(instance: str, run_dir: str | None, follow: bool, lines: int, role: str | None) -> None:
    """Print the logs of all processes, or of one ROLE: master, etcd, aggregator, core, extensions."""
    from apiserver_supervisor.logs import show

    folder = _folder(instance, run_dir) / "logs"
    files = sorted(folder.glob(f"{role or '*'}.log"))
    if not files:
        raise click.ClickException(f"no logs of {role or 'any role'} in {folder}")
    show(files, lines=lines, follow=follow)


@main.command()
@_which_server
@click.option("--merge", is_flag=True, help="Put it into your kubeconfig and make it current.")
def kubeconfig(instance: str, run_dir: str | None, merge: bool) -> None:
    """Print the administrator's kubeconfig, or merge it into yours."""
    from apiserver_supervisor.kubeconfig import merge as merge_into
    from apiserver_supervisor.kubeconfig import users_file
    from apiserver_supervisor.run_folder import KUBECONFIG

    path = _folder(instance, run_dir) / KUBECONFIG
    if not path.exists():
        raise click.ClickException(f"no server runs in {path.parent}")
    if not merge:
        click.echo(path.read_text(), nl=False)
        return
    name = merge_into(path, users_file())
    click.echo(f'context "{name}" is in {users_file()} and current')


@main.command()
def version() -> None:
    """Print this program's version and the Kubernetes version that it serves."""
    from importlib.metadata import version as installed

    from apiserver_supervisor.options import FLAGS

    click.echo(f"apiserver-supervisor {installed('apiserver-supervisor')}")
    click.echo(f"Kubernetes {FLAGS['kubernetes-version'].default}")


main.add_command(ha)


if __name__ == "__main__":
    main()
