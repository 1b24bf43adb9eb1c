"""What a program does before it runs: constant conversions, compiled patterns, sets of constants.

Upstream: cel-go interpreter/decorators.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .attributes import Closure, Frame
from .failures import Failure, no_such_overload
from .library import patterns
from .values import MISSING, KeyedMap, UInt, alternatives


class ProgramFault(Exception):
    """An expression that no program can be made of; the text is what follows `program instantiation failed: `."""


def with_pattern(function: str, constant: Any) -> Callable[..., Any] | None:
    """The function with its constant pattern compiled; None if the function takes no pattern. Raises ProgramFault."""
    if function not in _PATTERN_MAKERS or type(constant) is not str:
        return None
    fault = patterns.fault(constant)
    if fault:
        raise ProgramFault(fault)
    return _PATTERN_MAKERS[function](patterns.compiled(constant))


def _matcher(pattern: patterns.Pattern) -> Callable[..., Any]:
    found = pattern.matches

    def matches(text: Any, _pattern: Any) -> bool:
        if type(text) is not str:
            raise no_such_overload()
        return found(text)

    return matches


def _finder(pattern: patterns.Pattern) -> Callable[..., Any]:
    def find(text: Any, _pattern: Any) -> str:
        if type(text) is not str:
            raise no_such_overload()
        return pattern.first(text)

    return find


def _all_finder(pattern: patterns.Pattern) -> Callable[..., Any]:
    def find_all(text: Any, _pattern: Any, most: Any = -1) -> list[str]:
        if type(text) is not str or type(most) is not int:
            raise no_such_overload()
        return pattern.all(text, most)

    return find_all


_PATTERN_MAKERS = {"matches": _matcher, "find": _finder, "findAll": _all_finder}


def fold(function: Callable[..., Any], constant: Any) -> Any:
    """The function of a constant. Raises ProgramFault."""
    try:
        return function(constant)
    except Failure as failure:
        raise ProgramFault(str(failure)) from None


_PRIMITIVE = frozenset({bool, int, UInt, float, str})


def membership(argument: Closure, items: Sequence[Any]) -> Closure | None:
    """`x in [constants]` as a lookup, which costs nothing beside x; None if a constant has no place in a set."""
    if any(type(item) not in _PRIMITIVE for item in items):
        return None
    if all(type(item) is str for item in items):
        return _among_words(argument, frozenset(items))
    return _among(argument, items)


def _among_words(argument: Closure, words: frozenset[str]) -> Closure:
    def run(frame: Frame) -> bool:
        value = argument(frame)
        return type(value) is str and value in words

    return run


def _among(argument: Closure, items: Sequence[Any]) -> Closure:
    """Numbers are found by each type that holds them without loss."""
    known = KeyedMap()
    for item in items:
        for same in alternatives(item):
            known.set(same, True)
        if type(item) in (int, UInt):
            known.set(float(item), True)

    def run(frame: Frame) -> bool:
        value = argument(frame)
        return type(value) in _PRIMITIVE and known.find(value) is not MISSING

    return run
