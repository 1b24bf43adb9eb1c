"""A worker process: uvicorn's server running one App behind our own HTTP protocol.

The event loop itself stamps the heartbeat that the arbiter watches, so a blocked loop or a stopped process is found.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import socket
import sys
from collections import Counter
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn.server import Server
from uvicorn_worker import UvicornWorker

from workers.apimachinery.metrics import Labels
from workers.server.app import App
from workers.server.health import is_health_path
from workers.server.http import Handler, Request, Response
from workers.server.identity import behind_the_front
from workers.server.metrics import FOLDER, LONG_RUNNING, answer_snapshot, long_running_labels
from workers.server.process import die_with_parent, set_title
from workers.server.protocol import HttpProtocol

HEARTBEAT = 1.0
GRACE = 1.5  # for running requests, once the worker stops
GC_THRESHOLDS = (20_000, 50, 100)

logger = logging.getLogger("apiserver.worker")


class Application:
    """What uvicorn is given as its app: ASGI for the lifespan only; the protocol calls `handle` itself."""

    def __init__(self, app: App, *, front: bool) -> None:
        self._app = app
        self.handle: Handler = app.handle if front else behind_the_front(self._handle)

    async def _handle(self, request: Request) -> Response:
        if is_health_path(request.path):
            return await self._app.health.handle(request)
        return await self._app.handle(request)

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        assert scope["type"] == "lifespan"
        await receive()
        try:
            await self._app.startup()
        except Exception as error:
            logger.exception("startup failed")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._app.shutdown()
        await send({"type": "lifespan.shutdown.complete"})


class GroupServer(Server):
    """uvicorn's server that tells the master when it serves and sweeps connections that make no progress."""

    def __init__(self, config: Any, private_socket: Path, on_ready: Callable[[], None], *, front: bool) -> None:
        super().__init__(config)
        self._front = front
        self._private_socket = private_socket
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        await self._serve_privately()
        gc.collect()
        gc.freeze()  # caches are full: what lives now lives on
        gc.set_threshold(*GC_THRESHOLDS)
        if self._front:  # behind it are the same streams again
            LONG_RUNNING.follow(self._long_running)
        self._on_ready()

    def _long_running(self) -> dict[Labels, float]:
        """The streams that are open, for the metrics."""
        found: Counter[Labels] = Counter()
        for connection in list(self.server_state.connections):
            info = connection.streams  # type: ignore[union-attr]
            if info is not None:
                found[long_running_labels(info)] += 1
        return {labels: float(number) for labels, number in found.items()}

    async def _serve_privately(self) -> None:
        """This very worker, and no other of its group, answers here about its own numbers."""
        self._private_socket.parent.mkdir(mode=0o700, exist_ok=True)
        self._private_socket.unlink(missing_ok=True)
        config = SimpleNamespace(app=SimpleNamespace(handle=answer_snapshot))
        state = SimpleNamespace(connections=set())
        loop = asyncio.get_running_loop()
        self._private = await loop.create_unix_server(
            lambda: HttpProtocol(config, state, _loop=loop), self._private_socket
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._private.close()
        self._private_socket.unlink(missing_ok=True)
        await super().shutdown(sockets=sockets)

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                connection.expire(now)  # type: ignore[union-attr]
        return await super().on_tick(counter)


class GroupWorker(UvicornWorker):
    """The gunicorn worker class of all three groups. `app` is the arbiter's GroupApplication."""

    def __init__(self, age: int, ppid: int, sockets: Any, app: Any, timeout: float, cfg: Any, log: Any) -> None:
        self.CONFIG_KWARGS = {
            "loop": "uvloop",
            "http": HttpProtocol,
            "ws": "none",
            "lifespan": "on",
            "interface": "asgi3",
            "proxy_headers": False,
            "timeout_notify": HEARTBEAT,
            "timeout_graceful_shutdown": GRACE,
        }
        if app.tls is not None:
            self.CONFIG_KWARGS["ssl_context_factory"] = app.ssl_context
        super().__init__(age, ppid, sockets, app, timeout, cfg, log)
        reading, writing = os.pipe()
        self.serves = FileIO(reading)  # the arbiter finds a byte here once this worker serves
        self._tell_arbiter = FileIO(writing, "w")

    def init_process(self) -> None:
        die_with_parent(self.ppid)
        set_title(self.app.role, "worker", self.app.config.instance)
        super().init_process()

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        self._install_sigquit_handler()
        watcher = self.app.tls.watch() if self.app.tls is not None else None
        task = asyncio.create_task(watcher) if watcher is not None else None
        private_socket = Path(self.app.config.run_dir) / FOLDER / f"{self.app.role}-{os.getpid()}.sock"
        server = GroupServer(self.config, private_socket, self._ready, front=self.app.tls is not None)
        await server.serve(sockets=self.sockets)
        if task is not None:
            task.cancel()
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def _ready(self) -> None:
        """Tell arbiter and master. A master that is busy or gone must not stop the worker."""
        self._tell_arbiter.write(b"1")
        message = json.dumps({"event": "ready", "role": self.app.role, "pid": os.getpid()}).encode()
        with socket.socket(fileno=os.dup(self.app.notify_fd)) as channel:
            try:
                channel.send(message, socket.MSG_DONTWAIT)
            except OSError as error:
                logger.warning("cannot tell the master: %s", error)
