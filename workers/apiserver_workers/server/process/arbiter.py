"""One worker group: a gunicorn arbiter on a socket that the master opened, keeping a number of workers alive.

The socket is the master's, so it outlives this process and clients only wait while a group starts again. A worker that
dies is replaced, with back-off if that happens again and again; one whose event loop does not stamp its heartbeat is
killed first. A worker that is to go, because the group is rolled or it has grown too large, serves until a new one does,
and is then retired: it may take a long time to go, and counts no longer. If workers cannot even start, the arbiter gives
up and the master starts the group again, with back-off.

What the group should be like is only said (`num_workers`, `outgoing`); `manage_workers` takes the next step towards it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import logging
import os
import select
import signal
import socket
import ssl
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import gunicorn.sock
import gunicorn.util
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger

from apiserver_workers.apimachinery.quantity import parse
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.process.backoff import Backoff
from apiserver_workers.server.process.children import STOPPED, cpu_seconds, memory, set_title, signals_held, state
from apiserver_workers.server.process.logs import configure
from apiserver_workers.server.process.serving import RETIRE
from apiserver_workers.server.process.worker import Application, GroupWorker
from apiserver_workers.server.tls.contexts import ServingTLS

START_TIMEOUT = 30.0
REPORT_EVERY = 1.0
STARVING_SHARE = 0.5  # who had less of a CPU than this since the last heartbeat, and wants one, does not hang for sure
STARVING_PATIENCE = 4
DUMP_TIME = 0.3  # for a hung worker to write where it hangs
MEMORY_EVERY = 5.0
GROWN = 2  # a worker that is large from its start, by what it caches, would only be replaced by one as large
MEMORY_PAUSE = 30.0  # between two replacements of large workers
STOP_SPARE = 3.0  # beyond the time that a worker takes for itself to stop
BACKLOG = 2048

FRONT = "aggregator"
NOTHING: Mapping[str, int] = MappingProxyType({})
WORKERS = {
    "aggregator": lambda config: config.aggregator_workers,
    "core": lambda config: config.core_workers,
    "extensions": lambda config: config.extensions_workers,
}


class GroupApplication(BaseApplication):
    """gunicorn's settings for a group, and its App, loaded once before the workers are forked."""

    def __init__(
        self,
        role: str,
        config: ServerConfig,
        *,
        tls: bool,
        unprotected: Mapping[str, int] = NOTHING,
        starting: bool = False,
    ) -> None:
        self.role = role
        self.config = config
        self.starting = starting
        self.unprotected = {name: socket.socket(fileno=fd) for name, fd in unprotected.items()}
        self.tls = ServingTLS(config) if tls else None
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "workers": WORKERS[self.role](self.config),
            "worker_class": GroupWorker,
            "logger_class": GroupLog,
            "backlog": BACKLOG,
            "preload_app": True,
            "control_socket_disable": True,
            "proc_name": f"{self.role} ({self.config.instance})",
            "pre_fork": lambda arbiter, worker: gc.freeze(),
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Application:
        app = importlib.import_module(f"apiserver_workers.{self.role}.app").create(self.config)
        gc.collect()
        return Application(app, front=self.role == FRONT)

    def ssl_context(self, *_: Any) -> ssl.SSLContext:
        assert self.tls is not None
        return self.tls.listening


class GroupLog(Logger):
    """gunicorn's log, which writes by the root logger as everything else does."""

    def setup(self, cfg: Any) -> None:
        self.error_log.handlers.clear()
        self.error_log.propagate = True
        self.error_log.setLevel(logging.INFO)


