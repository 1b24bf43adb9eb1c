"""The process that runs a control plane: it starts etcd members and servers, keeps them, and ends them in order.

It is to the servers what a master is to its workers, and built alike: one thread, a loop, and children that die with it.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from apiserver_supervisor import etcd as binaries
from apiserver_supervisor.control import ControlError
from apiserver_supervisor.control_socket import Command, ControlSocket
from apiserver_supervisor.ha.identity import server_flags
from apiserver_supervisor.ha.interface import open_interface
from apiserver_supervisor.ha.members import MemberProcess, healthy
from apiserver_supervisor.ha.parts import Part
from apiserver_supervisor.ha.plan import KUBECONFIG, LOGS, Plan, Server
from apiserver_supervisor.processes import fork
from apiserver_supervisor.progress import Progress
from apiserver_supervisor.readiness import Notifier
from apiserver_supervisor.run_folder import CONTROL, RunFolder
from apiserver_supervisor.signals import Signals

READY_WITHIN = 180.0
TOO_MANY_CRASHES = 3  # in a row and before all was ever ready
STOP_SERVER_WITHIN = 30.0
STOP_ETCD_WITHIN = 1.0  # the last members of a cluster wait for each other, and lose nothing when they are killed


class StartError(Exception):
    """The control plane cannot start; the message says why."""


class ControlPlane:
    """One control plane. `run` returns the exit status."""

    def __init__(self, plan: Plan, folder: RunFolder, progress: Progress, *, ready_fd: int = -1) -> None:
        self.plan, self._folder, self._progress = plan, folder, progress
        self.parts: dict[str, Part] = {}
        self.state = "starting"
        self._binary = binaries.find(folder=folder.path, data=folder.path, log=None)
        self._notifier = Notifier(ready_fd)
        self._selector = selectors.DefaultSelector()
        self._ready_pipes: dict[str, int] = {}
        self._began = time.monotonic()

    def run(self) -> int:
        """Start all, serve until a signal or `ha stop`, end all. Raises StartError, OSError."""
        self._signals = Signals(self._selector)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        interface = -1
        try:
            if self.plan.reachable:
                interface = open_interface([server.published for server in self.plan.servers])
            self._open_control()
            self._start_etcd()
            if self.state == "starting":
                self._start_servers()
            while self.state in ("starting", "ready"):
                self._turn()
            self._stop()
            return 0
        finally:
            for part in self.parts.values():
                part.signal(signal.SIGKILL)
            if interface >= 0:
                os.close(interface)
            self._folder.leave()

    # starting

    def _open_control(self) -> None:
        commands = {
            "status": Command(self.status),
            "stop": Command(self.stop),
            "act": Command(self.act, {"action": str, "target": str}),
        }
        self._control = ControlSocket(self._folder.socket(CONTROL), commands, self._selector)

    def _start_etcd(self) -> None:
        for member in self.plan.etcd:
            process = MemberProcess(self.plan, member, self._binary, self._log(member.name))
            self.parts[member.name] = Part(member.name, process.start, tells=False)
        self._progress.expect(*self.parts)
        for part in self.parts.values():
            part.start()
        waiting = {member.name: member for member in self.plan.etcd}
        while waiting and self.state == "starting":
            self._turn()
            for name, member in list(waiting.items()):
                if healthy(self.plan, member):
                    del waiting[name]
                    self.parts[name].ready = True
                    self._progress.done(name, f"etcd {self._binary.version} at {member.url}")

    def _start_servers(self) -> None:
        servers = {server.name: server for server in self.plan.servers}
        self._progress.expect(*servers)
        for name, server in servers.items():
            self.parts[name] = Part(name, partial(self._fork_server, server), tells=True)
            self.parts[name].start()

    def _fork_server(self, server: Server) -> int:
        ready, told = os.pipe()
        os.set_blocking(ready, False)
        self._forget_pipe(server.name)
        self._ready_pipes[server.name] = ready
        self._selector.register(ready, selectors.EVENT_READ, lambda: self._server_says(server))
        flags = (*server_flags(self.plan, server), f"--ready-fd={told}")

        def run() -> None:
            os.set_inheritable(told, True)
            os.execv(sys.executable, [sys.executable, "-P", "-m", "apiserver_supervisor.cli", "start", *flags])

        pid = fork(run, log=self._log(server.name), keep=(told,))
        os.close(told)
        return pid

    def _server_says(self, server: Server) -> None:
        """A server is ready, or has ended without."""
        part = self.parts[server.name]
        said = os.read(self._ready_pipes[server.name], 64)
        self._forget_pipe(server.name)
        if said and not part.ready:
            part.ready = True
            if self.state == "starting":
                self._progress.done(server.name, server.url)

    def _forget_pipe(self, name: str) -> None:
        pipe = self._ready_pipes.pop(name, None)
        if pipe is not None:
            self._selector.unregister(pipe)
            os.close(pipe)

    # the loop

    def _turn(self) -> None:
        for key, _ in self._selector.select(0.02 if self.state == "starting" else 0.2):
            key.data()
        for number in self._signals.take():
            if number != signal.SIGCHLD:
                self.stop()
        now = time.monotonic()
        for part in self.parts.values():
            part.check(now)
        self._notifier.beat(now)
        if self.state == "starting":
            self._follow_start(now)

    def _follow_start(self, now: float) -> None:
        for part in self.parts.values():
            if part.backoff.crashes >= TOO_MANY_CRASHES:
                raise StartError(f"{part.role} does not start:\n{self._last_lines(part.role)}")
        waiting = [name for name, part in self.parts.items() if not part.ready]
        if now - self._began > READY_WITHIN:
            raise StartError(f"not ready within {READY_WITHIN:.0f} s, waiting for {', '.join(waiting)}")
        self._progress.refresh()
        if not waiting and len(self.parts) == self.plan.members + self.plan.replicas:
            self._become_ready()

    def _become_ready(self) -> None:
        self.state = "ready"
        self._progress.__exit__(None, None, None)
        self._notifier.ready("serving")
        self._progress.say(self._summary())

    def _summary(self) -> str:
        names = [server.name for server in self.plan.servers]
        folder = self._folder.path
        notes = [] if self.plan.reachable else [UNREACHABLE.format(self.plan.servers[0].published)]
        if self._binary.warning:
            notes.append(self._binary.warning)
        return "\n".join(
            (
                f"\n  ready       {len(names)} servers after {time.monotonic() - self._began:.1f} s",
                f"  kubeconfig  {folder / KUBECONFIG}, contexts {', '.join(names)}",
                f"  logs        {folder / LOGS}",
                *(f"  note        {note}" for note in notes),
                f"\n  Try: kubectl --kubeconfig={folder / KUBECONFIG} --context={names[-1]} get namespaces -w",
                f"       apiserver-supervisor ha kill 1 --dir={folder}\n",
            )
        )

    def _log(self, name: str) -> str:
        return str(self._folder.path / LOGS / f"{name}.log")

    def _last_lines(self, name: str, count: int = 15) -> str:
        log = Path(self._log(name))
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(["  " + line for line in lines[-count:]] + [f"  (all of it: {log})"])

    # commands

    def status(self) -> dict[str, Any]:
        """The state of every part; what servers and etcd say of themselves the asker finds out."""
        return {
            "pid": os.getpid(),
            "state": self.state,
            "folder": str(self._folder.path),
            "parts": {name: part.facts() for name, part in self.parts.items()},
        }

    def act(self, action: str, target: str) -> str:
        """kill, pause, resume or restart one part; its name."""
        name = f"server-{target}" if target.isdecimal() else target
        part = self.parts.get(name)
        if part is None:
            raise ControlError(f'there is no "{target}", but {", ".join(self.parts)}')
        part.act(action)
        return name

    def stop(self) -> None:
        """End the loop; what follows is the orderly stop."""
        self.state = "stopping"

    # stopping

    def _stop(self) -> None:
        """The servers leave the endpoints, which needs etcd; then etcd ends."""
        self._progress.__exit__(None, None, None)
        self._notifier.stopping()
        servers = [self.parts[server.name] for server in self.plan.servers if server.name in self.parts]
        etcd = [self.parts[member.name] for member in self.plan.etcd if member.name in self.parts]
        for what, parts, patience in (("servers", servers, STOP_SERVER_WITHIN), ("etcd", etcd, STOP_ETCD_WITHIN)):
            self._progress.say(f"stopping {what}")
            _end(parts, patience)
        self._progress.say("stopped")


UNREACHABLE = (
    "the endpoints show addresses for documentation ({} and so on), which lead nowhere: loopback addresses are refused "
    "there. As root, with iproute2 and /dev/net/tun, the servers get addresses of their own"
)


def _end(parts: list[Part], patience: float) -> None:
    """Stop parts together, by force after a while."""
    for part in parts:
        part.end()
    deadline = time.monotonic() + patience
    while any(part.alive() for part in parts):
        if time.monotonic() > deadline:
            for part in parts:
                part.signal(signal.SIGKILL)
        time.sleep(0.01)
