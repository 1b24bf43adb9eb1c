"""find and findAll. Upstream: K/cel/library/regex.go."""

from __future__ import annotations

from ..failures import Failure
from . import costs, patterns
from .row import Row


def _compiled(pattern: str) -> patterns.Pattern:
    fault = patterns.fault(pattern)
    if fault:
        raise Failure(f"Illegal regex: {fault}")
    return patterns.compiled(pattern)


def find(text: str, pattern: str) -> str:
    """The first match, empty if there is none. Raises Failure."""
    return _compiled(pattern).first(text)


def find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    """The first `most` matches, all if negative. Raises Failure."""
    return _compiled(pattern).all(text, most)


def _row(identifier: str, name: str, args: tuple[str, ...], result: str) -> Row:
    function = find if name == "find" else find_all
    return Row(
        identifier,
        name,
        args,
        result,
        function,
        member=True,
        static=costs.static_find,
        runtime=costs.match_pattern,
        by_name=True,
        library="regex",
    )


ROWS: tuple[Row, ...] = (
    _row("string_find_string", "find", ("string", "string"), "string"),
    _row("string_find_all_string", "findAll", ("string", "string"), "list(string)"),
    _row("string_find_all_string_int", "findAll", ("string", "string", "int"), "list(string)"),
)
