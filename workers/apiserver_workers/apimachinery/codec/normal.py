"""Normalising: an object as Go would write it after reading it.

Go's structs forget what is zero: nulls vanish, and so do empty values of omitempty fields that are no pointers; fields
without omitempty and embedded structs are always there; quantities, times and base64 come out in their canonical form.
One pass does it all, guided by a plan a type: a table from JSON name to the step that converts the value. A step
returns None for what is left out. The pass only notices what is wrong; `explain` says where and in Go's words.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery import quantity, times
from apiserver_workers.apimachinery.types import Field, Type

# (value, names of unknown fields seen) -> the value as Go writes it, None: left out.
Step = Callable[[Any, list[str]], Any]

INT_LIMITS = {"int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1), "uint32": (0, 2**32 - 1)}

# Structs in Go: omitempty has no effect on them unless they are pointers.
_STRUCTS = frozenset({"object", "time", "microtime", "quantity", "intstr", "duration"})

# What Go writes for a field that was not set and has no omitempty.
_ZEROES = {"string": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "intstr": 0, "duration": "0s"}

# Element of a list or value of a map that was null.
_NULL_ELEMENTS = {**_ZEROES, "bytes": ""}


class Mismatch(Exception):
    """A value is not of the field's type."""


def normalise(type: Type, obj: dict[str, Any], unknown: list[str] | None = None) -> dict[str, Any]:
    """The object as Go would write it: a new dict, which may share unchanged leaves with the old one.

    The names of unknown fields, which are dropped, are added to `unknown`. Raises Mismatch when a value has another
    type than its field.
    """
    return plan(type)(obj, [] if unknown is None else unknown)


def plan(type: Type, *, own: bool = False) -> Step:
    """The step for objects of that type, compiled once; `own`: a kind reaches them by structs alone."""
    own = own or type.is_object
    step: Step | None = type.compiled.get((plan, own))
    if step is None:
        step = type.compiled[plan, own] = _object(type, own)
    return step


def _object(type: Type, own: bool) -> Step:
    table: dict[str, Step] = {}
    always: list[tuple[str, Any]] = []
    compiled = False

    def compile() -> None:
        # On first use, because types are recursive.
        nonlocal compiled
        for name, member in type.fields.items():
            table[name] = _own_step(member) if own else field_step(member)
            if is_always_written(member):
                always.append((name, _zero(member)))
        compiled = True

    def run(value: Any, unknown: list[str]) -> dict[str, Any]:
        if value.__class__ is not dict:
            raise Mismatch
        if not compiled:
            compile()
        out = {}
        for key, item in value.items():
            step = table.get(key)
            if step is None:
                unknown.append(key)
            elif item is not None:
                item = step(item, unknown)
                if item is not None:
                    out[key] = item
        for key, zero in always:
            if key not in out:
                out[key] = zero({}, unknown) if callable(zero) else zero
        return out

    return run


def is_always_written(member: Field) -> bool:
    """Whether Go writes the field even when it was not set."""
    if not member.omitempty:
        return True
    is_struct = member.form in _STRUCTS or member.wire.endswith(("runtime.RawExtension", ".v1.JSON"))
    return is_struct and not member.pointer and not member.omitzero


def _zero(member: Field) -> Any:
    """What Go writes for an unset field: a value, or for a struct the plan that makes it."""
    if member.pointer:
        return None
    if member.form == "object" and member.type is not None:
        return plan(member.type)
    return _ZEROES.get(member.form)


def field_step(member: Field) -> Step:
    """The step for a field, or for a list's or map's values."""
    if member.form == "object" and member.type is not None:
        return plan(member.type)
    if member.form in _CONTAINERS and member.element is not None:
        return _CONTAINERS[member.form](member, member.element)
    if member.form == "integer":
        return _integer(member)
    if member.form in _CONVERSIONS:
        return _CONVERSIONS[member.form]
    if member.wire.rpartition(".")[2] in _SCHEMA_UNIONS:
        return _schema_union(member)
    dropped = member.omitempty and not member.pointer
    return _scalar(member.form, dropped=dropped)


def _own_step(member: Field) -> Step:
    """The step for a field of a kind's own structs."""
    if member.form == "object" and member.type is not None:
        return plan(member.type, own=True)
    step = field_step(member)
    return _keeping_empty(step) if member.form == "list" and not member.omitempty else step


