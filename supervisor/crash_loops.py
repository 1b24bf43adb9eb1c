"""Crash loops: roles whose processes die again and again. They are told in a file, so that the front's /readyz fails."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from supervisor.children import Child

log = logging.getLogger("supervisor")


class CrashLoops:
    """Keeps the file `path` there while there are crash loops: a JSON object of texts by role."""

    def __init__(self, path: Path) -> None:
        self.found: dict[str, str] = {}
        self._path = path

    def look(self, children: Iterable[Child], now: float) -> bool:
        """Look at the children again; whether anything is new."""
        found = {child.role: text for child in children if (text := child.crash_loop(now))}
        if found == self.found:
            return False
        for role in found.keys() - self.found.keys():
            log.error("crash loop: %s", found[role])
        for role in self.found.keys() - found.keys():
            log.info("the crash loop of %s is over", role)
        self.found = found
        self._write()
        return True

    def _write(self) -> None:
        if not self.found:
            self._path.unlink(missing_ok=True)
            return
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self.found))
        os.replace(temporary, self._path)
