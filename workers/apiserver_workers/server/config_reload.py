"""Configuration files that are read again while the server runs, and what metrics tell of that."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from apiserver_workers.apimachinery.metrics import MAX, REGISTRY
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.server_id import server_id_hash

SUCCESS, FAILURE = "success", "failure"
CHECK_SECONDS = 1.0

log = logging.getLogger(__name__)


class ReloadMetrics:
    """The metrics of one kind of file: `authentication` or `authorization`."""

    def __init__(self, what: str) -> None:
        start, shown = f"apiserver_{what}_config_controller", f"{what} configuration"
        labels = ("status", "apiserver_id_hash")
        self._total = REGISTRY.counter(
            f"{start}_automatic_reloads_total",
            f"Total number of automatic reloads of {shown} split by status and apiserver identity.",
            labels,
            merge=MAX,
        )
        self._last = REGISTRY.gauge(
            f"{start}_automatic_reload_last_timestamp_seconds",
            f"Timestamp of the last automatic reload of {shown} split by status and apiserver identity.",
            labels,
            merge=MAX,
        )
        self._info = REGISTRY.gauge(
            f"{start}_last_config_info",
            "Information about the last applied configuration with hash as label, split by apiserver identity.",
            ("apiserver_id_hash", "hash"),
            merge=MAX,
        )
        self._labels: tuple[str, str] | None = None

    def applied(self, server: str, content: bytes) -> None:
        """That content is in force now."""
        if self._labels is not None:
            self._info.set(0.0, self._labels)
        self._labels = (server, "sha256:" + hashlib.sha256(content).hexdigest())
        self._info.set(1.0, self._labels)

    def reloaded(self, server: str, content: bytes) -> None:
        """The file was read again, and what it says is in force."""
        self.applied(server, content)
        self._count(SUCCESS, server)

    def failed(self, server: str) -> None:
        """The file was read again, but what it says is not in force."""
        self._count(FAILURE, server)

    def _count(self, status: str, server: str) -> None:
        self._total.inc((status, server))
        self._last.set(time.time(), (status, server))


AUTHENTICATION = ReloadMetrics("authentication")
AUTHORIZATION = ReloadMetrics("authorization")


class NotYet(ValueError):
    """What the file says is sound, but cannot be in force yet: it is tried again."""


class FollowedFile:
    """A file whose new content goes to `change`, which raises ValueError for what is not sound: that changes nothing."""

    def __init__(
        self, path: str, config: ServerConfig, metrics: ReloadMetrics, change: Callable[[bytes], Awaitable[None]]
    ) -> None:
        """Raises OSError."""
        self._path = Path(path)
        self._server = server_id_hash(config)
        self._metrics = metrics
        self._change = change
        self._content = self._path.read_bytes()
        self._fault = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._metrics.applied(self._server, self._content)
        self._task = asyncio.ensure_future(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                content = self._path.read_bytes()
                if content != self._content:
                    await self._take(content)
            except (OSError, ValueError) as error:
                self._failed(error)

    async def _take(self, content: bytes) -> None:
        known, self._content = self._content, content
        try:
            await self._change(content)
        except NotYet:
            self._content = known
            raise
        self._fault = ""
        self._metrics.reloaded(self._server, content)
        log.info("reloaded %s", self._path)

    def _failed(self, error: Exception) -> None:
        if str(error) != self._fault:  # told once, however often it is tried
            self._fault = str(error)
            self._metrics.failed(self._server)
            log.error("cannot reload %s, what was read before stays: %s", self._path, error)
