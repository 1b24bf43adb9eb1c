"""scripts/chaos: random faults under a mixed load. Exits with 1 if anything happened that must not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from tests.chaos.run import Plan, run


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--seconds", default=300.0, help="For how long faults are made.")
@click.option("--seed", default=1, help="All that is random follows from it.")
@click.option("--servers", default=2, help="Whole servers on one etcd.")
@click.option("--etcd-members", default=3, help="Members of that etcd. With 0 there is one server with its own etcd.")
@click.option("--clients", default=2, help="Clients of each kind.")
@click.option("--only", default="", help="A pattern of the faults to make, such as 'kill -9'.")
def main(seconds: float, seed: int, servers: int, etcd_members: int, clients: int, only: str) -> None:
    """Kill, stop, restart and scale all parts of whole servers and their etcd, under a load that checks all answers.

    Violations, each of which must be 0: acknowledged writes lost, histories that are not linearizable, watch gaps and
    duplicates, requests failed and watches ended by what is planned, reads failed by a kill of what is behind the front,
    processes and sockets left behind.
    """
    plan = Plan(seconds, seed, servers, etcd_members, clients, only, say=lambda text: print(text, flush=True))
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        report = run(plan, Path(folder))
    print(report.text())
    sys.exit(bool(report.violations))


if __name__ == "__main__":
    main()
