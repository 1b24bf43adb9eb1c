"""App: what each of the three servers gives its workers to run.

`apiserver_workers.ROLE.app:create(config) -> App` is called once in the arbiter, before it forks: load schemas and tables there,
so that workers share that memory, but open no connection and touch no event loop. `startup` runs in each worker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Protocol

from apiserver_workers.server.filters.draining import Lifecycle
from apiserver_workers.server.health import HealthChecks
from apiserver_workers.server.http.messages import Handler, Request, Response


class App(Protocol):
    """One server, as its worker processes see it. Its health checks are asked for by the server in front of it."""

    health: HealthChecks

    async def startup(self) -> None:
        """Connect, fill caches. The worker accepts connections when it returns."""

    def handle(self, request: Request) -> Awaitable[Response]:
        """Answer one request. May raise ApiError."""
        ...

    async def retire(self) -> None:
        """Another worker takes over: leave to it what one worker does for the whole server. Open streams go on."""

    async def shutdown(self) -> None:
        """Called when no request runs any more."""


class FrontApp(App, Protocol):
    """The front has handlers of its own for sockets where nobody is asked who they are: they serve from the very start,
    also before `startup` has returned. Its chains refuse requests once `lifecycle` says that the server ends."""

    unprotected: Mapping[str, Handler]
    lifecycle: Lifecycle
