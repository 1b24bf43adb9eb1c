"""The master: one loop that starts the processes of a server, keeps them alive and ends them in order.

It opens the listening sockets itself, so that they outlive any process that serves on them, and forks the arbiters. It
has one thread and no gRPC, so that it can fork at any time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from apiserver_workers.server.config import ServerConfig

from apiserver_supervisor import etcd as embedded
from apiserver_supervisor import handover, reconcilers
from apiserver_supervisor.checking import PRELOADED, fixed_options
from apiserver_supervisor.children import Child, exit_text
from apiserver_supervisor.control import ControlError
from apiserver_supervisor.control_socket import Command, ControlSocket
from apiserver_supervisor.crash_loops import CrashLoops
from apiserver_supervisor.etcd_log import reason
from apiserver_supervisor.groups import WorkerGroup
from apiserver_supervisor.housekeeping import Housekeeping
from apiserver_supervisor.instances import remove
from apiserver_supervisor.listeners import (
    UNPROTECTED,
    ListenError,
    Listeners,
    inherited_listeners,
    keep_port,
    open_listeners,
)
from apiserver_supervisor.master_log import log, log_folder, open_log
from apiserver_supervisor.options.parsing import CompletedOptions
from apiserver_supervisor.preparation import (
    keep_encryption_config,
    local_host,
    local_url,
    open_keys,
    server_config,
    with_certificates,
    write_kubeconfig,
)
from apiserver_supervisor.processes import fork, kill
from apiserver_supervisor.progress import Progress
from apiserver_supervisor.readiness import Notifier, failing, reachable, serves
from apiserver_supervisor.reloading import Reload
from apiserver_supervisor.run_folder import (
    CONTROL,
    CRASH_LOOPS,
    KUBECONFIG,
    ROLES,
    STOPPING,
    RunFolder,
    held,
    lock,
    make_private,
)
from apiserver_supervisor.signals import TO_STOP, Signals
from apiserver_supervisor.tree import child_node, etcd_label, node, render

FRONT = "aggregator"
READY_WITHIN = 55.0
ETCD_WITHIN = 30.0  # whoever started us starts us again; upstream gives up at its first dial's timeout too
TOO_MANY_CRASHES = 3  # in a row and before the server was ever ready
STOP_SPARE = 5.0  # beyond the time that requests may take


class StartError(Exception):
    """The server cannot start; the message says why."""


class Master:
    """One server. `run` returns the exit status."""

    def __init__(
        self, options: CompletedOptions, progress: Progress, *, arguments: Sequence[str] = (), flags: Sequence[str] = ()
    ) -> None:
        """`arguments`: the command's own, for a reload. `flags` are lines that the log begins with."""
        self.options = options
        self._arguments, self._fixed = arguments, fixed_options(options)
        self._inherited = handover.take_over()
        self.folder = RunFolder(options.run_dir, logs=log_folder(options))
        self._flags = flags
        self._made: list[Path] = []  # folders that this start has made; a start that fails removes them
        self.children: dict[str, Child] = {}
        # the workers of a start open the doors before they are ready, those of a reload take their places when they are
        self.state = "ready" if self._inherited else "starting"
        self._progress = progress
        self._notifier = Notifier(options.ready_fd, self._inherited and self._inherited["notifier"])
        self._housekeeping = Housekeeping(self.folder.path, self.folder.logs)
        self._crash_loops = CrashLoops(self.folder.path / CRASH_LOOPS)
        self._reload = Reload(lambda: handover.start_check(options.profile.command, arguments))
        self._selector = selectors.DefaultSelector()
        self._steps: dict[str, Callable[[], bool]] = {}
        self._etcd: embedded.Etcd | None = None
        self._began = time.monotonic()

    # starting

    def run(self) -> int:
        """Start, serve until a signal or `stop`, stop. Raises StartError and OSError if it cannot start."""
        self._signals = Signals(self._selector, signal.SIGHUP)
        try:
            with self._listen() as self._front:
                self._take_folders()
                self._serve()
            return 0
        finally:
            for child in self.children.values():
                child.stop(signal.SIGKILL)
            self.folder.leave(altogether=not self.options.profile.provides and "run_dir" not in self.options.given)
            if self.state == "starting":
                remove(*self._made)

    def _serve(self) -> None:
        self._start_etcd()
        config = self._prepare()
        self._open_sockets()
        self._start_groups(config)
        handover.ready_for_signals()
        while self.state in ("starting", "ready"):
            self._turn()
        self._stop()

    def _take_folders(self) -> None:
        if self._inherited:
            self.folder.adopt(self._inherited["locks"][0])
        else:
            self._made = [folder for folder in (self.folder.path,) if not folder.exists()]
            self.folder.take()
        open_log(self.options, self.folder.log("master"), self._flags)
        if self._inherited:
            self._data_lock = self._inherited["locks"][1]
            return
        if self.options.endpoint_reconciler_type not in reconcilers.TYPES:
            kind = self.options.endpoint_reconciler_type
            raise StartError(f"endpoint reconciler not implemented: {kind} (--endpoint-reconciler-type)")
        data = Path(self.options.data_dir)
        self._made += [folder for folder in (data,) if not folder.exists()]
        make_private(data)
        self._data_lock = lock(data / "lock", f"--data-dir {data}")
        keep_port(self.options.data_dir, self.options.secure_port)

    def _listen(self) -> Listeners:
        if self._inherited:
            front = inherited_listeners(self.options, self._inherited["sockets"])
        else:
            front = self._open_listeners()
        self.options = self.options.with_values(secure_port=front.secure.getsockname()[1])
        return front

    def _open_listeners(self) -> Listeners:
        try:
            return open_listeners(self.options)
        except ListenError as error:
            holder = held(self.folder.path)
            hint = f" by another master, pid {holder}" if holder else error.hint
            raise StartError(f"{error}{hint if error.in_use else ''}") from None

    def _start_etcd(self) -> None:
        if self.options.etcd_servers:
            return
        folder, data = self.folder.path / "etcd", Path(self.options.data_dir, "etcd")
        self._etcd = embedded.find(folder=folder, data=data, log=self.folder.log("etcd"))
        self.options = self.options.with_values(etcd_servers=(self._etcd.url,))
        self._add(Child("etcd", self._etcd.start))

    def _prepare(self) -> ServerConfig:
        self.options = with_certificates(self.options)
        for path in open_keys(self.options):
            log.warning("%s holds secrets and can be read by others: its mode should be 0600", path)
            self._progress.say(f"Warning: {path} holds secrets and can be read by others: its mode should be 0600")
        keep_encryption_config(self.options)
        config = server_config(self.options)
        if self._inherited:
            certificate, key = self._inherited["loopback"]
            config = dataclasses.replace(
                config,
                loopback_token=self._inherited["token"],
                loopback_certificate=certificate.encode(),
                loopback_key=key.encode(),
            )
        write_kubeconfig(self.options, self.folder.path / KUBECONFIG, config.loopback_token)
        if not self._inherited:
            self._progress.done("certificates", str(Path(self.options.tls_cert_file).parent))
        self._token = config.loopback_token
        return config

    def _open_sockets(self) -> None:
        if self._inherited:
            descriptors = self._inherited["sockets"]
            own = {name: fd for name, fd in descriptors.items() if name not in (FRONT, *UNPROTECTED)}
            self._sockets = {name: socket.socket(fileno=fd) for name, fd in own.items()}
            self._pipe = tuple(self._inherited["pipe"])
        else:
            self._sockets = {role: self.folder.socket(f"{role}.sock") for role in ROLES if role != FRONT}
            self._sockets["events"], self._sockets["eventsOut"] = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._sockets["control"] = self.folder.socket(CONTROL)
            self._pipe = os.pipe()
        self._sockets[FRONT] = self._front.secure
        self._sockets.update(self._front.unprotected)
        self._events, self._events_out = self._sockets["events"], self._sockets["eventsOut"]
        self._events.setblocking(False)
        self._selector.register(self._events, selectors.EVENT_READ, self._read_events)
        commands = {
            "status": Command(self.status),
            "stop": Command(self.stop),
            "restart": Command(self.restart, {"role": str}),
            "scale": Command(self.scale, {"role": str, "workers": int}),
            "reload": Command(self.reload),
        }
        self._control = ControlSocket(self._sockets["control"], commands, self._selector)

    def _start_groups(self, config: ServerConfig) -> None:
        self._config = config
        for module in PRELOADED:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()
        gc.enable()
        for role in ROLES:
            workers = getattr(config, f"{role}_workers")
            self._add(WorkerGroup(role, workers, lambda role=role: self._fork_arbiter(role)))  # type: ignore[misc]
        if self._inherited:
            kill(self._inherited["children"]["reconciler"]["pid"], signal.SIGKILL)  # what it has listed stays
        self._add(Child("reconciler", self._fork_reconciler), anew=True)
        if self._inherited:
            self._reload.begin()
            return
        if self._etcd:
            self._steps["etcd"] = self._etcd.healthy
        for role in ROLES:
            self._steps[role] = lambda role=role: self._group(role).ready  # type: ignore[misc]
        self._steps["readyz"] = lambda: serves(self._address(), self._token)
        self._progress.expect(*self._steps)

    def _add(self, child: Child, *, anew: bool = False) -> None:
        """Start a child, or go on with that of the program before."""
        self.children[child.role] = child
        if self._inherited and not anew:
            child.take_over(self._inherited["children"][child.role])
        else:
            child.start()

    def _fork_arbiter(self, role: str) -> tuple[int, int]:
        """Start an arbiter: its pid, and the pipe that it is told things by."""
        workers: dict[str, Any] = {f"{role}_workers": self._group(role).workers}
        config = dataclasses.replace(self._config, **workers)
        listener, events = self._sockets[role].fileno(), self._events_out.fileno()
        wishes, wish = os.pipe()
        starting = self.state == "starting"
        doors = {name: door.fileno() for name, door in self._front.unprotected.items()} if role == FRONT else {}

        def run() -> None:
            from apiserver_workers.server.process.arbiter import run_arbiter

            run_arbiter(role, config, listener, events, wishes, unprotected=doors, starting=starting)

        pid = fork(run, log=self.folder.log(role), keep=(listener, events, wishes, *doors.values()))
        os.close(wishes)
        return pid, wish

    def _fork_reconciler(self) -> int:
        def run() -> None:
            beat = reconcilers.Heartbeat(self._events_out.fileno())
            reconcilers.run(self.options, self._pipe[0], beat, serving=self.state == "ready")

        return fork(run, log=self.folder.log("reconciler"), keep=(self._pipe[0], self._events_out.fileno()))

    # the loop

    def _turn(self) -> None:
        """One round: what is ready on a socket, children that died, steps that completed."""
        for key, _ in self._selector.select(self._patience()):
            key.data()
        for number in self._signals.take():
            self._handle_signal(number)
        now = time.monotonic()
        self._control.expire(now)
        self._housekeeping.turn(now)
        for child in self.children.values():
            if child.check(now):
                log.warning("%s ended with %s and was started again", child.role, exit_text(child.last_exit))
        if self.state == "starting":
            self._follow_start(now)
        elif self.state == "ready":
            self._follow_reload()
        if self._crash_loops.look(self.children.values(), now):
            self._notifier.say(self._state_text())
        self._notifier.beat(now)

    def _patience(self) -> float:
        due = min((child.waiting for child in self.children.values()), default=1.0)
        return min(
            due, self._notifier.interval / 2, 0.02 if self.state == "starting" else 0.2 if self._reload.goes_on else 1.0
        )

    def _follow_start(self, now: float) -> None:
        try:
            self._look_at_start(now)
        except StartError:
            self._keep_logs()
            raise

    def _look_at_start(self, now: float) -> None:
        for child in self.children.values():
            if child.backoff.crashes >= TOO_MANY_CRASHES:
                raise StartError(f"{child.role} does not start:\n{self._last_lines(child.role)}")
        if now - self._began > ETCD_WITHIN and not (self._etcd or reachable(self.options.etcd_servers)):
            raise StartError(
                f"no etcd server answers within {ETCD_WITHIN:.0f} s: {', '.join(self.options.etcd_servers)}"
            )
        within = max(READY_WITHIN, self.options.storage_initialization_timeout)
        if now - self._began > within:
            raise StartError(f"not ready within {within:.0f} s, waiting for {', '.join(self._waiting())}")
        for step, completed in list(self._steps.items()):
            if step == "readyz" and len(self._steps) > 1:
                break
            if completed():
                del self._steps[step]
                self._progress.done(step, self._detail(step))
        self._progress.refresh()
        if not self._steps and self.state == "starting":
            self._become_ready()

    def _waiting(self) -> list[str]:
        """What is not done yet: steps, or of the last one the checks that fail."""
        return failing(self._address(), self._token) or list(self._steps)

    def _detail(self, step: str) -> str:
        if step == "etcd":
            return etcd_label(self._etcd)
        count = len(self._group(step).serving) if step in ROLES else 0
        return f"{count} worker{'s' if count > 1 else ''}" if count else ""

    def _keep_logs(self) -> None:
        """Let the run folder stay although the start fails: what its processes logged says why."""
        self._made = [folder for folder in self._made if folder != self.folder.path]

    def _become_ready(self) -> None:
        self.state = "ready"
        self._progress.__exit__(None, None, None)
        log.info("ready after %.2f s", time.monotonic() - self._began)
        self._notifier.ready(self._state_text())
        os.write(self._pipe[1], reconcilers.SERVING)
        self._progress.say(self._summary())

    def _summary(self) -> str:
        kubeconfig = self.folder.path / KUBECONFIG
        warning = f"\n  warning     {self._etcd.warning}" if self._etcd and self._etcd.warning else ""
        return (
            f"\n  ready       {local_url(self.options)}\n  kubeconfig  {kubeconfig}\n"
            f"  logs        {self.folder.logs or 'standard error'}{warning}\n\n{render(self.status()['tree'])}\n\n"
            f"  Try: kubectl --kubeconfig={kubeconfig} get namespaces\n"
        )

    def _last_lines(self, role: str, count: int = 15) -> str:
        path = self.folder.log(role)
        if path is None:
            return "  see above"
        try:
            lines = Path(path).read_text(errors="replace").splitlines()
        except OSError:
            return ""
        why = [f"  {reason(path)}"] if role == "etcd" and reason(path) else []
        return "\n".join([*why] + ["  " + line for line in lines[-count:]] + [f"  (all of it: {path})"])

    def _read_events(self) -> None:
        while True:
            try:
                event = json.loads(self._events.recv(65536))
            except BlockingIOError:
                return
            except ValueError:
                continue
            group = self.children.get(event.get("role", ""))
            if event.get("event") == "alive" and group is not None:
                group.alive_at(event["pid"], time.monotonic())
            if event.get("event") == "group" and isinstance(group, WorkerGroup):
                group.report(event)

    # commands

    def status(self) -> dict[str, Any]:
        """The server and its processes."""
        tree = node("master", os.getpid(), 0, [child_node(child) for child in self.children.values()])
        ready = all(child.ready for child in self._groups()) and self.state == "ready"
        return {
            "instance": self.options.instance,
            "state": self.state,
            "ready": ready,
            "settled": ready and not self._reload.goes_on and all(group.settled for group in self._groups()),
            "crashLoops": list(self._crash_loops.found.values()),
            "reloadFailed": self._reload.failed,
            "url": local_url(self.options),
            "kubeconfig": str(self.folder.path / KUBECONFIG),
            "dataDir": self.options.data_dir,
            "etcd": etcd_label(self._etcd),
            "tree": tree,
        }

    def restart(self, role: str) -> None:
        """Restart a role: workers one after the other with the sockets open, etcd at once."""
        child = self._child(role)
        if isinstance(child, WorkerGroup):
            child.roll()
        else:
            child.signal(signal.SIGTERM)

    def scale(self, role: str, workers: int) -> None:
        """Let a group have this many workers."""
        group = self._child(role)
        if not isinstance(group, WorkerGroup):
            raise ControlError(f"{role} cannot be scaled, only {', '.join(ROLES)}")
        if not 1 <= workers <= 64:
            raise ControlError("the number of workers must be between 1 and 64")
        group.scale(workers)

    def _child(self, role: str) -> Child:
        if role not in self.children:
            raise ControlError(f'unknown role "{role}", there are {", ".join(self.children)}')
        return self.children[role]

    def _group(self, role: str) -> WorkerGroup:
        group = self.children[role]
        assert isinstance(group, WorkerGroup)
        return group

    def _groups(self) -> Iterator[WorkerGroup]:
        return (child for child in self.children.values() if isinstance(child, WorkerGroup))

    def _address(self) -> tuple[str, int]:
        return local_host(self.options), self.options.secure_port

    # signals and stopping

    def _handle_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            with contextlib.suppress(ControlError):
                self.reload()
        elif number in TO_STOP:
            self.stop(signal.Signals(number).name)

    def reload(self) -> None:
        """Become the program on disk with the options on disk, if those are good, and roll all groups."""
        if self.state != "ready":
            raise ControlError(f"the server is {self.state}")
        if self._reload.want():
            log.info("reloading: checking code and options")
            self._notifier.reloading()

    def _follow_reload(self) -> None:
        """The steps of a reload: the check, the new program, its arbiters in the place of the old ones."""
        if self._reload.check_ended():
            problem = self._reload.result(self._fixed) or self._become_new_program()
            self._end_reload(problem)
        elif self._reload.rolls and not any(group.successor for group in self._groups()):
            self._end_reload("; ".join(group.failed for group in self._groups() if group.failed))

    def _end_reload(self, problem: str) -> None:
        again = self._reload.end(problem)
        if problem:
            log.error("the reload failed: %s", problem)
        else:
            log.info("reloaded")
        self._progress.say(f"the reload failed: {problem}" if problem else "reloaded")
        self._notifier.ready(self._state_text())
        if again:
            self.reload()

    def _become_new_program(self) -> str:
        """Returns only if that is not possible: why."""
        log.info("reloading: the new program takes over")
        sockets = {name: opened.fileno() for name, opened in self._sockets.items()}
        locks = (self.folder.lock, self._data_lock)
        groups = {group.role: group.legacy() for group in self._groups()}
        others = {child.role: child.legacy() for child in self.children.values() if child.role not in groups}
        state = {
            "token": self._token,
            "loopback": (self._config.loopback_certificate.decode(), self._config.loopback_key.decode()),
            "sockets": sockets,
            "locks": locks,
            "pipe": self._pipe,
            "children": others | groups,
            "notifier": self._notifier.state(),
        }
        pipes = [control for group in groups.values() for _, control in group["arbiters"]]
        try:
            handover.hand_over(state, (*sockets.values(), *locks, *self._pipe, *pipes))
        except OSError as error:
            return f"cannot execute the new program: {error}"

    def _state_text(self) -> str:
        """What systemd shows."""
        problems = [*self._crash_loops.found.values(), *filter(None, [self._reload.failed])]
        return "; ".join([f"serving at {local_url(self.options)}", *problems])

    def stop(self, reason: str = "stop command") -> None:
        """End the loop; what follows is the orderly stop."""
        log.info("stopping: %s", reason)
        self.state = "stopping"

    def _stop(self) -> None:
        """Upstream's order: not ready, endpoints removed while still serving, no new requests, drain, storage last."""
        self._progress.__exit__(None, None, None)
        self._progress.say("stopping")
        self._notifier.stopping()
        self._reload.cancel()
        (self.folder.path / STOPPING).touch()
        deadline = time.monotonic() + self.options.shutdown_delay_duration
        reconciler = self.children.pop("reconciler", None)
        os.write(self._pipe[1], reconcilers.STOP)
        give_up = time.monotonic() + reconcilers.REMOVE_WITHIN
        while time.monotonic() < deadline or (reconciler and reconciler.alive() and time.monotonic() < give_up):
            self._turn()
        if reconciler:
            reconciler.signal(signal.SIGKILL)
        self._front.close()
        self._end("aggregator")
        self._end("core", "extensions")
        self._end("etcd")
        log.info("stopped")
        self._progress.say("stopped")

    def _end(self, *roles: str) -> None:
        """Stop children together, by force after a while. The others are looked after meanwhile."""
        ending = [self.children.pop(role) for role in roles if role in self.children]
        for child in ending:
            child.stop(signal.SIGTERM)
        deadline = time.monotonic() + self.options.request_timeout + STOP_SPARE
        while any(child.alive() for child in ending):
            if time.monotonic() > deadline:
                for child in ending:
                    child.stop(signal.SIGKILL)
            self._turn()
