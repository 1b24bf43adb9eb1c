"""One worker's server: it says when it serves, and it has two ways to end.

Retiring (SIGUSR2): another worker takes over. The listening socket is left to the others, and no connection is cut: each
closes after its next answer, streams go on until they end by themselves, at most for --worker-drain-timeout. Clients
notice nothing. Stopping (SIGTERM): the whole server ends. Requests that run are finished, new ones are refused, streams
get a proper end.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from uvicorn.server import Server

from apiserver_workers.apimachinery.metrics import Labels
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.http.connections import Connections, Http2Settings
from apiserver_workers.server.http.protocol import CLOSE_WITHIN, HttpProtocol
from apiserver_workers.server.metrics import LONG_RUNNING, long_running_labels
from apiserver_workers.server.process.private import PrivateEndpoints

if TYPE_CHECKING:
    from apiserver_workers.server.process.worker import Application

RETIRE = signal.SIGUSR2
GC_THRESHOLDS = (20_000, 50, 100)
TICK = 0.05
SWEEP_EVERY = 1.0
SLOWEST_ENDING = 200.0  # watches a second


class GroupServer(Server):
    """uvicorn's server with our two ways to end. `on_ready` and `on_retire` are told."""

    server_state: Connections

    def __init__(
        self,
        config: Any,
        settings: ServerConfig,
        private_socket: Path,
        *,
        on_ready: Callable[[], None],
        on_retire: Callable[[], Awaitable[None]],
        front: bool,
        unprotected: Mapping[str, socket.socket],
        first: bool = False,
    ) -> None:
        """A `first` worker serves `unprotected` from the very start: whoever looks there sees the server start."""
        super().__init__(config)
        self.server_state = Connections()
        self._settings = settings
        if settings.http2_max_streams_per_connection:
            self.server_state.http2 = Http2Settings(settings.http2_max_streams_per_connection, settings.goaway_chance)
        else:
            self.server_state.http2 = Http2Settings(goaway_chance=settings.goaway_chance)
        self._private_socket = private_socket
        self._on_ready = on_ready
        self._on_retire = on_retire
        self._front = front
        self._unprotected = unprotected
        self._first = first
        self._retiring = self._told_to_stop = False
        self._listeners: list[socket.socket] | None = None

    # ---- signals

    def retire(self) -> None:
        """Another worker takes over: from now on it gets all new connections, and those that are open hear of it."""
        self._retiring = self.should_exit = True
        self.server_state.closing = True
        if self.started:
            self._stop_listening(self._listeners)

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._told_to_stop = True
        if not self.started:
            os._exit(0)  # it has nothing to finish
        super().handle_exit(sig, frame)

    # ---- starting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._listeners = sockets
        listeners = await self._serve_unprotected() if self._first else []
        await super().startup(sockets=sockets)
        self.servers += listeners if self._first else await self._serve_unprotected()
        await self._serve_privately()
        gc.collect()
        gc.freeze()  # caches are full: what lives now lives on
        gc.set_threshold(*GC_THRESHOLDS)
        if self._front:  # behind it are the same streams again
            LONG_RUNNING.follow(self._long_running)
        self._on_ready()

    async def _serve_unprotected(self) -> list[asyncio.Server]:
        loop = asyncio.get_running_loop()
        servers = []
        for name, listener in self._unprotected.items():
            config = SimpleNamespace(app=SimpleNamespace(handle=self._application.front.unprotected[name]))
            serve = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
            make = partial(HttpProtocol, config, self.server_state, _loop=loop)
            servers.append(await serve(make, sock=listener))
        return servers

    def _long_running(self) -> dict[Labels, float]:
        """The streams that are open, for the metrics."""
        found: Counter[Labels] = Counter()
        for connection in list(self.server_state.connections):
            for info in connection.streams:  # type: ignore[union-attr]
                found[long_running_labels(info)] += 1
        return {labels: float(number) for labels, number in found.items()}

    async def _serve_privately(self) -> None:
        """This very worker, and no other of its group, answers here about its own numbers."""
        self._private_socket.parent.mkdir(mode=0o700, exist_ok=True)
        self._private_socket.unlink(missing_ok=True)
        config = SimpleNamespace(app=PrivateEndpoints(self._settings, self._application.private))
        state = Connections()
        loop = asyncio.get_running_loop()
        self._private = await loop.create_unix_server(
            lambda: HttpProtocol(config, state, _loop=loop), self._private_socket
        )

    @property
    def _application(self) -> Application:
        application: Application = self.config.app  # type: ignore[assignment]
        return application

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._expire(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def _expire(self, now: float) -> None:
        """Sweep connections that make no progress."""
        for connection in self._connections():
            connection.expire(now)

    def _connections(self) -> list[HttpProtocol]:
        return list(self.server_state.connections)  # type: ignore[arg-type]

    # ---- ending

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.server_state.closing = True
        if self._retiring and not self._told_to_stop:
            self._stop_listening(sockets)
            await self._retire()
        await self._stop(sockets)
        self._private.close()
        self._private_socket.unlink(missing_ok=True)
        await self.lifespan.shutdown()

    def _stop_listening(self, sockets: list[socket.socket] | None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()

    async def _retire(self) -> None:
        """Until every connection has closed by itself, or the time is up, or the server stops."""
        loop = asyncio.get_running_loop()
        until, sweep = loop.time() + self._settings.worker_drain_timeout, 0.0
        await self._on_retire()
        while self.server_state.any and not self._told_to_stop and (now := loop.time()) < until:
            if now >= sweep:
                sweep = now + SWEEP_EVERY
                self._expire(now)
                for connection in self._connections():
                    connection.retire(now)
            await asyncio.sleep(TICK)

    async def _stop(self, sockets: list[socket.socket] | None) -> None:
        """Requests that run are finished within --request-timeout; then whatever is left is cut off."""
        send_retry_after = self._front and self._settings.shutdown_send_retry_after
        if self._front:
            self._application.front.lifecycle.draining = True
        if not send_retry_after:
            self._stop_listening(sockets)
        grace = self._settings.shutdown_watch_termination_grace_period if self._front else 0.0
        watches = [connection for connection in self._connections() if grace and connection.is_watch]
        for watch in watches:
            watch.retire(0.0)  # their clients may use another server from now on
        for connection in self._connections():
            if connection not in watches:
                connection.shutdown()
        ending = asyncio.create_task(_end_watches(watches, grace))
        for tunnel in self.server_state.tunnels:
            tunnel.close()
        await self._until(lambda: not any(c.busy for c in self._connections()), self._settings.request_timeout)
        ending.cancel()
        self._stop_listening(sockets)
        await self._until(lambda: not self.server_state.any, CLOSE_WITHIN)
        for connection in self._connections():
            connection.abort()
        for tunnel in self.server_state.tunnels:
            tunnel.abort()

    async def _until(self, condition: Callable[[], bool], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not condition() and not self.force_exit and loop.time() < until:
            await asyncio.sleep(TICK)


async def _end_watches(watches: Sequence[HttpProtocol], grace: float) -> None:
    """One after the other over --shutdown-watch-termination-grace-period, as upstream at 200 a second or more."""
    for watch in watches:
        watch.shutdown()
        await asyncio.sleep(1 / max(len(watches) / grace, SLOWEST_ENDING))
