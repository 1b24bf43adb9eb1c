"""The commands of `apiserver-supervisor ha`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

SETTLE_WITHIN = 60.0


def _which(command: Any) -> Any:
    return click.option("--dir", "folder", metavar="DIR", help="Folder of the control plane.")(command)


def _folder(folder: str | None) -> Path:
    from apiserver_supervisor.completion import state_dir

    return Path(folder).absolute() if folder else state_dir("ha")


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
@click.argument("part")
def kill(folder: str | None, part: str) -> None:
    """Kill a server, all its processes at once, or an etcd member with -9. It stays dead until `ha restart`."""
    name = _act(folder, "kill", part)
    _wait(folder, lambda parts: not parts[name]["pid"])


@ha.command()
@_which
@click.argument("part")
def pause(folder: str | None, part: str) -> None:
    """Stop all processes of a server, or an etcd member, as if its machine hung."""
    _act(folder, "pause", part)


@ha.command()
@_which
@click.argument("part")
def resume(folder: str | None, part: str) -> None:
    """Let a paused part go on."""
    _act(folder, "resume", part)


@ha.command()
@_which
@click.argument("part")
def restart(folder: str | None, part: str) -> None:
    """Stop a part in an orderly way, or bring a dead one back, and wait until it serves."""
    name = _act(folder, "restart", part)
    _wait(folder, lambda parts: parts[name]["state"] == "running")


@ha.command()
@_which
def stop(folder: str | None) -> None:
    """Stop all: the servers leave the endpoints and drain, then etcd ends."""
    from apiserver_supervisor.run_folder import held

    _ask(folder, "stop")
    deadline = time.monotonic() + SETTLE_WITHIN
    while held(_folder(folder)):
        if time.monotonic() > deadline:
            raise click.ClickException(f"it still runs after {SETTLE_WITHIN:g} s")
        time.sleep(0.05)


def _wait(folder: str | None, done: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + SETTLE_WITHIN
    while not done(_ask(folder, "status")["parts"]):
        if time.monotonic() > deadline:
            raise click.ClickException(f"not done after {SETTLE_WITHIN:g} s, see {_folder(folder) / 'logs'}")
        time.sleep(0.05)
