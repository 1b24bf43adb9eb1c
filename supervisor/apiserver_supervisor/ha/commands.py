"""The commands of `apiserver-supervisor ha`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from apiserver_supervisor.commands.which import Report, quietly, wait_until

SETTLE_WITHIN = 60.0


def _which(command: Any) -> Any:
    return click.option("--dir", "folder", metavar="DIR", help="Folder of the control plane.")(command)


def _folder(folder: str | None) -> Path:
    from apiserver_supervisor.completion import state_dir

    return Path(folder).absolute() if folder else state_dir("ha")


def parts(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The parts of the control plane that runs, for a shell's completion."""
    from apiserver_supervisor.control import ControlError, NotRunning, request

    try:
        names = request(_folder(context.params.get("folder")), "status", timeout=1.0)["parts"]
    except (NotRunning, ControlError):
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@click.group()
def ha() -> None:
    """Several whole servers on one etcd cluster, on this machine.

    \b
    apiserver-supervisor ha start --replicas 3 --etcd-members 3
    apiserver-supervisor ha status
    apiserver-supervisor ha kill 1       kill -9 of a whole server; restart 1 brings it back
    apiserver-supervisor ha pause etcd-2

    A part is the number of a server, or a name such as server-1 or etcd-2.
    """


@ha.command(context_settings={"ignore_unknown_options": True})
@_which
@click.option("--replicas", default=3, show_default=True, type=click.IntRange(1, 9), help="How many servers.")
@click.option("--etcd-members", default=1, show_default=True, type=click.IntRange(1, 9), help="How many etcd members.")
@click.option("--port", default=6443, show_default=True, type=click.IntRange(1, 65535), help="Port of every server.")
@click.option(
    "--addresses",
    type=click.Choice(["auto", "interface", "loopback"]),
    default="auto",
    show_default=True,
    help="Where the servers listen: on an interface of their own, which needs root and makes endpoints that lead "
    "somewhere, or on loopback.",
)
@click.option("--ready-fd", default=-1, hidden=True)
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def start(
    folder: str | None,
    replicas: int,
    etcd_members: int,
    port: int,
    addresses: str,
    ready_fd: int,
    flags: tuple[str, ...],
) -> None:
    """Start a control plane in the foreground, until Ctrl-C.

    FLAGS, after --, go to every server: `start --help` lists them. What was stored in DIR is served again.
    """
    from apiserver_supervisor.ha.starting import start as run

    sys.exit(
        run(
            _folder(folder),
            replicas=replicas,
            members=etcd_members,
            port=port,
            addresses=addresses,
            ready_fd=ready_fd,
            flags=flags,
        )
    )


@ha.command()
@_which
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def status(folder: str | None, output: str) -> None:
    """Show servers, leases, endpoints and who serves them, etcd members and their leader, and all processes.

    Exits with 1 when no control plane runs, and with 2 when a part of it does not serve.
    """
    from apiserver_supervisor.ha.status import text

    found = _gather(folder)
    if output == "json":
        import json

        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(text(found))
    sys.exit(0 if found["ready"] else 2)


def _gather(folder: str | None) -> dict[str, Any]:
    from apiserver_supervisor.control import NotRunning
    from apiserver_supervisor.ha.plan import Plan, PlanError
    from apiserver_supervisor.ha.status import gather

    where = _folder(folder)
    try:
        plan = Plan.read(where)
        if plan is None:
            raise NotRunning(f"no control plane runs in {where}")
        return gather(plan)
    except (NotRunning, PlanError) as error:
        raise click.ClickException(str(error)) from None


def _act(folder: str | None, action: str, part: str) -> str:
    return str(_ask(folder, "act", action=action, target=part))


def _ask(folder: str | None, command: str, **arguments: Any) -> Any:
    from apiserver_supervisor.control import ControlError, NotRunning, request

    where = _folder(folder)
    try:
        return request(where, command, **arguments)
    except NotRunning:
        raise click.ClickException(f"no control plane runs in {where}") from None
    except ControlError as error:
        raise click.ClickException(str(error)) from None


@ha.command()
@_which
@quietly
@click.argument("part", shell_complete=parts)
def kill(folder: str | None, part: str, quiet: bool) -> None:
    """Kill a server, all its processes at once, or an etcd member with -9. It stays dead until `ha restart`."""
    report = Report(quiet=quiet)
    name = _act(folder, "kill", part)
    _wait(folder, lambda parts: not parts[name]["pid"])
    report.say(f"{name}: killed")


@ha.command()
@_which
@quietly
@click.argument("part", shell_complete=parts)
def pause(folder: str | None, part: str, quiet: bool) -> None:
    """Stop all processes of a server, or an etcd member, as if its machine hung."""
    report = Report(quiet=quiet)
    report.say(f"{_act(folder, 'pause', part)}: paused")


@ha.command()
@_which
@quietly
@click.argument("part", shell_complete=parts)
def resume(folder: str | None, part: str, quiet: bool) -> None:
    """Let a paused part go on."""
    report = Report(quiet=quiet)
    report.say(f"{_act(folder, 'resume', part)}: goes on")


@ha.command()
@_which
@quietly
@click.argument("part", shell_complete=parts)
def restart(folder: str | None, part: str, quiet: bool) -> None:
    """Stop a part in an orderly way, or bring a dead one back, and wait until it serves."""
    report = Report(quiet=quiet)
    name = _act(folder, "restart", part)
    _wait(folder, lambda parts: parts[name]["state"] == "running")
    report.say(f"{name}: serves")


@ha.command()
@_which
@quietly
def stop(folder: str | None, quiet: bool) -> None:
    """Stop all: the servers leave the endpoints and drain, then etcd ends."""
    from apiserver_supervisor.run_folder import held

    report = Report(quiet=quiet)
    _ask(folder, "stop")
    wait_until(lambda: not held(_folder(folder)), SETTLE_WITHIN, "it still runs")
    report.say("the control plane: stopped")


def _wait(folder: str | None, done: Callable[[dict[str, Any]], bool]) -> None:
    failure = f"not done, see {_folder(folder) / 'logs'},"
    wait_until(lambda: done(_ask(folder, "status")["parts"]), SETTLE_WITHIN, failure)
