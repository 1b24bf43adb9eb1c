"""The master: one loop that starts the processes of a server, keeps them alive and ends them in order.

It opens the listening sockets itself, so that they outlive any process that serves on them, and forks the arbiters. It
has one thread and no gRPC, so that it can fork at any time.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from apiserver_workers.server.config import ServerConfig

from apiserver_supervisor import etcd as embedded
from apiserver_supervisor import handover, reconcilers
from apiserver_supervisor.beginning import CONTROLS, EVENTS, beginning
from apiserver_supervisor.checking import PRELOADED, fixed_options
from apiserver_supervisor.children import Child, exit_text
from apiserver_supervisor.control import ControlError
from apiserver_supervisor.control_socket import Command, ControlSocket
from apiserver_supervisor.crash_loops import CrashLoops
from apiserver_supervisor.etcd_log import reason
from apiserver_supervisor.forks import RECONCILER, Forks
from apiserver_supervisor.groups import WorkerGroup
from apiserver_supervisor.handover import Handover
from apiserver_supervisor.housekeeping import Housekeeping
from apiserver_supervisor.listeners import FRONT, Listeners
from apiserver_supervisor.loop import Loop, State, tail
from apiserver_supervisor.master_log import log, log_folder, open_log
from apiserver_supervisor.options.parsing import CompletedOptions
from apiserver_supervisor.preparation import (
    keep_encryption_config,
    local_url,
    open_keys,
    server_config,
    with_certificates,
    write_kubeconfig,
)
from apiserver_supervisor.progress import Progress
from apiserver_supervisor.reloading import Reload
from apiserver_supervisor.roles import Roles
from apiserver_supervisor.run_folder import CRASH_LOOPS, KUBECONFIG, ROLES, STOPPING, RunFolder
from apiserver_supervisor.signals import TO_STOP
from apiserver_supervisor.start_steps import StartSteps
from apiserver_supervisor.tree import child_node, etcd_label, node, render

ETCD = "etcd"
STOP_SPARE = 5.0  # beyond the time that requests may take
# Seconds between two looks at what a start, a reload and a server that serves wait for.
LOOK_AT_START, LOOK_AT_RELOAD, LOOK = 0.02, 0.2, 1.0


class Master(Loop[Child]):
    """One server. `run` returns the exit status."""

    _config: ServerConfig
    _control: ControlSocket
    _data_lock: int
    _forks: Forks
    _front: Listeners
    _pipe: tuple[int, int]
    _steps: StartSteps

    def __init__(
        self, options: CompletedOptions, progress: Progress, *, arguments: Sequence[str] = (), flags: Sequence[str] = ()
    ) -> None:
        """`arguments`: the command's own, for a reload. `flags` are lines that the log begins with."""
        self._beginning = beginning()
        super().__init__(self._beginning.state, self._beginning.notifier(options), signal.SIGHUP)
        self.options = options
        self._fixed = fixed_options(options)
        self.folder = RunFolder(options.run_dir, logs=log_folder(options))
        self._flags = flags
        self._progress = progress
        self._housekeeping = Housekeeping(self.folder.path, self.folder.logs)
        self._crash_loops = CrashLoops(self.folder.path / CRASH_LOOPS)
        self.children: Roles = Roles()
        self._reload = Reload(lambda: handover.start_check(options.profile.command, arguments))
        self._etcd: embedded.Etcd | None = None

    # starting

    def run(self) -> int:
        """Start, serve until a signal or `stop`, stop. Raises StartError and OSError if it cannot start."""
        try:
            with self._beginning.listen(self.options, self.folder) as self._front:
                self.options = self.options.with_values(secure_port=self._front.secure.getsockname()[1])
                self._take_folders()
                self._serve()
            return 0
        finally:
            for child in self.children.values():
                child.stop(signal.SIGKILL)
            self.folder.leave(altogether=not self.options.profile.provides and "run_dir" not in self.options.given)
            if self.state is State.STARTING:
                # what its processes logged says why the start failed
                self._beginning.undo(keep=self.folder.path if self.children else None)

    def _take_folders(self) -> None:
        self._beginning.take_run_folder(self.folder)
        open_log(self.options, self.folder.log("master"), self._flags)
        self._data_lock = self._beginning.take_data_folder(self.options)

    def _serve(self) -> None:
        external = self.options.etcd_servers
        if not external:
            self._start_etcd()
        config = self._prepare()
        self._steps = StartSteps(self.options, config.loopback_token, self._progress, etcd=external)
        self._open_sockets()
        self._start_groups(config)
        handover.ready_for_signals()
        while self.runs:
            self.turn()
        self._stop()

    def _start_etcd(self) -> None:
        folder, data = self.folder.path / ETCD, Path(self.options.data_dir, ETCD)
        self._etcd = embedded.find(folder=folder, data=data, log=self.folder.log(ETCD))
        self.options = self.options.with_values(etcd_servers=(self._etcd.url,))
        self._add(Child(ETCD, self._etcd.start))

    def _prepare(self) -> ServerConfig:
        self.options = with_certificates(self.options)
        for path in open_keys(self.options):
            warning = f"{path} holds secrets and can be read by others: its mode should be 0600"
            log.warning("%s", warning)
            self._progress.say(f"Warning: {warning}")
        keep_encryption_config(self.options)
        config = self._beginning.with_secrets(server_config(self.options))
        write_kubeconfig(self.options, self.folder.path / KUBECONFIG, config.loopback_token)
        if self.state is State.STARTING:
            self._progress.done("certificates", str(Path(self.options.tls_cert_file).parent))
        return config

    def _open_sockets(self) -> None:
        self._pipe = self._beginning.pipe()
        self._sockets = self._beginning.sockets(self.folder)
        self._sockets[FRONT] = self._front.secure
        self._sockets.update(self._front.unprotected)
        self._sockets[EVENTS].setblocking(False)
        self._selector.register(self._sockets[EVENTS], selectors.EVENT_READ, self._read_events)
        commands = {
            "status": Command(self.status),
            "stop": Command(self.stop),
            "restart": Command(self.children.restart, {"role": str}),
            "scale": Command(self.children.scale, {"role": str, "workers": int}),
            "reload": Command(self.reload),
        }
        self._control = ControlSocket(self._sockets[CONTROLS], commands, self._selector)

    def _start_groups(self, config: ServerConfig) -> None:
        self._config = config
        for module in PRELOADED:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()
        gc.enable()
        self._forks = Forks(
            options=self.options,
            config=config,
            folder=self.folder,
            sockets=self._sockets,
            front=self._front,
            pipe=self._pipe,
        )
        for role in ROLES:
            self._add(WorkerGroup(role, getattr(config, f"{role}_workers"), partial(self._fork_arbiter, role)))
        self._beginning.clear_reconciler()
        self.children[RECONCILER] = reconciler = Child(RECONCILER, self._fork_reconciler)
        reconciler.start()
        if self.state is State.READY:
            self._reload.begin()
        else:
            self._expect_steps()

    def _expect_steps(self) -> None:
        if self._etcd:
            self._steps.add(ETCD, self._etcd.healthy, lambda: etcd_label(self._etcd))
        for group in self.children.groups():
            self._steps.add(group.role, lambda group=group: group.ready, lambda group=group: group.size_text)  # type: ignore[misc]
        self._steps.begin()

    def _add(self, child: Child) -> None:
        self.children[child.role] = child
        self._beginning.start(child)

    def _fork_arbiter(self, role: str) -> tuple[int, int]:
        workers = self.children.group(role).workers
        return self._forks.arbiter(role, workers, starting=self.state is State.STARTING)

    def _fork_reconciler(self) -> int:
        return self._forks.reconciler(serving=self.state is State.READY)

    # the loop

    def _patience(self) -> float:
        due = min((child.waiting for child in self.children.values()), default=LOOK)
        look = LOOK_AT_RELOAD if self._reload.goes_on else LOOK
        if self.state is State.STARTING:
            look = LOOK_AT_START
        return min(due, self._notifier.interval / 2, look)

    def _take_signal(self, number: int) -> None:
        if number == signal.SIGHUP:
            with contextlib.suppress(ControlError):
                self.reload()
        elif number in TO_STOP:
            self.stop(signal.Signals(number).name)

    def _restarted(self, child: Child) -> None:
        log.warning("%s ended with %s and was started again", child.role, exit_text(child.last_exit))

    def _follow(self, now: float) -> None:
        self._control.expire(now)
        self._housekeeping.turn(now)
        if self.state is State.STARTING:
            self._check_crashes()
            if self._steps.look(now):
                self._become_ready()
        elif self.state is State.READY:
            self._follow_reload()
        if self._crash_loops.look(self.children.values(), now):
            self._notifier.say(self._state_text())

    def _become_ready(self) -> None:
        self.state = State.READY
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

    def _last_lines(self, role: str) -> str:
        path = self.folder.log(role)
        if path is None:
            return "  see above"
        why = reason(path) if role == ETCD else ""
        return f"  {why}\n{tail(path)}" if why else tail(path)

    def _read_events(self) -> None:
        while True:
            try:
                event = json.loads(self._sockets[EVENTS].recv(65536))
            except BlockingIOError:
                return
            except ValueError:
                continue
            child = self.children.get(event.get("role", ""))
            if event.get("event") == "alive" and child is not None:
                child.alive_at(event["pid"], time.monotonic())
            if event.get("event") == "group" and isinstance(child, WorkerGroup):
                child.report(event)

    # commands

    def status(self) -> dict[str, Any]:
        """The server and its processes."""
        tree = node("master", os.getpid(), 0, [child_node(child) for child in self.children.values()])
        ready = self.children.ready and self.state is State.READY
        return {
            "instance": self.options.instance,
            "state": self.state,
            "ready": ready,
            "settled": ready and self.children.settled and not self._reload.goes_on,
            "crashLoops": list(self._crash_loops.found.values()),
            "reloadFailed": self._reload.failed,
            "url": local_url(self.options),
            "kubeconfig": str(self.folder.path / KUBECONFIG),
            "dataDir": self.options.data_dir,
            "etcd": etcd_label(self._etcd),
            "tree": tree,
        }

    def reload(self) -> None:
        """Become the program on disk with the options on disk, if those are good, and roll all groups."""
        if self.state is not State.READY:
            raise ControlError(f"the server is {self.state}")
        if self._reload.want():
            log.info("reloading: checking code and options")
            self._notifier.reloading()

    def stop(self, reason: str = "stop command") -> None:
        """End the loop; what follows is the orderly stop."""
        log.info("stopping: %s", reason)
        self.state = State.STOPPING

    # reloading

    def _follow_reload(self) -> None:
        """The steps of a reload: the check, the new program, its arbiters in the place of the old ones."""
        if self._reload.check_ended():
            problem = self._reload.result(self._fixed) or self._become_new_program()
            self._end_reload(problem)
        elif self._reload.rolls and not any(group.successor for group in self.children.groups()):
            self._end_reload("; ".join(group.failed for group in self.children.groups() if group.failed))

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
        left = Handover(
            token=self._config.loopback_token,
            loopback=(self._config.loopback_certificate.decode(), self._config.loopback_key.decode()),
            sockets={name: opened.fileno() for name, opened in self._sockets.items()},
            locks=(self.folder.lock, self._data_lock),
            pipe=self._pipe,
            children=self.children.legacy(),
            notifier=self._notifier.state(),
        )
        try:
            handover.hand_over(left)
        except OSError as error:
            return f"cannot execute the new program: {error}"

    def _state_text(self) -> str:
        """What systemd shows."""
        problems = [*self._crash_loops.found.values(), *filter(None, [self._reload.failed])]
        return "; ".join([f"serving at {local_url(self.options)}", *problems])

    # stopping

    def _stop(self) -> None:
        """Upstream's order: not ready, endpoints removed while still serving, no new requests, drain, storage last."""
        self._progress.__exit__(None, None, None)
        self._progress.say("stopping")
        self._notifier.stopping()
        self._reload.cancel()
        (self.folder.path / STOPPING).touch()
        self._leave_endpoints()
        self._front.close()
        self._end(FRONT)
        self._end("core", "extensions")
        self._end(ETCD)
        log.info("stopped")
        self._progress.say("stopped")

    def _leave_endpoints(self) -> None:
        """Have the reconciler remove this server, and wait for that and for --shutdown-delay-duration."""
        delayed = time.monotonic() + self.options.shutdown_delay_duration
        give_up = time.monotonic() + reconcilers.REMOVE_WITHIN
        reconciler = self.children.pop(RECONCILER, None)
        os.write(self._pipe[1], reconcilers.STOP)

        def waits(now: float) -> bool:
            return now < delayed or (reconciler is not None and reconciler.alive() and now < give_up)

        self._turn_while(waits)
        if reconciler:
            reconciler.signal(signal.SIGKILL)

    def _end(self, *roles: str) -> None:
        """Stop children together, by force after a while. The others are looked after meanwhile."""
        ending = self.children.take_out(*roles)
        for child in ending:
            child.stop(signal.SIGTERM)
        deadline = time.monotonic() + self.options.request_timeout + STOP_SPARE

        def waits(now: float) -> bool:
            if now > deadline:
                for child in ending:
                    child.stop(signal.SIGKILL)
            return any(child.alive() for child in ending)

        self._turn_while(waits)

    def _turn_while(self, condition: Callable[[float], bool]) -> None:
        while condition(time.monotonic()):
            self.turn()
