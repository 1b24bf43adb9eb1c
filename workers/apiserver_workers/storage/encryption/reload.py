"""Reading the encryption's configuration again when its file changes (encryptionconfig/controller upstream).

Every worker does so for itself, so for some seconds some may write with a key that others do not know yet: that is why a
new key first stands behind the old one. A file that is wrong changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from apiserver_workers.apimachinery.metrics import MAX, REGISTRY
from apiserver_workers.storage.encryption.config import EncryptionConfigError, load_encryption_config
from apiserver_workers.storage.encryption.kept import keep

log = logging.getLogger(__name__)

POLL = 2.0

RELOADS = REGISTRY.counter(
    "apiserver_encryption_config_controller_automatic_reloads_total",
    "Total number of reload successes and failures of encryption configuration split by apiserver identity.",
    ("status",),
)
RELOADED = REGISTRY.gauge(
    "apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds",
    "Timestamp of the last successful or failed automatic reload of encryption configuration.",
    ("status",),
    merge=MAX,
)


class WatchedFile:
    """The file of --encryption-provider-config; `changed` gives its rules when its content is new."""

    def __init__(self, path: str, digest: str, run_dir: str) -> None:
        self._path = path
        self._run_dir = run_dir  # where workers that start later find what is in use
        self._digest = digest  # of what is in use
        self._failed = ""

    def changed(self) -> Mapping[tuple[str, str], Any] | None:
        """The new rules, None if nothing changed or the file is wrong, which is logged once."""
        try:
            config = load_encryption_config(self._path, reload=True)
        except EncryptionConfigError as error:
            if str(error) != self._failed:
                self._failed = str(error)
                log.error("--encryption-provider-config is not reloaded: %s", error)
                self._count("failure")
            return None
        self._failed = ""
        if config.digest == self._digest:
            return None
        self._digest = config.digest
        keep(config.content, self._run_dir)
        log.info("--encryption-provider-config has changed and is in use")
        self._count("success")
        return config.rules

    def _count(self, status: str) -> None:
        RELOADS.inc((status,))
        RELOADED.set(time.time(), (status,))


async def follow_file(file: WatchedFile, use: Callable[[Mapping[tuple[str, str], Any]], None]) -> None:
    """Give the rules to `use` whenever they change, for ever."""
    while True:
        await asyncio.sleep(POLL)
        rules = file.changed()
        if rules is not None:
            use(rules)
