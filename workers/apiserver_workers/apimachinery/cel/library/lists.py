"""Kubernetes' functions of lists: isSorted, sum, min, max, indexOf, lastIndexOf. Upstream: K/cel/library/lists.go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..equality import compare, equal, is_comparable
from ..failures import Failure, no_such_overload
from ..values import Duration, UInt
from . import costs
from .row import Row
from .std import add


def is_sorted(items: Any) -> bool:
    """Whether no element is greater than the next. Raises Failure."""
    previous = None
    for position, item in enumerate(items):
        if not is_comparable(item):
            raise no_such_overload()
        if position and compare(previous, item) > 0:
            return False
        previous = item
    return True


def _sum_from(zero: Any) -> Callable[[Any], Any]:
    def total(items: Any) -> Any:
        result = zero
        for item in items:
            result = add(result, item)
        return result

    return total


def _extreme(name: str, sign: int) -> Callable[[Any], Any]:
    """The least (sign 1) or greatest (-1) element; the first of equal ones."""

    def function(items: Any) -> Any:
        best = None
        for position, item in enumerate(items):
            if not is_comparable(item):
                raise no_such_overload()
            if not position or compare(best, item) * sign > 0:
                best = item
        if not len(items):
            raise Failure(f"{name} called on empty list")
        return best

    return function


def index_of(items: Any, element: Any) -> int:
    """The first index of an element, -1 if it is not there."""
    for position, item in enumerate(items):
        if _is(item, element):
            return position
    return -1


def last_index_of(items: Any, element: Any) -> int:
    """The last index of an element, -1 if it is not there."""
    elements = list(items)
    for position in range(len(elements) - 1, -1, -1):
        if _is(elements[position], element):
            return position
    return -1


def _is(item: Any, element: Any) -> bool:
    try:
        return equal(item, element)
    except Failure:
        return False


def _row(identifier: str, name: str, args: tuple[str, ...], result: str, function: Callable[..., Any]) -> Row:
    return Row(
        identifier,
        name,
        args,
        result,
        function,
        member=True,
        static=costs.static_tree,
        runtime=costs.traverse_tree,
        by_name=True,
        library="lists",
    )


_COMPARABLE = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
_SUMMED: tuple[tuple[str, Any], ...] = (("int", 0), ("uint", UInt(0)), ("double", 0.0), ("duration", Duration(0)))
_MIN = _extreme("min", 1)
_MAX = _extreme("max", -1)

ROWS: tuple[Row, ...] = (
    *(_row(f"list_{kind}_is_sorted_bool", "isSorted", (f"list({kind})",), "bool", is_sorted) for kind in _COMPARABLE),
    *(_row(f"list_{kind}_sum_{kind}", "sum", (f"list({kind})",), kind, _sum_from(zero)) for kind, zero in _SUMMED),
    *(_row(f"list_{kind}_min_{kind}", "min", (f"list({kind})",), kind, _MIN) for kind in _COMPARABLE),
    *(_row(f"list_{kind}_max_{kind}", "max", (f"list({kind})",), kind, _MAX) for kind in _COMPARABLE),
    _row("list_a_index_of_int", "indexOf", ("list(A)", "A"), "int", index_of),
    _row("list_a_last_index_of_int", "lastIndexOf", ("list(A)", "A"), "int", last_index_of),
)