class GroupArbiter(Arbiter):
    """gunicorn's arbiter on a socket that is not its own: it neither opens nor unlinks it.

    `notify_fd` takes its reports to the master; the master's wishes come over `control_fd`, one a line.
    """

    def __init__(self, app: GroupApplication, listener: socket.socket, notify_fd: int, control_fd: int = -1) -> None:
        super().__init__(app)
        self.LISTENERS = [listener]
        self.WORKERS: dict[int, GroupWorker] = {}
        self.systemd = True  # gunicorn's word for "the socket belongs to another"
        self._role = app.role
        self._config = app.config
        self._hung_after = app.config.worker_timeout
        self._most_memory = parse(app.config.worker_max_memory).whole
        self._master = socket.socket(fileno=os.dup(notify_fd))
        self._control = control_fd
        self._backoff = Backoff()
        self._stopping = self._leaving = False
        self._reported: tuple[float, dict[str, Any]] = (0.0, {})
        self._memory_due = self._recycle_due = 0.0
        self._last_end = ""
        self._deaths = 0  # workers that ended although they should serve

    # ---- the loop

    def init_signals(self) -> None:
        self._wake, wake = socket.socketpair()
        for end in (self._wake, wake):
            end.setblocking(False)
        self._wake_end = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        super().init_signals()

    def wait_for_signals(self, timeout: float = 1.0) -> list[int]:
        """gunicorn's own, which also returns when a worker serves or the master wants something."""
        now = time.monotonic()
        if now < self._backoff.due:
            timeout = min(timeout, self._backoff.due - now)
        if any(worker.aborted for worker in self.WORKERS.values()):
            timeout = min(timeout, DUMP_TIME)
        starting = {worker.serves: worker for worker in self.WORKERS.values() if not worker.serving}
        control = [self._control] if self._control >= 0 else []
        sources: list[Any] = [self._wake, *control, *starting]
        if self.SIG_QUEUE.empty():
            for source in select.select(sources, [], [], max(0.0, timeout))[0]:
                if source in starting:
                    self._has_started(starting[source])
                elif source is self._wake:
                    with contextlib.suppress(BlockingIOError):
                        self._wake.recv(4096)
                else:
                    self._obey()
        found: list[int] = super().wait_for_signals(timeout=0.001)
        return found

    def _has_started(self, worker: GroupWorker) -> None:
        if worker.serves.read(1):  # else it has died, which its end tells
            worker.serving = True

    def _obey(self) -> None:
        """The master's wishes, one a line: `workers N`."""
        lines = os.read(self._control, 4096).decode().split("\n")
        for line in lines:
            word, _, number = line.partition(" ")
            if word == "workers":
                self.num_workers = int(number)
        if lines == [""]:
            self._control = -1

    def handle_usr2(self) -> None:
        """Another arbiter has taken over: retire all workers, and end with the last."""
        self._leaving = True
        self.num_workers = 0

    def handle_ttou(self) -> None:
        self.num_workers = max(1, self.num_workers - 1)

    def reload(self) -> None:
        """Replace all workers: the new ones serve before the old ones go. If they do not come up, the old ones stay."""
        for worker in self._active():
            worker.outgoing = True

    # ---- towards what the group should be like

    def _active(self) -> list[GroupWorker]:
        """The workers that were not told to go, oldest first."""
        return sorted((w for w in self.WORKERS.values() if not w.retired), key=lambda worker: int(worker.age))

    def manage_workers(self) -> None:
        """Start what is missing, retire what is too much: the outgoing ones first, one for each that serves."""
        now = time.monotonic()
        self._check_memory(now)
        self._give_up_late_ones(now)
        active = self._active()
        fresh = [worker for worker in active if not worker.outgoing]
        missing = self.num_workers - len(fresh)
        if missing > 0 and now >= self._backoff.due:
            for _ in range(missing):
                self.spawn_worker()
        for worker in sorted(fresh, key=lambda worker: worker.serving)[: max(0, -missing)]:
            self._retire(worker)
        serving = sum(worker.serving for worker in self._active())
        for worker in [w for w in active if w.outgoing][: max(0, serving - self.num_workers)]:
            self._retire(worker)
        self._report(now)
        if self._leaving and not self.WORKERS:
            raise StopIteration

    def spawn_worker(self) -> None:
        with signals_held():
            super().spawn_worker()

    def _retire(self, worker: GroupWorker) -> None:
        worker.retired = True
        self.kill_worker(worker.pid, RETIRE if worker.serving else signal.SIGKILL)

    def _give_up_late_ones(self, now: float) -> None:
        """A worker that does not serve in time is started once more, or not, if it was to replace one that does."""
        for worker in self._active():
            if not worker.serving and now - worker.started > START_TIMEOUT and any(w.serving for w in self._active()):
                self.log.error("worker %s does not serve within %.0f s", worker.pid, START_TIMEOUT)
                self.kill_worker(worker.pid, signal.SIGKILL)
                self._keep_old_ones()

    def _keep_old_ones(self) -> None:
        outgoing = [worker for worker in self._active() if worker.outgoing]
        if outgoing:
            self.log.error("new workers do not serve, the old ones stay")
        for worker in outgoing:
            worker.outgoing = False
        for worker in self._active():
            if outgoing and not worker.serving:
                self._retire(worker)

    def _check_memory(self, now: float) -> None:
        """Replace a worker that has grown too large, one at a time."""
        if not self._most_memory:
            return
        settled = [worker for worker in self._active() if worker.serving]
        for worker in settled:  # as soon as it serves, before it can have grown
            worker.first_memory = worker.first_memory or memory(worker.pid)
        if now < self._memory_due:
            return
        self._memory_due = now + MEMORY_EVERY
        if len(settled) != self.num_workers or any(w.outgoing for w in settled) or now < self._recycle_due:
            return
        for worker in settled:
            size = memory(worker.pid)
            if size > self._most_memory and size > GROWN * worker.first_memory:
                self._recycle_due = now + MEMORY_PAUSE
                worker.outgoing = True
                text = "worker %s has %.0f MiB, more than --worker-max-memory: it is replaced"
                self.log.warning(text, worker.pid, size / (1 << 20))
                return

    # ---- ends

    def murder_workers(self) -> None:
        """Kill workers whose event loop hangs: by a signal that has them write where, then by one that cannot fail."""
        now = time.monotonic()
        for worker in list(self.WORKERS.values()):
            silent = now - worker.tmp.last_update()
            if silent <= self._hung_after:
                worker.cpu_seconds = cpu_seconds(worker.pid)
            elif worker.aborted or self._hangs(worker, silent):
                self._kill_hung(worker, silent)

    def _hangs(self, worker: GroupWorker, silent: float) -> bool:
        """Whether a silent worker does not go on; it may also start, or find no CPU on a machine that is overloaded."""
        patience = self._hung_after if worker.serving else max(self._hung_after, START_TIMEOUT)
        starves = (
            state(worker.pid) == "R"
            and cpu_seconds(worker.pid) - worker.cpu_seconds < self._hung_after * STARVING_SHARE
        )
        return silent > patience * (STARVING_PATIENCE if starves else 1)

    def _kill_hung(self, worker: GroupWorker, silent: float) -> None:
        self.log.critical("worker %s hangs: no heartbeat for %.1f s", worker.pid, silent)
        first = not worker.aborted and state(worker.pid) not in STOPPED
        worker.aborted = True
        self.kill_worker(worker.pid, signal.SIGABRT if first else signal.SIGKILL)

    def reap_workers(self) -> None:
        """Take note of workers that ended. Raises HaltServer when none can start and none serves."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            worker = self.WORKERS.pop(pid, None)
            if worker is not None:
                worker.forget()
                self._ended(worker, os.waitstatus_to_exitcode(status))

    def _ended(self, worker: GroupWorker, code: int) -> None:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        if worker.retired or self._stopping:
            self.log.info("worker %s %s, as it should", worker.pid, how)
            return
        now = time.monotonic()
        killed = code == -signal.SIGKILL and worker.serving and not worker.aborted
        self._backoff.died(now, now - worker.started, killed=killed)
        wait = max(0.0, self._backoff.due - now)
        self._last_end = how
        self._deaths += 1
        self.log.error(
            "worker %s %s, death %d in a row; next start in %.1f s", worker.pid, how, self._backoff.crashes, wait
        )
        if code in (self.WORKER_BOOT_ERROR, self.APP_LOAD_ERROR):
            self._keep_old_ones()
            if not self.WORKERS:
                raise HaltServer("workers cannot start", code)

    def stop(self, graceful: bool = True) -> None:
        """End all workers, within the time that requests may take."""
        self._stopping = True
        gunicorn.sock.close_sockets([*self.LISTENERS, *self.app.unprotected.values()], False)
        self.kill_workers(signal.SIGTERM if graceful else signal.SIGKILL)
        until = time.monotonic() + self._config.request_timeout + STOP_SPARE
        while self.WORKERS and time.monotonic() < until:
            quick = {signal.SIGINT, signal.SIGQUIT} & set(self.wait_for_signals(0.1))
            if quick:
                self.kill_workers(signal.SIGKILL)
            self.murder_workers()
            self.reap_workers()
            self._report(time.monotonic())
        self.kill_workers(signal.SIGKILL)
        self.reap_workers()

    # ---- the master

    def _report(self, now: float) -> None:
        """Tell the master how the group is: when that changes, and every second, as a sign of life."""
        active = self._active()
        report = {
            "event": "group",
            "role": self._role,
            "pid": os.getpid(),
            "wanted": self.num_workers,
            "serving": [worker.pid for worker in active if worker.serving],
            "outgoing": [worker.pid for worker in active if worker.outgoing],
            "retired": [pid for pid, worker in self.WORKERS.items() if worker.retired],
            "crashes": self._backoff.crashes if self._backoff.loops(now) else 0,
            "lastEnd": self._last_end,
            "deaths": self._deaths,
        }
        then, before = self._reported
        if report == before and now - then < REPORT_EVERY:
            return
        with contextlib.suppress(OSError):  # a master that is busy hears the next one
            self._master.send(json.dumps(report).encode(), socket.MSG_DONTWAIT)
            self._reported = now, report


def run_arbiter(
    role: str,
    config: ServerConfig,
    sock_fd: int,
    notify_fd: int,
    control_fd: int = -1,
    *,
    unprotected: Mapping[str, int] = NOTHING,
    starting: bool = False,
) -> None:
    """Run the group `role` (aggregator, core or extensions) on the listening socket `sock_fd`; never returns.

    `unprotected` are further listening sockets, by the names under which the App has handlers for them; while the server
    is `starting` its first workers serve these at once.
    To be called in a process forked for it, with its output directed to the group's log. Reports go as datagrams to
    `notify_fd`: {"event": "group", "role", "pid" (the arbiter's), "serving": [pids], ...}. SIGTERM stops the group
    gracefully, SIGQUIT at once, SIGHUP replaces its workers, SIGUSR2 retires them; a line `workers N` in the pipe
    `control_fd` scales it. Raises SystemExit.
    """
    configure(form=config.logging_format, verbosity=config.v, role=role, modules=config.vmodule)
    gunicorn.util._setproctitle = lambda title: None  # gunicorn would put its own name over ours
    set_title(role, "arbiter", config.instance)
    listener = socket.socket(fileno=sock_fd)
    tls = listener.family != socket.AF_UNIX
    application = GroupApplication(role, config, tls=tls, unprotected=unprotected, starting=starting)
    GroupArbiter(application, listener, notify_fd, control_fd).run()
