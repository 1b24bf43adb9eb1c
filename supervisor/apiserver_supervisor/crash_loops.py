"""Crash loops: roles whose processes die again and again.

While one keeps a role from serving as it should, a file tells of it, so that the front's /readyz fails.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path

from apiserver_supervisor.children import Child

log = logging.getLogger("supervisor")


class CrashLoops:
    """`found`: a text by role. The file `path` has those of roles that are down, as a JSON object; it is there for them only."""

    def __init__(self, path: Path) -> None:
        self.found: dict[str, str] = {}
        self._down: dict[str, str] = {}
        self._path = path

    def look(self, children: Iterable[Child], now: float) -> bool:
        """Look at the children again; whether anything is new."""
        looping = {child: text for child in children if (text := child.crash_loop(now))}
        found = {child.role: text for child, text in looping.items()}
        down = {child.role: text for child, text in looping.items() if child.down}
        if down != self._down:
            self._down = down
            self._write()
        if found == self.found:
            return False
        for role in found.keys() - self.found.keys():
            log.error("crash loop: %s", found[role])
        for role in self.found.keys() - found.keys():
            log.info("the crash loop of %s is over", role)
        self.found = found
        return True

    def _write(self) -> None:
        if not self._down:
            self._path.unlink(missing_ok=True)
            return
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._down))
        os.replace(temporary, self._path)
