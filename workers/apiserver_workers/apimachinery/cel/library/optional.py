"""Optional values: optional.of(x), value(), hasValue(), first(), unwrap() … Upstream: cel-go cel/library.go.

`or` and `orValue` leave their argument alone if the target has a value, so programs have them built in (program.py), as
they have `a.?b` and `a[?b]`.
"""

from __future__ import annotations

from typing import Any

from ..failures import Failure
from ..values import MISSING, NONE, Duration, Optional, is_list, is_map
from .row import Row

_SINCE = 28


def of_non_zero(value: Any) -> Optional:
    """The value, unless it is empty or zero."""
    return NONE if _is_zero(value) else Optional(value)


def _is_zero(value: Any) -> bool:
    if value is None or value is False:
        return True
    if type(value) is Duration:
        return bool(value.nanoseconds == 0)
    if isinstance(value, int | float | str | bytes):
        return not value
    return (is_list(value) or is_map(value)) and not len(value)


def value_of(optional: Optional) -> Any:
    """The value. Raises Failure if there is none."""
    if optional.value is MISSING:
        raise Failure("optional.none() dereference")
    return optional.value


def has_value(optional: Optional) -> bool:
    """Whether there is a value."""
    return optional.value is not MISSING


def unwrap(items: Any) -> list[Any]:
    """The values of a list of optionals, without those that have none. Raises Failure."""
    values = []
    for item in items:
        if type(item) is not Optional:
            raise Failure("optional.unwrap() and unwrapOpt() expects a list of optional values.")
        if item.value is not MISSING:
            values.append(item.value)
    return values


def first(items: Any) -> Optional:
    """The first element, if there is one."""
    for item in items:
        return Optional(item)
    return NONE


def last(items: Any) -> Optional:
    """The last element, if there is one."""
    return Optional(list(items)[-1]) if len(items) else NONE


def _none() -> Optional:
    return NONE


_V = "optional_type(V)"


def _row(identifier: str, name: str, args: tuple[str, ...], result: str, function: Any, member: bool = True) -> Row:
    return Row(identifier, name, args, result, function, member=member, since=_SINCE, library="optional")


ROWS: tuple[Row, ...] = (
    _row("optional_none", "optional.none", (), _V, _none, member=False),
    _row("optional_of", "optional.of", ("V",), _V, Optional, member=False),
    _row("optional_ofNonZeroValue", "optional.ofNonZeroValue", ("V",), _V, of_non_zero, member=False),
    _row("optional_unwrap", "optional.unwrap", (f"list({_V})",), "list(V)", unwrap, member=False),
    _row("optional_unwrapOpt", "unwrapOpt", (f"list({_V})",), "list(V)", unwrap),
    _row("optional_value", "value", (_V,), "V", value_of),
    _row("optional_hasValue", "hasValue", (_V,), "bool", has_value),
    _row("optional_or_optional", "or", (_V, _V), _V, None),
    _row("optional_orValue_value", "orValue", (_V, "V"), "V", None),
    _row("list_first", "first", ("list(V)",), _V, first),
    _row("list_last", "last", ("list(V)",), _V, last),
    _row("select_optional_field", "_?._", ("dyn", "string"), _V, None, member=False),
    _row("list_optindex_optional_int", "_[?_]", ("list(V)", "int"), _V, None, member=False),
    _row("optional_list_optindex_optional_int", "_[?_]", ("optional_type(list(V))", "int"), _V, None, member=False),
    _row("map_optindex_optional_value", "_[?_]", ("map(K, V)", "K"), _V, None, member=False),
    _row("optional_map_optindex_optional_value", "_[?_]", ("optional_type(map(K, V))", "K"), _V, None, member=False),
    _row("optional_list_index_int", "_[_]", ("optional_type(list(V))", "int"), _V, None, member=False),
    _row("optional_map_index_value", "_[_]", ("optional_type(map(K, V))", "K"), _V, None, member=False),
)
