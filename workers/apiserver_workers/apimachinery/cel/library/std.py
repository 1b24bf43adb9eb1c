"""The standard operators: arithmetic, comparison, membership, size. Upstream: cel-go common/stdlib/standard.go.

The operators `&&`, `||`, `?:`, `==`, `!=` and the index are built into programs (program.py); their rows are here for
the checker and for static costs. An operator looks at its operands itself, because upstream asks the left one what it
can do: a left operand that cannot is `no such overload: _+_`, a wrong right one `no such overload`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..conversions import EARLIEST, LATEST
from ..equality import contains, greater, greater_equals, less, less_equals
from ..estimates import ONE, TRAVERSAL, CallEstimate, Operand, Range
from ..failures import Failure, no_such_overload
from ..values import (
    INT_MAX,
    INT_MIN,
    LISTS,
    MISSING,
    SECOND,
    UINT_MAX,
    Duration,
    Timestamp,
    UInt,
    View,
    find,
    is_list,
    is_map,
    type_name,
)
from . import costs
from .row import Row

OVERFLOW = "integer overflow"


def _int(value: int) -> int:
    if INT_MIN <= value <= INT_MAX:
        return value
    raise Failure(OVERFLOW)


def _uint(value: int) -> UInt:
    if 0 <= value <= UINT_MAX:
        return UInt(value)
    raise Failure("unsigned integer overflow")


def add(left: Any, right: Any) -> Any:
    """left + right. Raises Failure."""
    kind = type(left)
    if kind is type(right):
        if kind is int:
            return _int(left + right)
        if kind is str or kind is float or kind is bytes or kind is list:
            return left + right
        if kind is UInt:
            return _uint(int(left) + int(right))
        if kind is Duration:
            return Duration(_int(left.nanoseconds + right.nanoseconds))
    return _add_others(left, right)


def _add_others(left: Any, right: Any) -> Any:
    if isinstance(left, LISTS):
        if not is_list(right):
            raise no_such_overload()
        return right if not left else [*left, *right]
    if isinstance(left, View):
        return left.plus(right)
    if type(left) is Timestamp and type(right) is Duration:
        return shift(left, right.nanoseconds)
    if type(left) is Duration and type(right) is Timestamp:
        return shift(right, left.nanoseconds)
    raise no_such_overload("" if type(left) in _ADDERS else "_+_")


_ADDERS = frozenset({int, UInt, float, str, bytes, Duration, Timestamp})


def shift(moment: Timestamp, nanoseconds: int) -> Timestamp:
    """A moment later by a span. Raises Failure."""
    total = moment.nanoseconds + nanoseconds
    if not EARLIEST <= total // SECOND <= LATEST:
        raise Failure("timestamp overflow")
    return Timestamp(total, moment.offset)


def subtract(left: Any, right: Any) -> Any:
    """left - right. Raises Failure."""
    kind = type(left)
    if kind is type(right):
        if kind is int:
            return _int(left - right)
        if kind is float:
            return left - right
        if kind is UInt:
            return _uint(int(left) - int(right))
        if kind is Duration or kind is Timestamp:
            return Duration(_int(left.nanoseconds - right.nanoseconds))
    if kind is Timestamp and type(right) is Duration:
        return shift(left, -right.nanoseconds)
    raise no_such_overload("" if kind in _SUBTRACTORS else "_-_")


_SUBTRACTORS = frozenset({int, UInt, float, Duration, Timestamp})
_MULTIPLIERS = frozenset({int, UInt, float})


def multiply(left: Any, right: Any) -> Any:
    """left * right. Raises Failure."""
    kind = type(left)
    if kind is type(right):
        if kind is int:
            return _int(left * right)
        if kind is float:
            return left * right
        if kind is UInt:
            return _uint(int(left) * int(right))
    raise no_such_overload("" if kind in _MULTIPLIERS else "_*_")


def divide(left: Any, right: Any) -> Any:
    """left / right; integers are cut towards zero. Raises Failure."""
    kind = type(left)
    if kind is type(right) and kind in _MULTIPLIERS:
        if kind is float:
            return _divide_double(left, right)
        if right == 0:
            raise Failure("division by zero")
        if kind is UInt:
            return UInt(int(left) // int(right))
        quotient = abs(left) // abs(right)
        return _int(quotient if (left < 0) == (right < 0) else -quotient)
    raise no_such_overload("" if kind in _MULTIPLIERS else "_/_")


def _divide_double(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, math.copysign(1, left) * math.copysign(1, right))


def modulo(left: Any, right: Any) -> Any:
    """left % right, with the sign of the left. Raises Failure."""
    kind = type(left)
    if kind is type(right) and kind in (int, UInt):
        if right == 0:
            raise Failure("modulus by zero")
        if kind is UInt:
            return UInt(int(left) % int(right))
        if left == INT_MIN and right == -1:
            raise Failure(OVERFLOW)
        return int(math.copysign(1, left)) * (abs(left) % abs(right))
    raise no_such_overload("" if kind in (int, UInt) else "_%_")


def negate(value: Any) -> Any:
    """-value. Raises Failure."""
    kind = type(value)
    if kind is int:
        return _int(-value)
    if kind is float:
        return -value
    if kind is Duration:
        return Duration(_int(-value.nanoseconds))
    raise no_such_overload("" if kind is bool else "-_")


def logical_not(value: Any) -> bool:
    """!value. Raises Failure."""
    if value is True:
        return False
    if value is False:
        return True
    raise no_such_overload()


def is_in(element: Any, container: Any) -> bool:
    """element in container. Raises Failure."""
    if type(container) is dict:
        return type(element) is str and element in container
    if is_list(container):
        return contains(container, element)
    if is_map(container):
        return find(container, element) is not MISSING
    raise no_such_overload("@in")


_SIZED = frozenset({str, bytes, list, dict})


def size(value: Any) -> int:
    """size(value). Raises Failure."""
    if type(value) in _SIZED or is_list(value) or is_map(value):
        return len(value)
    raise no_such_overload(f"size({type_name(value)})")


# rows

_NUMBERS = {"int64": "int", "uint64": "uint", "double": "double"}
# In upstream's order, which decides the result type of a call that several overloads fit.
_COMPARED = (
    "bool",
    "int64",
    "int64_double",
    "int64_uint64",
    "uint64",
    "uint64_double",
    "uint64_int64",
    "double",
    "double_int64",
    "double_uint64",
    "string",
    "bytes",
    "timestamp",
    "duration",
)
_TRAVERSED = frozenset({"string", "bytes"})


def _row(name: str, identifier: str, function: Callable[..., Any], left: str, right: str, result: str) -> Row:
    return Row(identifier, name, (left, right), result, function, guarded=False)


def _arithmetic(name: str, verb: str, function: Callable[..., Any], *kinds: str) -> tuple[Row, ...]:
    """Overloads of two numbers, or of what a kind such as duration_timestamp names (the result is the last word's)."""
    return tuple(_arithmetic_row(name, verb, function, kind) for kind in kinds)


def _arithmetic_row(name: str, verb: str, function: Callable[..., Any], kind: str) -> Row:
    if kind in _NUMBERS:
        number = _NUMBERS[kind]
        return _row(name, f"{verb}_{kind}", function, number, number, number)
    left, _, right = kind.partition("_")
    return _row(name, f"{verb}_{kind}", function, left, right, _TIMES[verb, left, right])


_TIMES = {
    ("add", "duration", "duration"): "duration",
    ("add", "duration", "timestamp"): "timestamp",
    ("add", "timestamp", "duration"): "timestamp",
    ("subtract", "duration", "duration"): "duration",
    ("subtract", "timestamp", "duration"): "timestamp",
    ("subtract", "timestamp", "timestamp"): "duration",
}


def _concatenation(kind: str) -> Row:
    return Row(
        f"add_{kind}",
        "_+_",
        (kind, kind),
        kind,
        add,
        guarded=False,
        static=costs.static_concatenate,
        runtime=costs.traverse_both,
    )


def _comparison(name: str, verb: str, function: Callable[..., Any]) -> tuple[Row, ...]:
    return tuple(_comparison_row(name, verb, function, kind) for kind in _COMPARED)


def _comparison_row(name: str, verb: str, function: Callable[..., Any], kind: str) -> Row:
    left, _, right = kind.partition("_")
    args = (_NUMBERS.get(left, left), _NUMBERS.get(right or left, right or left))
    since = 28 if right else 0
    if kind in _TRAVERSED:
        return Row(
            f"{verb}_{kind}",
            name,
            args,
            "bool",
            function,
            guarded=False,
            static=costs.static_compare,
            runtime=costs.traverse_smaller,
        )
    return Row(f"{verb}_{kind}", name, args, "bool", function, guarded=False, since=since)


_ONE = CallEstimate(ONE)
# Types of Kubernetes that are compared in one step, and formats, whose names are compared.
_CONSTANT_EQUALITY = frozenset(
    {
        "net.IP",
        "net.CIDR",
        "kubernetes.Quantity",
        "kubernetes.Semver",
        "kubernetes.authorization.Authorizer",
        "kubernetes.authorization.PathCheck",
        "kubernetes.authorization.GroupCheck",
        "kubernetes.authorization.ResourceCheck",
        "kubernetes.authorization.Decision",
    }
)
_MAX_FORMAT_SIZE = 64


def _static_equals(target: Operand | None, args: Any) -> CallEstimate:
    name = args[0].type.name
    if args[0].type != args[1].type:
        return costs.static_compare(target, args)
    if name in _CONSTANT_EQUALITY:
        return _ONE
    if name == "kubernetes.NamedFormat":
        return CallEstimate(Range(1, _MAX_FORMAT_SIZE).factor(TRAVERSAL))
    if name == "kubernetes.URL":
        size = args[1].computed or ONE
        return CallEstimate(Range(1, size.max).factor(TRAVERSAL))
    return costs.static_compare(target, args)


_SIZED_TYPES = (("bytes", "bytes"), ("list", "list(A)"), ("map", "map(A, B)"), ("string", "string"))


def _size_rows(kind: str, argument: str) -> tuple[Row, Row]:
    """size(x) and x.size()"""
    return (
        Row(f"size_{kind}", "size", (argument,), "int", size, guarded=False),
        Row(f"{kind}_size", "size", (argument,), "int", size, member=True, guarded=False),
    )


ROWS: tuple[Row, ...] = (
    Row("conditional", "_?_:_", ("bool", "A", "A"), "A", None),
    Row("logical_and", "_&&_", ("bool", "bool"), "bool", None),
    Row("logical_or", "_||_", ("bool", "bool"), "bool", None),
    Row("logical_not", "!_", ("bool",), "bool", logical_not, guarded=False),
    Row("not_strictly_false", "@not_strictly_false", ("bool",), "bool", None, hidden=True),
    Row("equals", "_==_", ("A", "A"), "bool", None, static=_static_equals, runtime=costs.traverse_smaller),
    Row("not_equals", "_!=_", ("A", "A"), "bool", None, static=costs.static_compare, runtime=costs.traverse_smaller),
    _concatenation("bytes"),
    *_arithmetic("_+_", "add", add, "double", "duration_duration", "duration_timestamp", "timestamp_duration", "int64"),
    Row("add_list", "_+_", ("list(A)", "list(A)"), "list(A)", add, guarded=False, static=costs.static_append),
    _concatenation("string"),
    *_arithmetic("_+_", "add", add, "uint64"),
    *_arithmetic("_-_", "subtract", subtract, "double", "duration_duration", "int64"),
    *_arithmetic("_-_", "subtract", subtract, "timestamp_duration", "timestamp_timestamp", "uint64"),
    *_arithmetic("_*_", "multiply", multiply, "double", "int64", "uint64"),
    *_arithmetic("_/_", "divide", divide, "double", "int64", "uint64"),
    *_arithmetic("_%_", "modulo", modulo, "int64", "uint64"),
    Row("negate_double", "-_", ("double",), "double", negate, guarded=False),
    Row("negate_int64", "-_", ("int",), "int", negate, guarded=False),
    *_comparison("_<_", "less", less),
    *_comparison("_<=_", "less_equals", less_equals),
    *_comparison("_>_", "greater", greater),
    *_comparison("_>=_", "greater_equals", greater_equals),
    Row(
        "in_list",
        "@in",
        ("A", "list(A)"),
        "bool",
        is_in,
        guarded=False,
        static=costs.static_in_list,
        runtime=costs.size_of_second,
    ),
    Row("in_map", "@in", ("A", "map(A, B)"), "bool", is_in, guarded=False),
    Row("index_list", "_[_]", ("list(A)", "int"), "A", None),
    Row("index_map", "_[_]", ("map(A, B)", "A"), "B", None),
    *(row for kind, argument in _SIZED_TYPES for row in _size_rows(kind, argument)),
)
