"""The commands about what servers leave on this machine: list, delete, reset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from apiserver_supervisor.commands.which import Report, folder_of, quietly, which_server


@click.command("list", short_help="List the instances on this machine.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print it.")
def list_instances(output: str) -> None:
    """List the instances of this user that run or have kept data.

    A server whose --run-dir or --data-dir was given is not found by its name and not listed.
    """
    from apiserver_supervisor.instances import find_instances

    found = find_instances()
    if output == "json":
        click.echo(json.dumps([instance.as_dict() for instance in found], indent=2))
        return
    rows = [("INSTANCE", "STATE", "PID", "DATA")]
    rows += [(one.name, one.state, str(one.pid or "-"), str(one.data_dir)) for one in found]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[3]]))


def _which_data(command: Any) -> Any:
    option = click.option("--data-dir", metavar="DIR", help="Its data folder, if it was started with --data-dir.")
    confirm = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
    return which_server(option(confirm(quietly(command))))


@click.command(short_help="Remove a stopped server, its data and certificates.")
@_which_data
def delete(instance: str, run_dir: str | None, data_dir: str | None, yes: bool, quiet: bool) -> None:
    """Remove a stopped server: its data, certificates, keys and logs, and its context from your kubeconfig."""
    from apiserver_supervisor.instances import remove
    from apiserver_supervisor.kubeconfig import context_name, forget, users_file

    run, data = _stopped(instance, run_dir, data_dir)
    _confirm(f"Remove {data} and {run}?", yes=yes)
    report = Report(quiet=quiet)
    removed = remove(run, data)
    forgotten = forget(context_name(instance), users_file())
    context = f", and its context from {users_file()}" if forgotten else ""
    report.say(f"{instance}: removed {', '.join(map(str, removed)) or 'nothing, there was nothing'}{context}")


@click.command(short_help="Remove what a stopped server has stored.")
@_which_data
def reset(instance: str, run_dir: str | None, data_dir: str | None, yes: bool, quiet: bool) -> None:
    """Remove what a stopped server has stored. Certificates, keys and the port stay, so kubeconfigs stay valid."""
    from apiserver_supervisor.etcd import writer_file
    from apiserver_supervisor.instances import remove

    _, data = _stopped(instance, run_dir, data_dir)
    _confirm(f"Remove everything stored in {data / 'etcd'}?", yes=yes)
    report = Report(quiet=quiet)
    removed = remove(data / "etcd")
    writer_file(data / "etcd").unlink(missing_ok=True)
    report.say(f"{instance}: {'the next start begins empty' if removed else 'nothing is stored'}")


def _stopped(instance: str, run_dir: str | None, data_dir: str | None) -> tuple[Path, Path]:
    """The run and data folders of a server that does not run. Raises ClickException if it does."""
    from apiserver_supervisor.completion import state_dir
    from apiserver_supervisor.run_folder import held

    run = folder_of(instance, run_dir)
    if run_dir and not data_dir:
        raise click.UsageError("--run-dir alone does not say where the data is: give --data-dir too")
    data = Path(data_dir).absolute() if data_dir else state_dir(instance) / "data"
    holder = held(run) or held(data, "lock")
    if holder:
        raise click.ClickException(f"{instance} runs, pid {holder}: stop it first")
    return run, data


def _confirm(question: str, *, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True)
