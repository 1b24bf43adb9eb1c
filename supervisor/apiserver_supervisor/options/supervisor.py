"""The supervisor's own flags, which upstream does not have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver_supervisor.options.flag import BOOL, DURATION, INT, STRING, Flag, FlagGroup
from apiserver_supervisor.options.validators import (
    between,
    creatable_folder,
    instance_name,
    not_negative,
    positive,
    quantity,
)


def detaching(options: Any) -> Iterable[str]:
    """Rules of --detach: what needs it, and what it takes for itself."""
    if options.wait and not options.detach:
        yield "--wait: only with --detach"
    if options.detach and options.ready_fd >= 0:
        yield "--ready-fd: not with --detach, use --wait"
    if options.detach and not options.profile.provides:
        yield f"--detach: not with {options.profile.command}"


GROUP = FlagGroup(
    "Supervisor",
    (
        Flag(
            "advertise-port",
            INT,
            0,
            "Port that is published beside --advertise-address. By default --secure-port.",
            between(0, 65535),
        ),
        Flag("aggregator-workers", INT, 1, "Worker processes that face the clients.", positive),
        Flag(
            "config",
            STRING,
            "",
            "YAML file of options, by the names of the flags. The command line and the environment come before it.",
        ),
        Flag("core-workers", INT, 1, "Worker processes that serve the built-in API.", positive),
        Flag(
            "data-dir",
            STRING,
            "",
            "Folder of etcd's data and the certificates. By default data in the state folder.",
            creatable_folder,
        ),
        Flag("detach", BOOL, False, "Serve in the background; what it prints goes to start.out in the run folder."),
        Flag("extensions-workers", INT, 1, "Worker processes that serve custom resources.", positive),
        Flag("instance", STRING, "default", "Name that keeps several servers on one machine apart.", instance_name),
        Flag("kubernetes-version", STRING, "1.36", "Kubernetes minor version that this server is, from 1.25 to 1.37."),
        Flag("ready-fd", INT, -1, "File descriptor that gets the line ready when the server is, and is closed then."),
        Flag(
            "run-dir",
            STRING,
            "",
            "Folder of sockets, logs and admin.kubeconfig. By default a private folder under $XDG_RUNTIME_DIR or the state folder.",
            creatable_folder,
        ),
        Flag(
            "wait",
            BOOL,
            False,
            "With --detach: return when the server is ready, or with an error if it does not start.",
        ),
        Flag(
            "worker-drain-timeout",
            DURATION,
            3600.0,
            "How long a worker that was replaced may keep the streams that are open on it. No watch lasts longer by default.",
            not_negative,
        ),
        Flag(
            "worker-max-memory",
            STRING,
            "2Gi",
            "Memory of a worker, such as 512Mi, above which it is replaced by a new one, without a client noticing, once it has "
            "also doubled since it began to serve. 0 is no limit.",
            quantity,
        ),
        Flag(
            "worker-timeout",
            DURATION,
            5.0,
            "A worker whose event loop does not turn for so long is killed and replaced.",
            positive,
        ),
    ),
    (detaching,),
)
