"""Files that are read again when they change: tokens, CA bundles, keys."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

CHECK_INTERVAL = 1.0


class WatchedFile(Generic[T]):
    """What `parse` makes of a file's bytes. A change is seen within a second; a bad change keeps the last good value."""

    def __init__(self, path: str, parse: Callable[[bytes], T]) -> None:
        """Reads the file at once. Raises OSError or what `parse` raises."""
        self._path = Path(path)
        self._parse = parse
        self._stamp = self._stat()
        self._value = parse(self._path.read_bytes())
        self._next_check = time.monotonic() + CHECK_INTERVAL

    @property
    def value(self) -> T:
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + CHECK_INTERVAL
            self._reload_if_changed()
        return self._value

    def _stat(self) -> tuple[int, int, int]:
        status = os.stat(self._path)
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _reload_if_changed(self) -> None:
        try:
            stamp = self._stat()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._value = self._parse(self._path.read_bytes())
        except (OSError, ValueError) as error:
            # the error's class only: a parser's text may quote the file, and the file may hold secrets
            log.error("cannot reload %s, keeping what was read before: %s", self._path, type(error).__name__)
        else:
            log.info("reloaded %s", self._path)
