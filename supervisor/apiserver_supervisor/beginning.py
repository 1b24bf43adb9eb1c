"""How a master comes to what it needs: it makes everything at a first start, or takes over what an earlier program left."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
from pathlib import Path
from typing import Protocol

from apiserver_workers.server.config import ServerConfig

from apiserver_supervisor import handover, reconcilers
from apiserver_supervisor.children import Child
from apiserver_supervisor.forks import EVENTS_OUT, RECONCILER
from apiserver_supervisor.handover import Handover
from apiserver_supervisor.instances import remove
from apiserver_supervisor.listeners import (
    FRONT,
    UNPROTECTED,
    ListenError,
    Listeners,
    inherited_listeners,
    keep_port,
    open_listeners,
)
from apiserver_supervisor.loop import StartError, State
from apiserver_supervisor.options.parsing import CompletedOptions
from apiserver_supervisor.processes import kill
from apiserver_supervisor.readiness import Notifier
from apiserver_supervisor.run_folder import CONTROL, ROLES, RunFolder, held, lock, make_private

# The master's own sockets beside those by which the groups are reached.
EVENTS, CONTROLS = "events", "control"


class Beginning(Protocol):
    """The steps of a start in which a first start and a takeover differ.

    `state` is where the master begins: the workers of a first start open the unprotected listeners before they are ready,
    those of a reload take their places when they are.
    """

    state: State

    def notifier(self, options: CompletedOptions) -> Notifier:
        """What tells whoever waits for the server."""
        ...

    def listen(self, options: CompletedOptions, folder: RunFolder) -> Listeners:
        """The sockets by which clients come. Raises StartError."""
        ...

    def take_run_folder(self, folder: RunFolder) -> None:
        """Hold the run folder. Raises FolderInUse, OSError."""
        ...

    def take_data_folder(self, options: CompletedOptions) -> int:
        """Hold the data folder: the descriptor of its lock. Raises FolderInUse, OSError, StartError."""
        ...

    def with_secrets(self, config: ServerConfig) -> ServerConfig:
        """The configuration with the token and the certificate that the running workers know."""
        ...

    def sockets(self, folder: RunFolder) -> dict[str, socket.socket]:
        """The master's and the groups' sockets, by name."""
        ...

    def pipe(self) -> tuple[int, int]:
        """The pipe that tells the reconciler what to do."""
        ...

    def start(self, child: Child) -> None:
        """Start a child, or go on with its process."""
        ...

    def clear_reconciler(self) -> None:
        """End an earlier reconciler; what it has listed stays."""
        ...

    def undo(self, *, keep: Path | None) -> None:
        """Remove the folders that this start has made, but not `keep`: the start failed."""
        ...


def beginning() -> Beginning:
    """What an earlier program of this process left, or a first start."""
    left = handover.take_over()
    return FirstStart() if left is None else TakeOver(left)


class FirstStart:
    """Nothing is there yet."""

    state = State.STARTING

    def __init__(self) -> None:
        self._made: list[Path] = []

    def notifier(self, options: CompletedOptions) -> Notifier:
        return Notifier(options.ready_fd)

    def listen(self, options: CompletedOptions, folder: RunFolder) -> Listeners:
        try:
            return open_listeners(options)
        except ListenError as error:
            holder = held(folder.path)
            hint = f" by another master, pid {holder}" if holder else error.hint
            raise StartError(f"{error}{hint if error.in_use else ''}") from None

    def take_run_folder(self, folder: RunFolder) -> None:
        self._note(folder.path)
        folder.take()

    def take_data_folder(self, options: CompletedOptions) -> int:
        reconciler = options.endpoint_reconciler_type
        if reconciler not in reconcilers.TYPES:
            raise StartError(f"endpoint reconciler not implemented: {reconciler} (--endpoint-reconciler-type)")
        data = Path(options.data_dir)
        self._note(data)
        make_private(data)
        taken = lock(data / "lock", f"--data-dir {data}")
        keep_port(options.data_dir, options.secure_port)
        return taken

    def with_secrets(self, config: ServerConfig) -> ServerConfig:
        return config

    def sockets(self, folder: RunFolder) -> dict[str, socket.socket]:
        opened = {role: folder.socket(f"{role}.sock") for role in ROLES if role != FRONT}
        opened[EVENTS], opened[EVENTS_OUT] = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        opened[CONTROLS] = folder.socket(CONTROL)
        return opened

    def pipe(self) -> tuple[int, int]:
        return os.pipe()

    def start(self, child: Child) -> None:
        child.start()

    def clear_reconciler(self) -> None:
        """There is none."""

    def undo(self, *, keep: Path | None) -> None:
        remove(*(folder for folder in self._made if folder != keep))

    def _note(self, folder: Path) -> None:
        if not folder.exists():
            self._made.append(folder)


class TakeOver:
    """Everything is there, and serves."""

    state = State.READY

    def __init__(self, left: Handover) -> None:
        self._left = left

    def notifier(self, options: CompletedOptions) -> Notifier:
        return Notifier(options.ready_fd, dict(self._left.notifier))

    def listen(self, options: CompletedOptions, folder: RunFolder) -> Listeners:
        return inherited_listeners(options, self._left.sockets)

    def take_run_folder(self, folder: RunFolder) -> None:
        folder.adopt(self._left.locks[0])

    def take_data_folder(self, options: CompletedOptions) -> int:
        return self._left.locks[1]

    def with_secrets(self, config: ServerConfig) -> ServerConfig:
        certificate, key = self._left.loopback
        return dataclasses.replace(
            config,
            loopback_token=self._left.token,
            loopback_certificate=certificate.encode(),
            loopback_key=key.encode(),
        )

    def sockets(self, folder: RunFolder) -> dict[str, socket.socket]:
        clients = (FRONT, *UNPROTECTED)
        own = {name: number for name, number in self._left.sockets.items() if name not in clients}
        return {name: socket.socket(fileno=number) for name, number in own.items()}

    def pipe(self) -> tuple[int, int]:
        return self._left.pipe

    def start(self, child: Child) -> None:
        child.take_over(self._left.children[child.role])

    def clear_reconciler(self) -> None:
        kill(self._left.children[RECONCILER]["pid"], signal.SIGKILL)

    def undo(self, *, keep: Path | None) -> None:
        """Nothing was made."""
