"""Equality and order of CEL values. Upstream: `Equal` and `Compare` in cel-go common/types."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .failures import Failure, no_such_overload
from .values import (
    INT_MAX,
    MISSING,
    UINT_MAX,
    Duration,
    KeyedMap,
    Optional,
    Timestamp,
    TypeValue,
    UInt,
    View,
    find,
    is_list,
    is_map,
)


def equal(left: Any, right: Any) -> bool:
    """left == right. Numbers compare by value whatever their types. Raises Failure where upstream has no overload."""
    kind = type(left)
    if kind is type(right) and kind in _IDENTICAL:
        return bool(left == right)
    if left is None or right is None:
        return left is right
    compare = _EQUAL.get(kind)
    if compare is not None:
        return compare(left, right)
    return _other_equal(left, right)


def _other_equal(left: Any, right: Any) -> bool:
    if isinstance(left, View):
        return left.equals(right)
    if type(left) is not type(right):
        raise no_such_overload()
    return bool(left == right)


def _never(_left: Any, _right: Any) -> bool:
    return False


def _number_equal(left: Any, right: Any) -> bool:
    if type(right) not in _NUMBERS:
        return False
    if type(left) is float and type(right) is float:
        return left == right
    return _compare_numbers(left, right) == 0 and left == left and right == right


def _list_equal(left: Any, right: Any) -> bool:
    if not is_list(right) or len(left) != len(right):
        return False
    return all(_element_equal(mine, theirs) for mine, theirs in zip(left, right, strict=True))


def _element_equal(mine: Any, theirs: Any) -> bool:
    """Upstream takes elements that cannot be compared for equal."""
    try:
        return equal(mine, theirs)
    except Failure:
        return True


def _map_equal(left: Any, right: Any) -> bool:
    if not is_map(right) or len(left) != len(right):
        return False
    for key, mine in left.items():
        theirs = find(right, key)
        if theirs is MISSING or not _element_equal(mine, theirs):
            return False
    return True


def _optional_equal(left: Optional, right: Any) -> bool:
    if type(right) is not Optional:
        return False
    if left.value is MISSING or right.value is MISSING:
        return left.value is right.value
    return equal(left.value, right.value)


_IDENTICAL = frozenset({str, int, bool, bytes, UInt, Duration, Timestamp, TypeValue})
_NUMBERS = frozenset({int, UInt, float})
_EQUAL: dict[type, Callable[[Any, Any], bool]] = {
    str: _never,
    bool: _never,
    bytes: _never,
    Duration: _never,
    Timestamp: _never,
    TypeValue: _never,
    int: _number_equal,
    UInt: _number_equal,
    float: _number_equal,
    list: _list_equal,
    tuple: _list_equal,
    range: _list_equal,
    dict: _map_equal,
    KeyedMap: _map_equal,
    Optional: _optional_equal,
}


def not_equal(left: Any, right: Any) -> bool:
    """left != right: true too for values that cannot be compared, as upstream."""
    try:
        return not equal(left, right)
    except Failure:
        return True


def _compare_numbers(left: Any, right: Any) -> int:
    if type(left) is float:
        return _compare_double(left, right)
    if type(right) is float:
        return -_compare_double(right, left)
    return (left > right) - (left < right)


def _compare_double(left: float, right: Any) -> int:
    """Upstream compares a double with an integer as doubles, within the integer's bounds."""
    if type(right) is int and not -(2.0**63) <= left <= float(INT_MAX):
        return -1 if left < 0 else 1
    if type(right) is UInt and not 0 <= left <= float(UINT_MAX):
        return -1 if left < 0 else 1
    other = float(right)
    return (left > other) - (left < other)


_COMPARABLE = (str, bytes, bool, Duration, Timestamp)


def is_comparable(value: Any) -> bool:
    """Whether the value has an order."""
    return type(value) in _NUMBERS or isinstance(value, _COMPARABLE)


def compare(left: Any, right: Any, function: str = "") -> int:
    """-1, 0 or 1. Raises Failure for values without an order."""
    kind = type(left)
    if kind in _NUMBERS:
        return _compare_ordered_numbers(left, right)
    if kind not in _COMPARABLE:
        raise no_such_overload(function)
    if type(right) is not kind:
        raise no_such_overload()
    return int(right < left) - int(left < right)


def _compare_ordered_numbers(left: Any, right: Any) -> int:
    if type(right) not in _NUMBERS:
        raise no_such_overload()
    if (type(left) is float and math.isnan(left)) or (type(right) is float and math.isnan(right)):
        raise Failure("NaN values cannot be ordered")
    return _compare_numbers(left, right)


_DIRECT = frozenset({int, str, bytes, UInt, bool})


def less(left: Any, right: Any) -> bool:
    """left < right. Raises Failure."""
    if type(left) is type(right) and type(left) in _DIRECT:
        return bool(left < right)
    return compare(left, right, "_<_") < 0


def less_equals(left: Any, right: Any) -> bool:
    """left <= right. Raises Failure."""
    if type(left) is type(right) and type(left) in _DIRECT:
        return bool(left <= right)
    return compare(left, right, "_<=_") <= 0


def greater(left: Any, right: Any) -> bool:
    """left > right. Raises Failure."""
    if type(left) is type(right) and type(left) in _DIRECT:
        return bool(left > right)
    return compare(left, right, "_>_") > 0


def greater_equals(left: Any, right: Any) -> bool:
    """left >= right. Raises Failure."""
    if type(left) is type(right) and type(left) in _DIRECT:
        return bool(left >= right)
    return compare(left, right, "_>=_") >= 0


def contains(items: Any, element: Any) -> bool:
    """Whether a list has an element that equals this one. Raises Failure for views whose elements cannot be compared."""
    if isinstance(items, View):
        return items.contains(element)  # type: ignore[attr-defined]
    kind = type(element)
    if kind is str:
        # an equal element of a list is a string or an object of a library
        return element in items
    for item in items:
        if type(item) is kind and item == element and kind in _IDENTICAL:
            return True
        if _found(element, item):
            return True
    return False


def _found(element: Any, item: Any) -> bool:
    try:
        return equal(element, item)
    except Failure:
        return False
