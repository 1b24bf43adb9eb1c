"""Texts of clients and backends in the head of an answer and in the log: one line, which nothing in them can end."""

from __future__ import annotations

import re

# C0 but for the tab, DEL, C1, the separators that end a line for some readers, and what is no character
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def one_line(text: str, longest: int = 0) -> str:
    """The text with a space for each control character, cut behind `longest` characters unless that is 0."""
    if longest and len(text) > longest:
        text = f"{text[:longest]}... ({len(text)} characters)"
    return text if text.isprintable() else _CONTROL.sub(" ", text)
