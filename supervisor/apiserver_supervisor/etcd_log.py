"""Why etcd did not start, out of its log: its last lines are a stack, and the reason stands above."""

from __future__ import annotations

import json
from pathlib import Path

LOOKED_AT = 1 << 18
GRAVE = ("fatal", "panic", "dpanic", "error")


def reason(path: str) -> str:
    """The gravest thing that etcd has said last, "" if nothing was grave."""
    try:
        with Path(path).open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - LOOKED_AT))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    told = {level: text for level, text in map(_judged, lines) if level}
    return next((told[level] for level in GRAVE if level in told), "")


def _judged(line: str) -> tuple[str, str]:
    """How grave a line is, and what it says; ("", "") if it is not grave or no line of etcd's own."""
    if line.startswith("panic: "):
        return "panic", line.removeprefix("panic: ").strip()
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        return "", ""
    if not isinstance(said, dict) or said.get("level") not in GRAVE:
        return "", ""
    text, error = str(said.get("msg", "")), str(said.get("error", ""))
    return str(said["level"]), f"{text}: {error}" if error else text
