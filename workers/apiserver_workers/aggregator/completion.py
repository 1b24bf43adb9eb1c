"""The check autoregister-completion: every group version that is served here has had an available APIService.

It holds for the whole server and for good, as upstream: an APIService that is deleted later does not count, also not for a
worker that starts then. So the worker that sees it first leaves a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from apiserver_workers.aggregator.registrations import Registrations
from apiserver_workers.server.aggregation.api_service import APIService
from apiserver_workers.server.config import ServerConfig

FILE = "registered"


class RegistrationCompletion:
    """Follows the APIServices from the moment it is made."""

    def __init__(self, config: ServerConfig, names: Iterable[str], registrations: Registrations) -> None:
        self._file = Path(config.run_dir) / FILE
        self._start = hashlib.sha256(config.loopback_token.encode()).hexdigest()[:16]
        self._missing = set(names)
        registrations.follow(self._changed)

    def check(self) -> str:
        """What is missing, "" if nothing is."""
        if self._missing and self._told_by_another():
            self._missing.clear()
        return f"missing APIService: [{' '.join(sorted(self._missing))}]" if self._missing else ""

    def _changed(self, before: APIService | None, after: APIService | None) -> None:
        if not self._missing or after is None or not after.available:
            return
        self._missing.discard(after.name)
        if not self._missing and not self._told_by_another():
            self._file.write_text(self._start)

    def _told_by_another(self) -> bool:
        try:
            return self._file.read_text() == self._start
        except OSError:
            return False
