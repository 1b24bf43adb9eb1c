"""Numbers in schemas: ranges of formats, bounds, multiples (kube-openapi/pkg/validation/validate/values.go).

Integers are compared as Go's int64 with bounds cut to integers, everything else as doubles.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from apiserver_workers.apimachinery.cel.text import double
from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.structural.result import general, not_positive, wrong

INT32 = range(-(1 << 31), 1 << 31)
INT64 = range(-(1 << 63), 1 << 63)
LARGEST_EXACT = float((1 << 53) - 1)
EPSILON = 1e-9


def number_faults(schema: Mapping[str, Any], value: float, path: str) -> list[FieldError]:
    """What a schema with one type, or none, says against a number: its range, multiple, maximum, minimum."""
    if value.__class__ is int and value not in INT64:
        value = float(value)
    found = [range_fault(value, schema, "Checked", path)]
    factor, maximum, minimum = schema.get("multipleOf"), schema.get("maximum"), schema.get("minimum")
    if factor is not None:
        fault = range_fault(factor, schema, "MultipleOf", path)
        found += [fault, _multiple_fault(value, factor, path, exact=fault is None)]
    if maximum is not None:
        fault = range_fault(maximum, schema, "Maximum boundary", path)
        exclusive = bool(schema.get("exclusiveMaximum"))
        found += [fault, _maximum_fault(value, maximum, exclusive, path, exact=fault is None)]
    if minimum is not None:
        fault = range_fault(minimum, schema, "Minimum boundary", path)
        exclusive = bool(schema.get("exclusiveMinimum"))
        found += [fault, _minimum_fault(value, minimum, exclusive, path, exact=fault is None)]
    return [fault for fault in found if fault is not None]


def range_fault(value: float, schema: Mapping[str, Any], what: str, path: str) -> FieldError | None:
    """Whether a number fits the type and format of the schema."""
    type_, format_ = schema.get("type") or "", schema.get("format") or ""
    if schema.get("x-kubernetes-int-or-string"):
        type_ = format_ = ""  # of two types, none counts
    if type_ == "integer":
        wanted = INT32 if format_ == "int32" else INT64
        fits = value == int(value) and int(value) in wanted if math.isfinite(value) else False
    elif type_ == "number" and format_ == "float":
        fits = _fits_float(value)
    else:
        return None
    if fits:
        return None
    shown = f"with format {format_}" if format_ else "(default format)"
    return general(f"{what} value must be of type {type_} {shown} in {path}")


def _fits_float(value: float) -> bool:
    try:
        struct.pack("f", value)
    except (OverflowError, struct.error):
        return False
    return True


def _multiple_fault(value: float, factor: float, path: str, *, exact: bool) -> FieldError | None:
    if exact and value.__class__ is int:
        whole = int(factor)
        if whole <= 0:
            return not_positive(path, whole, str(whole))
        return None if value % whole == 0 else wrong(path, value, f"should be a multiple of {whole}")
    if factor <= 0:
        return not_positive(path, float(factor), go_number(float(factor)))
    value = float(value)
    quotient = 1 / factor * value if factor < 1 else value / factor
    return (
        None if is_json_integer(quotient) else wrong(path, value, f"should be a multiple of {go_number(float(factor))}")
    )


def _maximum_fault(value: float, bound: float, exclusive: bool, path: str, *, exact: bool) -> FieldError | None:
    value, limit = _comparable(value, bound, exact)
    if value < limit or (value == limit and not exclusive):
        return None
    return wrong(path, value, f"should be less than{'' if exclusive else ' or equal to'} {go_number(limit)}")


def _minimum_fault(value: float, bound: float, exclusive: bool, path: str, *, exact: bool) -> FieldError | None:
    value, limit = _comparable(value, bound, exact)
    if value > limit or (value == limit and not exclusive):
        return None
    return wrong(path, value, f"should be greater than{'' if exclusive else ' or equal to'} {go_number(limit)}")


def _comparable(value: float, bound: float, exact: bool) -> tuple[float, float]:
    """Both as integers if the value is one and the bound fits the type, else both as doubles."""
    if exact and value.__class__ is int:
        return value, int(bound)
    return float(value), float(bound)


def is_json_integer(number: float) -> bool:
    """swag.IsFloat64AJSONInteger: an integer that a double holds exactly, or nearly one."""
    if not -LARGEST_EXACT <= number <= LARGEST_EXACT:
        return False
    whole = float(int(number))
    if number == whole:
        return True
    if number < 0:
        whole = float((1 << 64) + int(number))  # Go converts to an unsigned integer
    difference = abs(number - whole)
    return difference / (abs(number) + abs(whole)) < EPSILON


def go_number(number: float) -> str:
    """A number as fmt's %v prints it."""
    return double(number) if number.__class__ is float else str(number)
