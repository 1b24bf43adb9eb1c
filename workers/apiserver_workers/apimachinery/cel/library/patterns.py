"""Regular expressions of Go's syntax, in linear time: RE2, of which Go's package is a sibling.

Both have the same syntax and the same choice among matches. Only the error texts differ, so they are translated.
"""

from __future__ import annotations

from typing import Any

import re2

from apiserver_workers.apimachinery.memo import memoized

from ..failures import Failure

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False

# The fault in RE2's words and in Go's.
_FAULTS = (
    ("invalid escape sequence", "invalid escape sequence"),
    ("invalid character class range", "invalid character class range"),
    ("invalid character class", "invalid character class"),
    ("missing ]", "missing closing ]"),
    ("missing )", "missing closing )"),
    ("unexpected )", "unexpected )"),
    ("trailing \\", "trailing backslash at end of expression"),
    ("no argument for repetition operator", "missing argument to repetition operator"),
    ("invalid repetition size", "invalid repeat count"),
    ("bad repetition operator", "invalid nested repetition operator"),
    ("invalid perl operator", "invalid or unsupported Perl syntax"),
    ("invalid UTF-8", "invalid UTF-8"),
    ("invalid named capture group", "invalid named capture"),
)


# Above this size of its program, RE2's set of one pattern might not have the memory for its automaton.
_LARGEST_SET = 5_000


class Pattern:
    """A compiled expression. Whether a text matches is asked of an RE2 set of one: its automaton keeps no groups."""

    __slots__ = ("_regexp", "_set")

    def __init__(self, pattern: str) -> None:
        encoded = _encode(pattern)
        self._regexp: Any = re2.compile(encoded, _OPTIONS)
        self._set: Any = None
        if self._regexp.programsize <= _LARGEST_SET:
            self._set = re2.Set.SearchSet(_OPTIONS)
            self._set.Add(encoded)
            self._set.Compile()

    def matches(self, text: str) -> bool:
        """Whether the text has a match."""
        if self._set is not None:
            return self._set.Match(_encode(text)) is not None
        return self._regexp.search(_encode(text)) is not None

    def first(self, text: str) -> str:
        """The leftmost match, empty if there is none."""
        match = self._regexp.search(_encode(text))
        return "" if match is None else str(match.group().decode())

    def all(self, text: str, most: int) -> list[str]:
        """The first `most` matches (all if negative); an empty one directly after another does not count, as in Go."""
        found: list[str] = []
        end = -1
        encoded = _encode(text)
        for match in self._regexp.finditer(encoded):
            if len(found) == most:
                break
            if not _splits_character(encoded, match.start()) and (match.end() > match.start() or match.start() > end):
                found.append(match.group().decode())
            end = match.end()
        return found


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _splits_character(encoded: bytes, position: int) -> bool:
    """Whether a byte in the middle of a character lies there; RE2 finds empty matches at those too."""
    return position < len(encoded) and encoded[position] & 0xC0 == 0x80


@memoized
def _compile(pattern: str) -> Pattern | str:
    """The compiled expression, or Go's error text."""
    try:
        return Pattern(pattern)
    except re2.error as error:
        return _go_text(error.args[0], pattern)


def _go_text(fault: str | bytes, pattern: str) -> str:
    shown = fault.decode("utf-8", "replace") if isinstance(fault, bytes) else fault
    for theirs, ours in _FAULTS:
        if shown.startswith(theirs):
            part = shown[len(theirs) :].removeprefix(": ")
            if ours.startswith("trailing"):
                part = ""
            return f"error parsing regexp: {ours}: `{part}`"
    return f"error parsing regexp: expression too large: `{pattern}`"


def fault(pattern: str) -> str:
    """Go's error text for an expression, empty if it is right."""
    found = _compile(pattern)
    return found if isinstance(found, str) else ""


def compiled(pattern: str) -> Pattern:
    """The compiled expression. Raises Failure with Go's text."""
    found = _compile(pattern)
    if isinstance(found, str):
        raise Failure(found)
    return found
