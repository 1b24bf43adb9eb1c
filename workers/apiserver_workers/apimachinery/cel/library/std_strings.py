"""Strings of the standard library: contains, startsWith, endsWith, matches. Upstream: cel-go common/stdlib/standard.go."""

from __future__ import annotations

from typing import Any

from ..failures import no_such_overload
from . import costs, patterns
from .row import Row


def _check(*values: Any) -> None:
    for value in values:
        if type(value) is not str:
            raise no_such_overload()


def contains(text: Any, part: Any) -> bool:
    """text.contains(part). Raises Failure."""
    _check(text, part)
    return part in text


def starts_with(text: Any, prefix: Any) -> bool:
    """text.startsWith(prefix). Raises Failure."""
    _check(text, prefix)
    return bool(text.startswith(prefix))


def ends_with(text: Any, suffix: Any) -> bool:
    """text.endsWith(suffix). Raises Failure."""
    _check(text, suffix)
    return bool(text.endswith(suffix))


def matches(text: Any, pattern: Any) -> bool:
    """text.matches(pattern). Raises Failure."""
    if type(text) is not str:
        raise no_such_overload("matches")
    _check(pattern)
    return patterns.compiled(pattern).matches(text)


_STRINGS = ("string", "string")

ROWS: tuple[Row, ...] = (
    Row(
        "contains_string",
        "contains",
        _STRINGS,
        "bool",
        contains,
        member=True,
        guarded=False,
        static=costs.static_product,
        runtime=costs.traverse_product,
    ),
    # The cost at run time goes by the string, the static one by the argument: upstream's figures differ.
    Row(
        "starts_with_string",
        "startsWith",
        _STRINGS,
        "bool",
        starts_with,
        member=True,
        guarded=False,
        static=costs.static_traverse_argument,
        runtime=costs.traverse_first,
    ),
    Row(
        "ends_with_string",
        "endsWith",
        _STRINGS,
        "bool",
        ends_with,
        member=True,
        guarded=False,
        static=costs.static_traverse_argument,
        runtime=costs.traverse_first,
    ),
    Row("matches", "matches", _STRINGS, "bool", matches, guarded=False),
    Row(
        "matches_string",
        "matches",
        _STRINGS,
        "bool",
        matches,
        member=True,
        guarded=False,
        static=costs.static_match,
        runtime=costs.match_pattern,
    ),
)
