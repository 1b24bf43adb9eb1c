"""What metrics tell of configuration files that are read again while the server runs."""

from __future__ import annotations

import hashlib
import time

from workers.apimachinery.metrics import MAX, REGISTRY

SUCCESS, FAILURE = "success", "failure"


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
