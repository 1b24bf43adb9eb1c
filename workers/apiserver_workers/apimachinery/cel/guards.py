"""Whether values are of the types that an overload takes, at run time. Upstream: cel-go common/types/types.go."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .failures import Failure
from .library.row import Row
from .text import pairs
from .types import Form, Type, parse_type
from .values import Optional, is_list, is_map, type_name

Guard = Callable[[Any], bool]


@functools.lru_cache(maxsize=512)
def guard(text: str) -> Guard | None:
    """Tells whether a value has the type of this text; None if every value has."""
    return _guard(parse_type(text))


def _guard(wanted: Type) -> Guard | None:
    if wanted.is_dyn or wanted.form is Form.PARAMETER:
        return None
    if wanted.form is Form.LIST:
        return _list_guard(wanted)
    if wanted.form is Form.MAP:
        return _map_guard(wanted)
    if wanted.is_optional:
        return lambda value: type(value) is Optional
    name = wanted.name
    if name == "string":
        return lambda value: type(value) is str
    return lambda value: type_name(value) == name


def _list_guard(wanted: Type) -> Guard:
    """The first element tells for all."""
    element = _guard(wanted.parameters[0]) if wanted.parameters else None
    if element is None:
        return is_list

    def holds(value: Any) -> bool:
        return is_list(value) and (not len(value) or element(next(iter(value))))

    return holds


def _map_guard(wanted: Type) -> Guard:
    key, item = (_guard(parameter) for parameter in wanted.parameters)
    if key is None and item is None:
        return is_map

    def holds(value: Any) -> bool:
        if not is_map(value) or not len(value):
            return is_map(value)
        first_key, first_item = pairs(value)[0]
        return (key is None or key(first_key)) and (item is None or item(first_item))

    return holds


def guards(row: Row) -> tuple[Guard | None, ...]:
    """The guards of an overload's arguments."""
    return tuple(guard(argument) for argument in row.args)


def no_overload(function: str, values: Sequence[Any]) -> Failure:
    """The error of arguments that no overload takes."""
    return Failure(f"no such overload: {function}({', '.join(map(type_name, values))})")


def guarded(row: Row, trusted: Sequence[bool]) -> Callable[..., Any]:
    """The overload's function, which fails for arguments of other types. Trusted arguments are not looked at."""
    function = row.function
    assert function is not None
    if not row.guarded:
        return function
    checks = tuple(
        (position, check) for position, check in enumerate(guards(row)) if check is not None and not trusted[position]
    )
    if not checks:
        return function
    return _checked(row.name, function, checks)


def _checked(name: str, function: Callable[..., Any], checks: tuple[tuple[int, Guard], ...]) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        for position, check in checks:
            if not check(values[position]):
                raise no_overload(name, values)
        return function(*values)

    return call


def dispatching(name: str, rows: Sequence[Row]) -> Callable[..., Any]:
    """A function that chooses among the overloads of a name by the values it gets."""
    choices = tuple((guards(row), row.function) for row in rows if row.function is not None)

    def call(*values: Any) -> Any:
        for checks, function in choices:
            if len(checks) == len(values) and _all_hold(checks, values):
                return function(*values)
        raise no_overload(name, values)

    return call


def _all_hold(checks: tuple[Guard | None, ...], values: tuple[Any, ...]) -> bool:
    return all(check is None or check(value) for check, value in zip(checks, values, strict=True))
