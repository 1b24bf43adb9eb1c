"""A worker process: uvicorn's server running one App behind our own HTTP protocol.

The event loop itself stamps the heartbeat that the arbiter watches, from the process' start to its end, so a blocked loop
or a stopped process is found, whatever it is doing.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from gunicorn.arbiter import Arbiter
from uvicorn_worker import UvicornWorker

from apiserver_workers.server.chain import build_inner_chain
from apiserver_workers.server.health import is_health_path
from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.http.protocol import HttpProtocol
from apiserver_workers.server.http2.negotiated import NegotiatedProtocol
from apiserver_workers.server.process.app import App, FrontApp
from apiserver_workers.server.process.children import die_with_parent, fresh_signals, set_title
from apiserver_workers.server.process.serving import RETIRE, GroupServer
from apiserver_workers.server.process.siblings import FOLDER

HEARTBEAT = 0.5

logger = logging.getLogger("apiserver.worker")


class Application:
    """What uvicorn is given as its app: ASGI for the lifespan only; the protocol calls `handle` itself."""

    def __init__(self, app: App, *, front: bool) -> None:
        self._app = app
        self.handle: Handler = app.handle if front else build_inner_chain(self._handle)
        self.private: Mapping[str, Handler] = getattr(app, "private", {})  # of an AskedApp

    @property
    def front(self) -> FrontApp:
        """The app, which is the front's."""
        app: FrontApp = self._app  # type: ignore[assignment]
        return app

    async def _handle(self, request: Request) -> Response:
        if is_health_path(request.path):
            return await self._app.health.handle(request)
        return await self._app.handle(request)

    async def retire(self) -> None:
        """Another worker takes over."""
        await self._app.retire()

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


class GroupWorker(UvicornWorker):
    """The gunicorn worker class of all three groups. `app` is the arbiter's GroupApplication.

    The arbiter keeps here what it knows of the worker: `serving`, `outgoing` (it is to go once others serve), `retired`
    (it was told to go).
    """

    def __init__(self, age: int, ppid: int, sockets: Any, app: Any, timeout: float, cfg: Any, log: Any) -> None:
        self.CONFIG_KWARGS = {
            "loop": "uvloop",
            "http": HttpProtocol,
            "ws": "none",
            "lifespan": "on",
            "interface": "asgi3",
            "proxy_headers": False,
            "callback_notify": None,  # `_beat` does it
        }
        if app.tls is not None:
            self.CONFIG_KWARGS["http"] = NegotiatedProtocol
            self.CONFIG_KWARGS["ssl_context_factory"] = app.ssl_context
        super().__init__(age, ppid, sockets, app, timeout, cfg, log)
        reading, writing = os.pipe()
        self.serves = FileIO(reading)  # the arbiter finds a byte here once this worker serves
        self._tell_arbiter = FileIO(writing, "w")
        self.started = time.monotonic()
        self.serving = self.outgoing = self.retired = False
        self.first_memory = 0  # bytes, soon after it began to serve
        self.cpu_seconds = 0.0  # used when the last heartbeat was seen

    def init_process(self) -> None:
        die_with_parent(self.ppid)
        fresh_signals()
        set_title(self.app.role, "worker", self.app.config.instance)
        super().init_process()

    async def _serve(self) -> None:
        faulthandler.disable()  # it would think that its handlers are still in place
        faulthandler.enable()  # a worker whose loop is blocked tells the log where, before it is killed
        self.config.app = self.wsgi
        background = [asyncio.create_task(self._beat())]
        if self.app.tls is not None:
            background.append(asyncio.create_task(self.app.tls.watch()))
        server = GroupServer(
            self.config,
            self.app.config,
            Path(self.app.config.run_dir) / FOLDER / f"{self.app.role}-{os.getpid()}.sock",
            on_ready=self._ready,
            on_retire=self.wsgi.retire,
            front=self.app.tls is not None,
            unprotected=self.app.unprotected,
            first=self.app.starting and self.age <= self.cfg.workers,
        )
        asyncio.get_running_loop().add_signal_handler(RETIRE, server.retire)
        await server.serve(sockets=self.sockets)
        for task in background:
            task.cancel()
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    def forget(self) -> None:
        """In the arbiter: the process has ended."""
        for file in (self.tmp, self.serves, self._tell_arbiter):
            file.close()

    async def _beat(self) -> None:
        while True:
            self.notify()
            await asyncio.sleep(HEARTBEAT)

    def _ready(self) -> None:
        self._tell_arbiter.write(b"1")
