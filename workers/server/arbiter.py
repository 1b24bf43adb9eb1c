"""One worker group: a gunicorn arbiter on a socket that the master opened, keeping a number of workers alive.

The socket is the master's, so it outlives this process and clients only wait while a group starts again. A worker that
dies is replaced at once; one whose event loop does not stamp its heartbeat within TIMEOUT is killed and replaced. If
workers cannot even start, the arbiter gives up and the master starts the group again, with back-off.
"""

from __future__ import annotations

import gc
import importlib
import select
import signal
import socket
import ssl
import time
from typing import Any

import gunicorn.util
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from workers.server.config import ServerConfig
from workers.server.logs import configure
from workers.server.process import set_title
from workers.server.tls import ServingTLS
from workers.server.worker import Application, GroupWorker

TIMEOUT = 10
GRACEFUL_TIMEOUT = 2
START_TIMEOUT = 30.0
RESPAWN_PAUSE = 1.0
BACKLOG = 2048

FRONT = "aggregator"
WORKERS = {
    "aggregator": lambda config: config.aggregator_workers,
    "core": lambda config: config.core_workers,
    "extensions": lambda config: config.extensions_workers,
}


class GroupApplication(BaseApplication):
    """gunicorn's settings for a group, and its App, loaded once before the workers are forked."""

    def __init__(self, role: str, config: ServerConfig, notify_fd: int, *, tls: bool) -> None:
        self.role = role
        self.config = config
        self.notify_fd = notify_fd
        self.tls = ServingTLS(config) if tls else None
        super().__init__()

    def load_config(self) -> None:
        settings = {
            "workers": WORKERS[self.role](self.config),
            "worker_class": GroupWorker,
            "timeout": TIMEOUT,
            "graceful_timeout": GRACEFUL_TIMEOUT,
            "backlog": BACKLOG,
            "preload_app": True,
            "control_socket_disable": True,
            "proc_name": f"{self.role} ({self.config.instance})",
            "pre_fork": lambda arbiter, worker: gc.freeze(),
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Application:
        app = importlib.import_module(f"workers.{self.role}.app").create(self.config)
        gc.collect()
        return Application(app, front=self.role == FRONT)

    def ssl_context(self, *_: Any) -> ssl.SSLContext:
        assert self.tls is not None
        return self.tls.listening


class GroupArbiter(Arbiter):
    """gunicorn's arbiter on a socket that is not its own: it neither opens nor unlinks it."""

    _spawn_after = 0.0

    def __init__(self, app: GroupApplication, listener: socket.socket) -> None:
        super().__init__(app)
        self.LISTENERS = [listener]
        self.systemd = True  # gunicorn's word for "the socket belongs to another"

    def reload(self) -> None:
        """Replace all workers: the new ones serve before the old ones go. If they do not come up, the old ones stay."""
        before = set(self.WORKERS)
        for _ in range(self.num_workers):
            self.spawn_worker()
        fresh = {pid: worker for pid, worker in self.WORKERS.items() if pid not in before}
        until = time.monotonic() + START_TIMEOUT
        waiting = {worker.serves: pid for pid, worker in fresh.items()}
        while waiting and time.monotonic() < until:
            for pipe in select.select(list(waiting), [], [], 0.1)[0]:
                pipe.read(1)
                del waiting[pipe]
            self.reap_workers()
            waiting = {pipe: pid for pipe, pid in waiting.items() if pid in self.WORKERS}
        if set(fresh) <= set(self.WORKERS) and not waiting:
            self.manage_workers()  # ends the oldest beyond the number
            return
        self.log.error("new workers do not serve, the old ones stay")
        for pid in fresh:
            if pid in self.WORKERS:
                self.kill_worker(pid, signal.SIGKILL)

    def reap_workers(self) -> None:
        """A worker that cannot start ends the group only if no other serves; else it is tried again a little later."""
        try:
            super().reap_workers()
        except HaltServer:
            if not self.WORKERS:
                raise
            self._spawn_after = time.monotonic() + RESPAWN_PAUSE

    def manage_workers(self) -> None:
        if time.monotonic() >= self._spawn_after:
            super().manage_workers()


def run_arbiter(role: str, config: ServerConfig, sock_fd: int, notify_fd: int) -> None:
    """Run the group `role` (aggregator, core or extensions) on the listening socket `sock_fd`; never returns.

    To be called in a process forked for it, with its output directed to the group's log. Each worker that serves sends
    the datagram {"event": "ready", "role", "pid"} to `notify_fd`. SIGTERM stops the group gracefully, SIGQUIT at once,
    SIGHUP replaces its workers, SIGTTIN and SIGTTOU add and remove one. Raises SystemExit.
    """
    configure(form=config.logging_format, verbosity=config.v, modules=config.vmodule)
    gunicorn.util._setproctitle = lambda title: None  # gunicorn would put its own name over ours
    set_title(role, "arbiter", config.instance)
    listener = socket.socket(fileno=sock_fd)
    tls = listener.family != socket.AF_UNIX
    GroupArbiter(GroupApplication(role, config, notify_fd, tls=tls), listener).run()