def _scalar(form: str, *, dropped: bool) -> Step:
    """Strings, booleans and raw values, whose zero value vanishes when `dropped`."""
    if form == "raw":
        return lambda value, unknown: value
    expected = {"string": str, "boolean": bool}.get(form)

    def run(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is not expected:
            raise Mismatch
        return value

    def run_or_drop(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is not expected:
            raise Mismatch
        return value or None

    if form == "bytes":
        return _bytes_or_drop if dropped else _bytes
    return run_or_drop if dropped else run


def _integer(member: Field) -> Step:
    low, high = INT_LIMITS[member.wire]
    zero = None if member.omitempty and not member.pointer else 0

    def run(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is not int or not low <= value <= high:
            raise Mismatch
        return value or zero

    return run


def _element_step(element: Field) -> Step:
    """The step for an element, which Go sets to its zero value when it is null."""
    step = field_step(element)
    if element.form in ("raw", "time", "microtime", "list", "map"):
        return lambda value, unknown: None if value is None else step(value, unknown)
    null: Any = _NULL_ELEMENTS.get(element.form, {})
    return lambda value, unknown: step(null if value is None else value, unknown)


def _list(member: Field, element: Field) -> Step:
    step = _element_step(element)
    plain = element.form == "string"

    def run(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is not list:
            raise Mismatch
        if not value:
            return None
        if plain and all(item.__class__ is str for item in value):
            return value
        return [step(item, unknown) for item in value]

    return run


def _keeping_empty(step: Step) -> Step:
    """A list of a kind or its spec that Go always writes: an empty one is told from none until it is stored."""

    def run(value: Any, unknown: list[str]) -> Any:
        return [] if value == [] else step(value, unknown)

    return run


def _map(member: Field, element: Field) -> Step:
    step = _element_step(element)
    plain = element.form == "string"

    def run(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is not dict:
            raise Mismatch
        if not value:
            return None
        if plain and all(item.__class__ is str for item in value.values()):
            return value
        return {key: step(item, unknown) for key, item in value.items()}

    return run


def is_byte(value: Any) -> bool:
    return value.__class__ is int and 0 <= value < 256


def _bytes(value: Any, unknown: list[str]) -> str:
    if value.__class__ is list:
        return _bytes_of_numbers(value)
    if value.__class__ is not str:
        raise Mismatch
    try:
        data = binascii.a2b_base64(value, strict_mode=True)
    except ValueError:
        data = lenient_base64(value)
    return binascii.b2a_base64(data, newline=False).decode()


def _bytes_of_numbers(value: list[Any]) -> str:
    """Go takes a list of numbers, too; null leaves a zero."""
    numbers = [0 if item is None else item for item in value]
    if not all(map(is_byte, numbers)):
        raise Mismatch
    return binascii.b2a_base64(bytes(numbers), newline=False).decode()


def _bytes_or_drop(value: Any, unknown: list[str]) -> str | None:
    return _bytes(value, unknown) or None


def lenient_base64(text: str) -> bytes:
    """Base64 as Go decodes it: line breaks and surplus bits are ignored. Raises Mismatch."""
    text = text.replace("\r", "").replace("\n", "")
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        pass
    if base64_error(text) is not None:
        raise Mismatch
    return binascii.a2b_base64(text)


_BASE64 = re.compile(r"[A-Za-z0-9+/\r\n]*")


def base64_error(text: str) -> int | None:
    """The offset at which Go finds the base64 to be illegal, or None."""
    end = _BASE64.match(text).end()  # type: ignore[union-attr]
    digits = len(text[:end].replace("\r", "").replace("\n", "")) % 4
    rest = text[end:].replace("\r", "").replace("\n", "")
    if not rest:
        return end - digits if digits else None
    padding = "=" * (4 - digits) if digits > 1 else ""
    if rest == padding:
        return None
    if not padding or not rest.startswith("="):
        return end
    if padding.startswith(rest):
        return len(text)
    return end if len(padding) == 2 and rest[1] != "=" else end + len(padding)


def _number(value: Any, unknown: list[str]) -> Any:
    if value.__class__ is int:
        return value
    if value.__class__ is not float:
        raise Mismatch
    return int(value) if value.is_integer() and abs(value) < 1e21 else value


def _quantity(value: Any, unknown: list[str]) -> str:
    if value.__class__ is not str:
        if value.__class__ not in (int, float):
            raise Mismatch
        value = repr(value)
    try:
        return quantity.canonical(value)
    except quantity.QuantityError:
        pass
    try:
        return quantity.canonical(value.strip(" \t\r\n"))
    except quantity.QuantityError:
        raise Mismatch from None


def _timestamp(convert: Callable[[str], str]) -> Step:
    def run(value: Any, unknown: list[str]) -> str | None:
        if value.__class__ is not str:
            raise Mismatch
        try:
            text = convert(value)
        except times.TimeError:
            raise Mismatch from None
        return None if text[:4] == "0001" and text.startswith(times.ZERO_TIME[:19]) else text

    return run


def _duration(value: Any, unknown: list[str]) -> str:
    if value.__class__ is not str:
        raise Mismatch
    try:
        return times.format_duration(times.parse_duration(value))
    except times.TimeError:
        raise Mismatch from None


def _intstr(value: Any, unknown: list[str]) -> int | str:
    if value.__class__ is str or (value.__class__ is int and -(2**31) <= value < 2**31):
        return value
    raise Mismatch


def _schema_union(member: Field) -> Step:
    """A schema, or something simpler, where an OpenAPI schema may hold either."""
    simple = _SCHEMA_UNIONS[member.wire.rpartition(".")[2]]

    def run(value: Any, unknown: list[str]) -> Any:
        if value.__class__ is dict and member.type is not None:
            return plan(member.type)(value, [])
        if value.__class__ is list and simple is list and member.type is not None:
            step = plan(member.type)
            return [step(item, []) if item.__class__ is dict else item for item in value]
        return value

    return run


_CONTAINERS: dict[str, Callable[[Field, Field], Step]] = {"list": _list, "map": _map}
_CONVERSIONS: dict[str, Step] = {
    "number": _number,
    "quantity": _quantity,
    "time": _timestamp(times.canonical_time),
    "microtime": _timestamp(times.canonical_microtime),
    "duration": _duration,
    "intstr": _intstr,
}
_SCHEMA_UNIONS = {"JSONSchemaPropsOrBool": bool, "JSONSchemaPropsOrArray": list, "JSONSchemaPropsOrStringArray": str}
