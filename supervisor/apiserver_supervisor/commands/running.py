"""The commands about a server that runs: status, stop, restart, scale, reload."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from apiserver_supervisor.commands.which import Report, ask, folder_of, quietly, wait_until, which_server

SETTLES_WITHIN = 30.0
RELOADS_WITHIN = 120.0
NOT_RUNNING: dict[str, Any] = {"state": "stopped", "ready": False, "tree": None}


def roles(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The roles that can be restarted, for a shell's completion."""
    from apiserver_supervisor.run_folder import ROLES

    return [CompletionItem(role) for role in (*ROLES, "etcd") if role.startswith(incomplete)]


def sizes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The groups that can be scaled with a first number, for a shell's completion."""
    from apiserver_supervisor.run_folder import ROLES

    return [CompletionItem(f"{role}=2") for role in ROLES if f"{role}=2".startswith(incomplete)]


@click.command()
@which_server
@click.option("-o", "--output", type=click.Choice(["tree", "json"]), default="tree", help="How to print it.")
def status(instance: str, run_dir: str | None, output: str) -> None:
    """Show the processes: pid, uptime, restarts, memory.

    Exits with 0 when the server is ready, with 1 when none runs, and with 2 when it is not ready.
    """
    from apiserver_supervisor.control import ControlError, NotRunning, request

    folder = folder_of(instance, run_dir)
    try:
        found = request(folder, "status")
    except NotRunning as error:
        if output == "json":
            click.echo(json.dumps({"instance": instance, "runDir": str(folder)} | NOT_RUNNING, indent=2))
            sys.exit(1)
        raise click.ClickException(str(error)) from None
    except ControlError as error:
        raise click.ClickException(str(error)) from None
    click.echo(json.dumps(found, indent=2) if output == "json" else _text(found))
    sys.exit(0 if found["ready"] else 2)


def _text(found: dict[str, Any]) -> str:
    from apiserver_supervisor.tree import render

    lines = [f"{found['instance']}: {found['state']} at {found['url']}", "", render(found["tree"])]
    problems = list(found["crashLoops"])
    if found["reloadFailed"]:
        problems.append(f"the last reload failed: {found['reloadFailed']}")
    for problem in problems:
        lines += ["", problem]
    return "\n".join(lines)


@click.command(short_help="Stop a server in an orderly way.")
@which_server
@click.option("--all", "everything", is_flag=True, help="Every server of this user that runs.")
@click.option("--timeout", default=30.0, show_default=True, help="Seconds to wait for its end.")
@quietly
def stop(instance: str, run_dir: str | None, everything: bool, timeout: float, quiet: bool) -> None:
    """Stop a server in an orderly way and wait for its end."""
    if not everything:
        _stop(instance, folder_of(instance, run_dir), timeout, quiet=quiet)
        return
    from apiserver_supervisor.instances import find_instances

    running = [found for found in find_instances() if found.pid]
    for found in running:
        _stop(found.name, found.run_dir, timeout, quiet=quiet)
    if not running:
        Report(quiet=quiet).say("no server runs")


def _stop(name: str, folder: Path, timeout: float, *, quiet: bool) -> None:
    from apiserver_supervisor.run_folder import held

    report = Report(quiet=quiet)
    ask(folder, "stop")
    wait_until(lambda: not held(folder), timeout, f"{name} still runs", pause=0.02)
    report.say(f"{name}: stopped")


@click.command()
@which_server
@quietly
@click.argument("role", shell_complete=roles)
def restart(instance: str, run_dir: str | None, role: str, quiet: bool) -> None:
    """Restart a ROLE: aggregator, core, extensions or etcd.

    The workers of a group are replaced while its socket stays open.
    """
    folder, report = folder_of(instance, run_dir), Report(quiet=quiet)
    ask(folder, "restart", role=role)
    found = _settled(folder, SETTLES_WITHIN)
    report.say(f"{role}: restarted{_serving(found, role)}")


@click.command()
@which_server
@quietly
@click.argument("size", metavar="ROLE=N", shell_complete=sizes)
def scale(instance: str, run_dir: str | None, size: str, quiet: bool) -> None:
    """Give a group N workers, for example core=4."""
    role, _, number = size.partition("=")
    if not number.isdecimal():
        raise click.UsageError(f'"{size}" is not of the form ROLE=N')
    folder, report = folder_of(instance, run_dir), Report(quiet=quiet)
    ask(folder, "scale", role=role, workers=int(number))
    found = _settled(folder, SETTLES_WITHIN)
    report.say(f"{role}: scaled{_serving(found, role)}")


@click.command(short_help="Roll the server onto the code and the options on disk.")
@which_server
@quietly
def reload(instance: str, run_dir: str | None, quiet: bool) -> None:
    """Roll the server onto the code, the options and the files on disk, as SIGHUP does.

    They are checked first. No client notices: new workers serve before the old ones go.
    """
    folder, report = folder_of(instance, run_dir), Report(quiet=quiet)
    ask(folder, "reload")
    if failed := _settled(folder, RELOADS_WITHIN)["reloadFailed"]:
        raise click.ClickException(f"the server is as it was: {failed}")
    report.say("reloaded")


def _settled(folder: Path, timeout: float) -> dict[str, Any]:
    """The status of a server whose changes are complete."""
    found: dict[str, Any] = {}

    def complete() -> bool:
        found.update(ask(folder, "status"))
        return bool(found["settled"])

    wait_until(complete, timeout, f"not done, see {folder / 'logs'},", pause=0.1)
    return found


def _serving(found: dict[str, Any], role: str) -> str:
    """How many workers of a group serve; nothing for a role that is no group."""
    groups = [child for child in found["tree"]["children"] if child["role"] == role and "workers" in child]
    if not groups:
        return ""
    count = groups[0]["workers"]
    return f", {count} worker{'' if count == 1 else 's'} serving"
