"""How the processes of a server are forked: the arbiters of its groups and the reconciler."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apiserver_workers.server.config import ServerConfig

from apiserver_supervisor import reconcilers
from apiserver_supervisor.listeners import FRONT, Listeners
from apiserver_supervisor.options.parsing import CompletedOptions
from apiserver_supervisor.processes import fork
from apiserver_supervisor.run_folder import RunFolder

RECONCILER = "reconciler"
EVENTS_OUT = "eventsOut"  # the socket by which children tell the master


@dataclass(frozen=True, slots=True, kw_only=True)
class Forks:
    """What the processes of one server are given. `pipe` tells the reconciler what to do."""

    options: CompletedOptions
    config: ServerConfig
    folder: RunFolder
    sockets: Mapping[str, socket.socket]
    front: Listeners
    pipe: tuple[int, int]

    def arbiter(self, role: str, workers: int, *, starting: bool) -> tuple[int, int]:
        """Start an arbiter with so many workers: its pid, and the pipe that it is told things by.

        `starting`: its workers open the unprotected listeners before the server is ready.
        """
        counts: dict[str, Any] = {f"{role}_workers": workers}
        config = dataclasses.replace(self.config, **counts)
        listener, events = self.sockets[role].fileno(), self.sockets[EVENTS_OUT].fileno()
        wishes, wish = os.pipe()
        unprotected: dict[str, int] = {}
        if role == FRONT:
            unprotected = {name: opened.fileno() for name, opened in self.front.unprotected.items()}

        def run() -> None:
            from apiserver_workers.server.process.arbiter import run_arbiter

            run_arbiter(role, config, listener, events, wishes, unprotected=unprotected, starting=starting)

        pid = fork(run, log=self.folder.log(role), keep=(listener, events, wishes, *unprotected.values()))
        os.close(wishes)
        return pid, wish

    def reconciler(self, *, serving: bool) -> int:
        """Start the reconciler, which lists this server at once if that serves; its pid."""
        told, events = self.pipe[0], self.sockets[EVENTS_OUT].fileno()

        def run() -> None:
            reconcilers.run(self.options, told, reconcilers.Heartbeat(events), serving=serving)

        return fork(run, log=self.folder.log(RECONCILER), keep=(told, events))
