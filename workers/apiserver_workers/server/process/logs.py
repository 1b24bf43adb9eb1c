"""How processes log: text or JSON lines on standard error, as much as -v and --vmodule say.

A line of text begins as klog's do, with the role of the process beside its pid: `I1130 21:04:05.123456 4711 core x.py:12] `.
The lines of --logging-format=json have upstream's keys (k8s.io/component-base/logs/json): ts in milliseconds, caller, msg,
v; and pid and role.
"""

from __future__ import annotations

import fnmatch
import json
import logging
import sys
import time
from collections.abc import Sequence
from contextvars import ContextVar

from apiserver_workers.apimachinery.one_line import one_line

_LETTERS = {"DEBUG": "I", "INFO": "I", "WARNING": "W", "ERROR": "E", "CRITICAL": "E"}
LONGEST_MESSAGE = 8192  # characters; what is longer is some client's or backend's text
LONGEST_TRACEBACK = 16384
DEBUGGING = 4  # the verbosity from which DEBUG lines are written

audit_id: ContextVar[str] = ContextVar("audit_id", default="")  # of the request that this task answers


class TextFormatter(logging.Formatter):
    """klog's form. Adds `audit-ID="..."` to what is logged while a request is answered, unless the line has it already.

    Whatever is in a message or in an exception's text, only what is logged begins a line; a traceback's are indented.
    """

    def __init__(self, role: str) -> None:
        super().__init__("%(message)s")
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line = self._head(record) + super().format(record)
        request = audit_id.get()
        if "\n" not in line and (not request or request in line):
            return line
        first, newline, rest = line.partition("\n")
        if request and request not in line:
            first = f'{first} audit-ID="{request}"'
        return first + newline + indented(rest)

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = one_line(record.message, LONGEST_MESSAGE)
        return super().formatMessage(record)

    def _head(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        micros = int(record.created % 1 * 1_000_000)
        place = f"{record.filename}:{record.lineno}"
        return f"{_LETTERS[record.levelname]}{stamp}.{micros:06} {record.process:>7} {self._role} {place}] "


def indented(lines: str) -> str:
    """The lines of a traceback, or the last of them, each behind a space and without other control characters."""
    return "\n".join(f" {one_line(line)}" for line in lines[-LONGEST_TRACEBACK:].split("\n"))


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "ts": round(record.created * 1000, 3),
            "caller": f"{record.module}/{record.filename}:{record.lineno}",
            "msg": one_line(record.getMessage(), LONGEST_MESSAGE),
            "pid": record.process,
            "role": self._role,
        }
        if record.levelno >= logging.ERROR:
            error = self.formatException(record.exc_info) if record.exc_info else record.levelname.lower()
            line["err"] = error[-LONGEST_TRACEBACK:]
        else:
            line["v"] = DEBUGGING if record.levelno < logging.INFO else 0
        if request := audit_id.get():
            line["audit-ID"] = request
        return json.dumps(line)


class ModuleFilter(logging.Filter):
    """Lets DEBUG lines pass of modules that --vmodule names, and of all when the verbosity is high enough."""

    def __init__(self, verbosity: int, modules: Sequence[str]) -> None:
        super().__init__()
        self.verbosity = verbosity
        pairs = (entry.rpartition("=") for entry in modules)
        self._levels = [(pattern, int(level)) for pattern, _, level in pairs]

    @property
    def debugs(self) -> bool:
        """Whether any DEBUG line can pass."""
        return max([self.verbosity, *(level for _, level in self._levels)]) >= DEBUGGING

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.INFO or self.verbosity >= DEBUGGING:
            return True
        for pattern, level in self._levels:
            if fnmatch.fnmatchcase(record.module, pattern) or fnmatch.fnmatchcase(record.name, pattern):
                return level >= DEBUGGING
        return False


def formatter(form: str, role: str) -> logging.Formatter:
    """The formatter for --logging-format, text or json, of a process of this role."""
    return JsonFormatter(role) if form == "json" else TextFormatter(role)


def configure(*, form: str, verbosity: int, role: str, modules: Sequence[str] = ()) -> None:
    """Let the root logger write to standard error, as a process of this role."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(form, role))
    wanted = ModuleFilter(verbosity, modules)
    handler.addFilter(wanted)
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if wanted.debugs else logging.INFO, force=True)
    logging.captureWarnings(True)


def set_verbosity(verbosity: int) -> None:
    """From now on -v is this; --vmodule stays."""
    root = logging.getLogger()
    for handler in root.handlers:
        for one in handler.filters:
            if isinstance(one, ModuleFilter):
                one.verbosity = verbosity
                root.setLevel(logging.DEBUG if one.debugs else logging.INFO)
