"""Files that are one thing together, such as a certificate and its key, read again when they change on disk.

A change may come in halves, or half written: what was read before stays until the files hold still and fit together.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
Stamp = tuple[int, int, int]

CHECK_INTERVAL = 1.0
SETTLED_AFTER = 0.5  # seconds since a file was written: before, more of it may follow
GONE: Stamp = (0, 0, 0)

log = logging.getLogger(__name__)


class WatchedFiles(Generic[T]):
    """What `make` makes of the files' bytes. `make` is given one argument for each file."""

    def __init__(self, paths: Sequence[str], make: Callable[..., T]) -> None:
        """Reads the files at once. Raises OSError or what `make` raises."""
        self._paths = tuple(paths)
        self._make = make
        self._seen = self._stamps()
        self._next_check = time.monotonic() + CHECK_INTERVAL
        self.value = self._read()

    def current(self) -> T:
        """The value, after a look at the files if the last one was a while ago."""
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + CHECK_INTERVAL
            self.refresh()
        return self.value

    def refresh(self) -> bool:
        """Look at the files now; true if the value is a new one. Files that cannot be used are complained of once."""
        stamps = self._stamps()
        if stamps == self._seen or not _settled(stamps):
            return False
        self._seen = stamps
        try:
            self.value = self._read()
        except (OSError, ValueError) as error:
            # no more than the error's class: a parser's text may quote the file, and the file may hold secrets
            log.error("%s changed but cannot be used, what was read before stays: %s", self, type(error).__name__)
            return False
        log.info("%s read again", self)
        return True

    def __str__(self) -> str:
        return " and ".join(self._paths)

    def _read(self) -> T:
        return self._make(*(Path(path).read_bytes() for path in self._paths))

    def _stamps(self) -> list[Stamp]:
        return [_stamp(path) for path in self._paths]


def _stamp(path: str) -> Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return GONE
    return status.st_mtime_ns, status.st_ino, status.st_size


def _settled(stamps: list[Stamp]) -> bool:
    """Whether nothing was written in the last moment. A time in the future says nothing of that."""
    newest = (time.time_ns() - max(stamp[0] for stamp in stamps)) / 1e9
    return not 0 <= newest < SETTLED_AFTER
