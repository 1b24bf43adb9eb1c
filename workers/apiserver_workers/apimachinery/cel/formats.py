"""The clauses of string.format's format strings: what they are, and what is wrong with one.

Upstream: cel-go ext/formatting.go (parseFormatString).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_CLAUSE = re.compile(r"%(?:%|(\.[0-9]*)?(.?))", re.DOTALL)
_KNOWN = "sdfebxXo"


class FormatFault(Exception):
    """A clause that is no clause."""


def read_clauses(text: str) -> Iterator[str | FormatFault]:
    """The letter of each clause in turn (x also for X); a FormatFault for one that is wrong.

    Raises FormatFault for a percent sign at the end.
    """
    for found in _CLAUSE.finditer(text):
        if found[0] == "%%":
            continue
        if found[0] == "%":
            raise FormatFault("unexpected end of string")
        yield _read(found[1], found[2])


def _read(precision: str | None, letter: str) -> str | FormatFault:
    if precision is not None and not letter:
        return FormatFault("error while parsing precision: could not find end of precision specifier")
    if precision == ".":
        return FormatFault(
            'error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing "": '
            "invalid syntax"
        )
    if letter not in _KNOWN:
        # Go reads a byte, not a character.
        return FormatFault(f'unrecognized formatting clause "{chr(letter.encode()[0])}"')
    return letter.lower()
