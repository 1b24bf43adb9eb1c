"""Percent-encoding undone, in time that does not depend on how much of a text is encoded."""

from __future__ import annotations

from collections.abc import Mapping

NO_SEPARATORS: Mapping[bytes, str] = {}


def unescaped(data: bytes) -> bytes:
    """The bytes with each %XX replaced by the byte that it stands for. Raises ValueError for a % without two digits."""
    return characters(data, NO_SEPARATORS).encode("latin-1")


def characters(data: bytes, separators: Mapping[bytes, str]) -> str:
    """Each %XX, and each other byte, as the character of that number; unescaped separators as what they are given.

    Raises ValueError for a % without two digits.
    """
    # Python's own escapes look nearly the same, and are undone in C
    python = data.replace(b"\\", b"\\\\").replace(b"%", b"\\x")
    for separator, stands_for in separators.items():
        python = python.replace(separator, b"\\u%04x" % ord(stands_for))
    return python.decode("unicode_escape")
