"""The command with three tiny apps in place of the servers: tests of the master need processes, not an API.

GET /slow?seconds=N takes its time; GET /readyz says 200 until the server stops; a watch streams until the worker stops; anything else tells the worker's pid.
With SMALL_APPS_CRASH=ROLE that role's workers cannot start; with SMALL_APPS_YOUNG=SECONDS a worker is so long like its
parent, before it answers signals by itself.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import types
from collections.abc import AsyncIterator
from pathlib import Path

from apiserver_supervisor.cli import main
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.filters.cache_control import CacheControl
from apiserver_workers.server.filters.draining import Lifecycle, RetryAfter, WaitGroup
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.filters.request_info import RequestInfoFilter
from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.process import worker


class SmallApp:
    def __init__(self, config: ServerConfig, role: str) -> None:
        self._role, self._stopping = role, Path(config.run_dir, "stopping")
        self.lifecycle = Lifecycle()
        chain: Handler = WaitGroup(self._answer, self.lifecycle)
        chain = CacheControl(chain)
        if config.shutdown_send_retry_after:
            chain = RetryAfter(chain, self.lifecycle)
        self.handle = PanicRecovery(RequestInfoFilter(chain))

    async def startup(self) -> None:
        if os.environ.get("SMALL_APPS_CRASH") == self._role:
            raise RuntimeError("told to crash")

    async def _answer(self, request: Request) -> Response:
        if request.path == "/readyz" and self._stopping.exists():
            return Response(500, b"shutting down", "text/plain")
        if request.info is not None and request.info.verb == "watch":
            return Response(200, self._forever(), "text/plain")
        if request.path == "/slow":
            await asyncio.sleep(float(request.raw_query.partition("=")[2]))
            return Response(201, b"created\n", "text/plain")
        return Response(200, str(os.getpid()).encode(), "text/plain")

    async def _forever(self) -> AsyncIterator[bytes]:
        yield b"began\n"
        await asyncio.Event().wait()

    async def retire(self) -> None:
        pass

    async def shutdown(self) -> None:
        pass


if __name__ == "__main__":
    for name in ("aggregator", "core", "extensions"):
        module = types.ModuleType(f"apiserver_workers.{name}.app")
        module.create = lambda config, role=name: SmallApp(config, role)  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module
    if young := os.environ.get("SMALL_APPS_YOUNG"):
        named = worker.set_title
        worker.set_title = lambda *names: (time.sleep(float(young)), named(*names))  # type: ignore[assignment]
    main()
