"""`ha start`: check everything that can be checked, make certificates, run."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from apiserver_supervisor.ha import interface
from apiserver_supervisor.ha.control_plane import ControlPlane
from apiserver_supervisor.ha.identity import prepare, server_flags
from apiserver_supervisor.ha.plan import LOGS, Plan, PlanError, make
from apiserver_supervisor.loop import StartError
from apiserver_supervisor.options.parsing import CompletedOptions, OptionsError, parse
from apiserver_supervisor.progress import Progress
from apiserver_supervisor.run_folder import FolderInUse, RunFolder
from apiserver_supervisor.starting import complete_and_validate

# what each server has of its own, by the names of their options
OWN = frozenset(
    f"{name}".replace("-", "_")
    for name in (
        *("instance", "run-dir", "data-dir", "bind-address", "secure-port", "advertise-address", "ready-fd"),
        *("tls-cert-file", "tls-private-key-file", "cert-dir"),
        *("etcd-servers", "etcd-cafile", "etcd-certfile", "etcd-keyfile"),
    )
)

NOT_MADE_YET = ("--etcd-cafile", "--etcd-certfile", "--etcd-keyfile")


def start(
    folder: Path, *, replicas: int, members: int, port: int, addresses: str, ready_fd: int, flags: tuple[str, ...]
) -> int:
    """Run a control plane until it is stopped; the exit status."""
    from setproctitle import setproctitle

    from apiserver_supervisor.certificates import CertificateError
    from apiserver_supervisor.etcd import EtcdError

    setproctitle("apiserver-supervisor: ha")
    os.umask(0o077)
    with Progress() as progress:
        try:
            reachable = _reachable(addresses)
            plan = make(folder, replicas=replicas, members=members, port=port, flags=flags, reachable=reachable)
            plan = dataclasses.replace(plan, etcd_prefix=_check(plan).etcd_prefix)
            held = RunFolder(str(folder), logs=folder / LOGS)
            held.take()
            plan.write()
            prepare(plan)
            progress.done("certificates", str(plan.pki))
            return ControlPlane(plan, held, progress, ready_fd=ready_fd).run()
        except (OptionsError, PlanError, FolderInUse, EtcdError, StartError, CertificateError) as error:
            message = str(error)
        except OSError as error:
            message = f"{error.filename or ''}: {error.strerror}".lstrip(": ")
        progress.__exit__(None, None, None)
        print(f"error: {message}", file=sys.stderr)
        return 1


def _reachable(addresses: str) -> bool:
    if addresses == "interface" and not interface.possible():
        raise PlanError("--addresses=interface needs root, /dev/net/tun and iproute2's ip")
    return addresses != "loopback" and interface.possible()


def _check(plan: Plan) -> CompletedOptions:
    """The options of a server, checked as it will check them. Raises OptionsError."""
    own = sorted(name.replace("_", "-") for name in OWN & parse(plan.flags).given)
    if own:
        raise OptionsError([f"--{name} is each server's own" for name in own])
    flags = [flag for flag in server_flags(plan, plan.servers[0]) if not flag.startswith(NOT_MADE_YET)]
    return complete_and_validate(parse(flags, os.environ))
