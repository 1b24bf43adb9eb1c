"""Conversion functions: int(x), string(x), dyn(x), type(x) … Upstream: cel-go common/stdlib/standard.go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import conversions
from ..estimates import LARGEST, TRAVERSAL, CallEstimate, Operand, Range
from ..values import TypeValue, type_name
from . import costs
from .row import Row


def type_of(value: Any) -> TypeValue:
    """type(value)"""
    return TypeValue(type_name(value))


def _same(value: Any) -> Any:
    return value


def _static_encode(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """A character becomes up to four bytes."""
    size = args[0].size
    return CallEstimate(size.factor(TRAVERSAL), Range(size.min, min(size.max * 4, LARGEST)))


def _static_decode(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """Up to four bytes become a character."""
    size = args[0].size
    return CallEstimate(size.factor(TRAVERSAL), Range(size.min // 4, size.max))


# (function, target type, overload id and argument type for each)
_FUNCTIONS = (
    ("bool", conversions.to_bool, "bool", (("bool_to_bool", "bool"), ("string_to_bool", "string"))),
    (
        "double",
        conversions.to_double,
        "double",
        (
            ("double_to_double", "double"),
            ("int64_to_double", "int"),
            ("string_to_double", "string"),
            ("uint64_to_double", "uint"),
        ),
    ),
    (
        "duration",
        conversions.to_duration,
        "duration",
        (
            ("duration_to_duration", "duration"),
            ("int64_to_duration", "int"),
            ("string_to_duration", "string"),
        ),
    ),
    (
        "int",
        conversions.to_int,
        "int",
        (
            ("int64_to_int64", "int"),
            ("double_to_int64", "double"),
            ("duration_to_int64", "duration"),
            ("string_to_int64", "string"),
            ("timestamp_to_int64", "timestamp"),
            ("uint64_to_int64", "uint"),
        ),
    ),
    (
        "string",
        conversions.to_string,
        "string",
        (
            ("string_to_string", "string"),
            ("bool_to_string", "bool"),
            ("bytes_to_string", "bytes"),
            ("double_to_string", "double"),
            ("duration_to_string", "duration"),
            ("int64_to_string", "int"),
            ("timestamp_to_string", "timestamp"),
            ("uint64_to_string", "uint"),
        ),
    ),
    (
        "timestamp",
        conversions.to_timestamp,
        "timestamp",
        (
            ("timestamp_to_timestamp", "timestamp"),
            ("int64_to_timestamp", "int"),
            ("string_to_timestamp", "string"),
        ),
    ),
    (
        "uint",
        conversions.to_uint,
        "uint",
        (
            ("uint64_to_uint64", "uint"),
            ("double_to_uint64", "double"),
            ("int64_to_uint64", "int"),
            ("string_to_uint64", "string"),
        ),
    ),
)

_DECODING = Row(
    "bytes_to_string",
    "string",
    ("bytes",),
    "string",
    conversions.to_string,
    static=_static_decode,
    runtime=costs.traverse_first,
)

ROWS: tuple[Row, ...] = (
    *(
        _DECODING if identifier == "bytes_to_string" else Row(identifier, name, (argument,), result, function)
        for name, function, result, overloads in _FUNCTIONS
        for identifier, argument in overloads
    ),
    Row("bytes_to_bytes", "bytes", ("bytes",), "bytes", conversions.to_bytes),
    Row(
        "string_to_bytes",
        "bytes",
        ("string",),
        "bytes",
        conversions.to_bytes,
        static=_static_encode,
        runtime=costs.traverse_first,
    ),
    Row("to_dyn", "dyn", ("A",), "dyn", _same, guarded=False),
    Row("type", "type", ("A",), "type(A)", type_of, guarded=False),
)
