"""Why a document is no object of a type, in the words of Go's converter from unstructured content.

Strategic merge patches are not decoded from JSON upstream: their result goes from a map to an object directly
(k8s.io/apimachinery/pkg/runtime/converter.go), which has messages of its own and stops at the first fault.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery import quantity, times
from apiserver_workers.apimachinery.codec.explain import json_kind
from apiserver_workers.apimachinery.codec.normal import base64_error
from apiserver_workers.apimachinery.goformat import type_name
from apiserver_workers.apimachinery.types import Field, Type

KINDS = {dict: "map", list: "slice", str: "string", bool: "bool", int: "int64", float: "float64"}
NUMBERS = ("integer", "number")
# Go can convert these, and the converter does not: (class of the value, form of the field).
CONVERTIBLE = frozenset(((int, "string"), (float, "integer")))
GO_SCALARS = {"string": "string", "boolean": "bool", "number": "float64"}


def wrapped(type: Type, document: dict[str, Any]) -> dict[str, Any]:
    """The document with its integers cut to the size of their fields, which the converter does without a word."""
    return {
        name: _wrapped(type.fields[name], value) if name in type.fields else value for name, value in document.items()
    }


def _wrapped(field: Field, value: Any) -> Any:
    if field.form == "integer" and field.wire == "int32" and value.__class__ is int:
        return (value + 2**31) % 2**32 - 2**31
    if field.form == "object" and field.type is not None and isinstance(value, dict):
        return wrapped(field.type, value)
    element = field.element
    if field.form == "list" and element is not None and isinstance(value, list):
        return [_wrapped(element, item) for item in value]
    if field.form == "map" and element is not None and isinstance(value, dict):
        return {name: _wrapped(element, item) for name, item in value.items()}
    return value


def restore_fault(type: Type, document: Any) -> str:
    """The first reason why the document cannot become an object of the type; "" if there is none."""
    if not isinstance(document, dict):
        return f"cannot restore struct from: {KINDS[document.__class__]}"
    for name, member in type.fields.items():
        if document.get(name) is not None and (fault := _fault(member, document[name])):
            return fault
    return ""


def _fault(field: Field, value: Any) -> str:
    if value is None:
        return ""
    if field.form in PARSED:
        return PARSED[field.form](value)
    if field.form == "object" and field.type is not None:
        return restore_fault(field.type, value)
    if field.form == "list" and field.element is not None:
        return _fault_in(field.element, value, list, value if isinstance(value, list) else ())
    if field.form == "map" and field.element is not None:
        return _fault_in(field.element, value, dict, value.values() if isinstance(value, dict) else ())
    return _scalar_fault(field, value) if field.form in (*GO_SCALARS, "integer") else ""


def _fault_in(element: Field, value: Any, container: type, items: Any) -> str:
    if not isinstance(value, container):
        return f"cannot restore {KINDS[container]} from {KINDS[value.__class__]}"
    return next(filter(None, (_fault(element, item) for item in items)), "")


def _scalar_fault(field: Field, value: Any) -> str:
    go_type = field.wire if field.form == "integer" else GO_SCALARS[field.form]
    if field.form in NUMBERS and value.__class__ in (int, float):
        whole = field.form == "number" or value == int(value)
        return "" if whole else f"cannot convert {type_name(value)} to {go_type}"
    if KINDS[value.__class__] == go_type:
        return ""
    if (value.__class__, field.form) in CONVERTIBLE:
        return f"cannot convert {type_name(value)} to {go_type}"
    return f"unrecognized type: {go_type}"


def _bytes_fault(value: Any) -> str:
    if not isinstance(value, str):
        # a list is restored item by item, of which none is a byte here
        return "unrecognized type: uint8" if isinstance(value, list) else f"cannot restore slice from {_kind(value)}"
    offset = base64_error(value)
    return "" if offset is None else f"error decoding from json: illegal base64 data at input byte {offset}"


def _kind(value: Any) -> str:
    return KINDS[value.__class__]


def _time_fault(parse: Callable[[str], object]) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        if not isinstance(value, str):
            return f"json: cannot unmarshal {json_kind(value)} into Go value of type string"
        try:
            parse(value)
        except times.TimeError as error:
            return str(error)
        return ""

    return fault


def _quantity_fault(value: Any) -> str:
    try:
        quantity.parse(value.strip(" \t\r\n") if isinstance(value, str) else str(value))
    except quantity.QuantityError as error:
        return str(error)
    return ""


def _intstr_fault(value: Any) -> str:
    if isinstance(value, str):
        return ""
    number = isinstance(value, int) and not isinstance(value, bool)
    if number and -(2**31) <= value < 2**31:
        return ""
    what = f"number {value}" if isinstance(value, int | float) and not isinstance(value, bool) else json_kind(value)
    return f"json: cannot unmarshal {what} into Go value of type int32"


PARSED: dict[str, Callable[[Any], str]] = {
    "time": _time_fault(times.canonical_time),
    "microtime": _time_fault(times.canonical_microtime),
    "duration": _time_fault(times.parse_duration),
    "quantity": _quantity_fault,
    "intstr": _intstr_fault,
    "bytes": _bytes_fault,
}
