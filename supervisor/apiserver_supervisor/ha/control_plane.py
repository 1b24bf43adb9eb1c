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
from typing import Any

from apiserver_supervisor import etcd as binaries
from apiserver_supervisor.control import ControlError
from apiserver_supervisor.control_socket import Command, ControlSocket
from apiserver_supervisor.ha.identity import server_flags
from apiserver_supervisor.ha.interface import open_interface
from apiserver_supervisor.ha.members import MemberProcess, healthy
from apiserver_supervisor.ha.parts import Part
from apiserver_supervisor.ha.plan import KUBECONFIG, LOGS, Plan, Server
from apiserver_supervisor.loop import Loop, StartError, State, tail
from apiserver_supervisor.processes import fork
from apiserver_supervisor.progress import Progress
from apiserver_supervisor.readiness import Notifier
from apiserver_supervisor.run_folder import CONTROL, RunFolder
from apiserver_supervisor.signals import TO_STOP

READY_WITHIN = 180.0
# Seconds between two looks at the parts while they start, and afterwards.
LOOK_AT_START, LOOK = 0.02, 0.2
STOP_SERVER_WITHIN = 30.0
STOP_ETCD_WITHIN = 1.0  # the last members of a cluster wait for each other, and lose nothing when they are killed


class ControlPlane(Loop[Part]):
    """One control plane. `run` returns the exit status."""

    def __init__(self, plan: Plan, folder: RunFolder, progress: Progress, *, ready_fd: int = -1) -> None:
        super().__init__(State.STARTING, Notifier(ready_fd))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.plan = plan
        self._folder = folder
        self._progress = progress
        self._binary = binaries.find(folder=folder.path, data=folder.path, log=None)
        self._ready_pipes: dict[str, int] = {}

    def run(self) -> int:
        """Start all, serve until a signal or `ha stop`, end all. Raises StartError, OSError."""
        interface = -1
        try:
            if self.plan.reachable:
                interface = open_interface([server.published for server in self.plan.servers])
            self._open_control()
            self._start_etcd()
            if self.runs:
                self._start_servers()
            while self.runs:
                self.turn()
            self._stop()
            return 0
        finally:
            for part in self.children.values():
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
            self.children[member.name] = Part(member.name, process.start, tells=False)
        self._progress.expect(*self.children)
        for part in self.children.values():
            part.start()
        waiting = {member.name: member for member in self.plan.etcd}
        while waiting and self.runs:
            self.turn()
            for name, member in list(waiting.items()):
                if healthy(self.plan, member):
                    del waiting[name]
                    self.children[name].ready = True
                    self._progress.done(name, f"etcd {self._binary.version} at {member.url}")

    def _start_servers(self) -> None:
        servers = {server.name: server for server in self.plan.servers}
        self._progress.expect(*servers)
        for name, server in servers.items():
            self.children[name] = Part(name, partial(self._fork_server, server), tells=True)
            self.children[name].start()

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
        part = self.children[server.name]
        said = os.read(self._ready_pipes[server.name], 64)
        self._forget_pipe(server.name)
        if said and not part.ready:
            part.ready = True
            if self.state is State.STARTING:
                self._progress.done(server.name, server.url)

    def _forget_pipe(self, name: str) -> None:
        pipe = self._ready_pipes.pop(name, None)
        if pipe is not None:
            self._selector.unregister(pipe)
            os.close(pipe)

    # the loop

    def _patience(self) -> float:
        return LOOK_AT_START if self.state is State.STARTING else LOOK

    def _take_signal(self, number: int) -> None:
        if number in TO_STOP:
            self.stop()

    def _follow(self, now: float) -> None:
        self._control.expire(now)
        if self.state is not State.STARTING:
            return
        self._check_crashes()
        waiting = [name for name, part in self.children.items() if not part.ready]
        if now - self._began > READY_WITHIN:
            raise StartError(f"not ready within {READY_WITHIN:.0f} s, waiting for {', '.join(waiting)}")
        self._progress.refresh()
        if not waiting and len(self.children) == self.plan.members + self.plan.replicas:
            self._become_ready()

    def _become_ready(self) -> None:
        self.state = State.READY
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

    def _last_lines(self, role: str) -> str:
        return tail(self._log(role))

    # commands

    def status(self) -> dict[str, Any]:
        """The state of every part; what servers and etcd say of themselves the asker finds out."""
        return {
            "pid": os.getpid(),
            "state": self.state,
            "folder": str(self._folder.path),
            "parts": {name: part.facts() for name, part in self.children.items()},
        }

    def act(self, action: str, target: str) -> str:
        """kill, pause, resume or restart one part; its name."""
        name = f"server-{target}" if target.isdecimal() else target
        part = self.children.get(name)
        if part is None:
            raise ControlError(f'there is no "{target}", but {", ".join(self.children)}')
        part.act(action)
        return name

    def stop(self) -> None:
        """End the loop; what follows is the orderly stop."""
        self.state = State.STOPPING

    # stopping

    def _stop(self) -> None:
        """The servers leave the endpoints, which needs etcd; then etcd ends."""
        self._progress.__exit__(None, None, None)
        self._notifier.stopping()
        servers = [self.children[server.name] for server in self.plan.servers if server.name in self.children]
        etcd = [self.children[member.name] for member in self.plan.etcd if member.name in self.children]
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
