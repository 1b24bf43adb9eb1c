"""Lists, maps and structs that an expression makes. Upstream: cel-go interpreter/interpretable.go (evalList, evalMap, evalObj)."""

from __future__ import annotations

from typing import Any

from . import objects
from .attributes import Closure, Frame
from .failures import Failure
from .text import show
from .values import MISSING, KeyedMap, Optional

_LIST_COST, _MAP_COST, _STRUCT_COST = 10, 30, 40


def make_list(closures: tuple[Closure, ...], optional: frozenset[int]) -> Closure:
    """[a, ?b]: `optional` has the positions of the elements that may be missing."""

    def run(frame: Frame) -> list[Any]:
        frame[0] += _LIST_COST
        return [closure(frame) for closure in closures]

    def run_optional(frame: Frame) -> list[Any]:
        frame[0] += _LIST_COST
        made: list[Any] = []
        for position, closure in enumerate(closures):
            value = closure(frame)
            if position in optional:
                if type(value) is not Optional:
                    raise Failure(f"cannot initialize optional list element from non-optional value {show(value)}")
                value = value.value
            if value is not MISSING:
                made.append(value)
        return made

    return run_optional if optional else run


def make_map(entries: tuple[tuple[Closure, Closure, bool], ...]) -> Closure:
    """{k: v, ?k: v}: keys, values, and whether the entry may be missing."""

    def run(frame: Frame) -> Any:
        frame[0] += _MAP_COST
        made: list[tuple[Any, Any]] = []
        for key_closure, value_closure, optional in entries:
            key = key_closure(frame)
            value = value_closure(frame)
            made.append((key, _present(key, value) if optional else value))
        return map_of(made)

    return run


def _present(key: Any, value: Any) -> Any:
    if type(value) is not Optional:
        raise Failure(f"cannot initialize optional entry '{show(key)}' from non-optional value {show(value)}")
    return value.value


def map_of(entries: list[tuple[Any, Any]]) -> Any:
    """A map; an entry without a value removes an earlier one of the same key."""
    if all(type(key) is str for key, _ in entries):
        made = dict(entries)
        return {key: value for key, value in made.items() if value is not MISSING}
    keyed = KeyedMap()
    for key, value in entries:
        keyed.discard(key)
        if value is not MISSING:
            keyed.set(key, value)
    return keyed


def make_struct(type_name: str, fields: tuple[tuple[str, Closure, bool], ...]) -> Closure:
    """Type{name: value}"""

    def run(frame: Frame) -> Any:
        frame[0] += _STRUCT_COST
        made: dict[str, Any] = {}
        for name, closure, optional in fields:
            value = closure(frame)
            if optional:
                value = _present(name, value)
            made.pop(name, None)
            if value is not MISSING:
                made[name] = value
        return objects.make(type_name, made)

    return run
