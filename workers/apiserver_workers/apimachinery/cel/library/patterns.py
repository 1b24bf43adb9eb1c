"""Regular expressions of Go's syntax, in linear time: RE2, of which Go's package is a sibling.

Both have the same syntax and the same choice among matches. Only the error texts differ, so they are translated.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol

import re2

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


class Pattern(Protocol):
    """What RE2 makes of an expression."""

    def search(self, text: str) -> Any:
        """The leftmost match, or None."""

    def finditer(self, text: str) -> Any:
        """All matches that do not overlap."""


@functools.lru_cache(maxsize=1024)
def _compile(pattern: str) -> Pattern | str:
    """The compiled expression, or Go's error text."""
    try:
        return re2.compile(pattern, _OPTIONS)  # type: ignore[no-any-return]
    except re2.error as error:
        return _go_text(str(error), pattern)


def _go_text(fault: str, pattern: str) -> str:
    for theirs, ours in _FAULTS:
        if fault.startswith(theirs):
            part = fault[len(theirs) :].removeprefix(": ")
            if ours.startswith("trailing"):
                part = ""
            return f"error parsing regexp: {ours}: `{part}`"
    return f"error parsing regexp: expression too large: `{pattern}`"


def fault(pattern: str) -> str:
    """Go's error text for an expression, empty if it is right."""
    compiled_or_fault = _compile(pattern)
    return compiled_or_fault if isinstance(compiled_or_fault, str) else ""


def compiled(pattern: str) -> Pattern:
    """The compiled expression. Raises Failure with Go's text."""
    found = _compile(pattern)
    if isinstance(found, str):
        raise Failure(found)
    return found


def find_all(pattern: Pattern, text: str, most: int) -> list[str]:
    """The first `most` matches (all if negative); an empty one directly after another does not count, as in Go."""
    found: list[str] = []
    end = -1
    for match in pattern.finditer(text):
        if len(found) == most:
            break
        if match.start() != match.end() or match.start() != end:
            found.append(match.group(0))
        end = match.end()
    return found
