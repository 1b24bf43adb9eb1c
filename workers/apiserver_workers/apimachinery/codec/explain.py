"""What is wrong with an object, where, and in Go's words.

Runs only when the normalising pass has noticed something: it walks the same object in the order of the document, with
the paths that Go's decoder keeps. Wrong types are remembered and the first one is the error; a value that a Go type
decodes by itself (times, quantities) ends the walk at once. Unknown and repeated fields are the strict errors.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from apiserver_workers.apimachinery import quantity, times
from apiserver_workers.apimachinery.codec.jsontext import Pairs
from apiserver_workers.apimachinery.codec.normal import INT_LIMITS, base64_error, is_byte
from apiserver_workers.apimachinery.types import Field, Type

# Upstream stops counting there.
_MOST_STRICT_ERRORS = 100

# Facts of the Go source that schemas do not tell: types with names of their own, and embedded structs.
GO_TYPES = Path(__file__).parent.parent / "data" / "go_types.json"
_GO_TYPES = {"boolean": "bool", "number": "float64", "bytes": "[]uint8", "string": "string", "raw": "interface {}"}


class _Abort(Exception):
    """A type's own decoder failed: nothing after it is looked at."""


class Explanation:
    """`error`: why the object cannot be decoded, or None; `strict`: its unknown and repeated fields, in order."""

    def __init__(self) -> None:
        self.error: str | None = None
        self._strict: dict[str, None] = {}

    @property
    def strict(self) -> list[str]:
        return list(self._strict)[:_MOST_STRICT_ERRORS]

    def repeated(self, path: str) -> None:
        self._strict.setdefault(f'duplicate field "{path}"')

    def unknown(self, path: str) -> None:
        self._strict.setdefault(f'unknown field "{path}"')

    def wrong(self, message: str) -> None:
        self.error = self.error or message


def explain(type: Type, value: Any) -> Explanation:
    """Everything that Go's decoder would say of a value that is to become an object of the type."""
    explanation = Explanation()
    try:
        _object(type, value, "", (), explanation)
    except _Abort as abort:
        explanation.error = str(abort)
    return explanation


def _object(type: Type, value: Any, path: str, names: tuple[str, ...], found: Explanation) -> None:
    seen = set()
    for key, item in _items(value):
        here = f"{path}.{key}" if path else key
        member = type.fields.get(key)
        if member is None:
            found.unknown(here)
            continue
        if key in seen:
            found.repeated(here)
        seen.add(key)
        if item is not None:
            inner = (*names, *embedded_in(type.name, key), key)
            _Walk(type.short_name, inner, found).value(member, item, here, named_type(type.name, key))


class _Walk:
    """One field of a struct: its values share what Go's messages call them."""

    def __init__(self, struct: str, names: tuple[str, ...], found: Explanation) -> None:
        self.names = names
        self.found = found
        self.go_field = f"{struct}.{'.'.join(names)}"

    def value(self, member: Field, value: Any, path: str, named: str = "") -> None:
        """`named` is the Go type of the field if names of types other than structs are part of it."""
        if member.form in _OWN_DECODERS:
            _OWN_DECODERS[member.form](self, value)
        elif member.form == "object" and member.type is not None:
            if self._is(value, (dict, Pairs), member, named):
                _object(member.type, value, path, self.names, self.found)
        elif member.form == "list" and member.element is not None:
            if self._is(value, (list,), member, named):
                for index, item in enumerate(value):
                    if item is not None:
                        self.value(member.element, item, f"{path}[{index}]", _inner_type(named))
        elif member.form == "map" and member.element is not None:
            if self._is(value, (dict, Pairs), member, named):
                self._map(member.element, value, path, _inner_type(named))
        elif member.form == "bytes" and isinstance(value, list):
            self._byte_list(value)
        elif member.form in _SCALARS:
            self._scalar(member, value, named)

    def _map(self, element: Field, value: Any, path: str, named: str) -> None:
        seen = set()
        for key, item in _items(value):
            if key in seen:
                self.found.repeated(f"{path}.{key}")
            seen.add(key)
            if item is not None:
                self.value(element, item, f"{path}.{key}", named)

    def _byte_list(self, value: list[Any]) -> None:
        """Bytes may be a list of numbers."""
        for item in value:
            if item is not None and not is_byte(item):
                kind = f"number {item}" if json_kind(item) == "number" else json_kind(item)
                self.found.wrong(self.mismatch(kind, "uint8"))

    def _scalar(self, member: Field, value: Any, named: str) -> None:
        if not self._is(value, _SCALARS[member.form], member, named):
            return
        if member.form == "bytes":
            offset = base64_error(value)
            if offset is not None:
                self.found.wrong(f"illegal base64 data at input byte {offset}")
        elif member.form == "integer":
            low, high = INT_LIMITS[member.wire]
            if value.__class__ is float or not low <= value <= high:
                self.found.wrong(self.mismatch(f"number {value}", go_type(member)))

    def _is(self, value: Any, classes: tuple[type, ...], member: Field, named: str) -> bool:
        if value.__class__ in classes:
            return True
        self.found.wrong(self.mismatch(json_kind(value), named or go_type(member)))
        return False

    def mismatch(self, kind: str, go_type: str) -> str:
        return f"json: cannot unmarshal {kind} into Go struct field {self.go_field} of type {go_type}"


@functools.cache
def _go_names() -> dict[str, dict[str, dict[str, str]]]:
    facts: dict[str, dict[str, dict[str, str]]] = orjson.loads(GO_TYPES.read_bytes())
    return facts


def named_type(definition: str, field: str) -> str:
    """The Go type of a field that has a name of its own (`[]v1.FinalizerName`), "" of all others."""
    return _go_names().get(definition, {}).get("types", {}).get(field, "")


def embedded_in(definition: str, field: str) -> list[str]:
    """The embedded structs that a field lies in, which are part of its path in messages."""
    chain = _go_names().get(definition, {}).get("embedded", {}).get(field, "")
    return chain.split(".") if chain else []


def _inner_type(named: str) -> str:
    """The Go type of the elements of a list or map."""
    opening, _, element = named.partition("]")
    return element.removeprefix("*") if opening in ("[", "map[string") or opening.startswith("map[") else ""


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value if isinstance(value, Pairs) else value.items()


def json_kind(value: Any) -> str:
    """What Go's messages call a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "object" if isinstance(value, dict | Pairs) else "array"


def go_type(member: Field) -> str:
    """The Go type of a field that has no named string, list or map in it."""
    if member.form == "object" and member.type is not None:
        return member.type.go_name
    if member.form == "integer":
        return member.wire
    if member.element is not None:
        if member.form == "map" and member.element.form == "quantity":
            return "v1.ResourceList"
        return ("[]" if member.form == "list" else "map[string]") + go_type(member.element)
    if member.form in _GO_TYPES:
        return _GO_TYPES[member.form]
    return ".".join(member.wire.rsplit(".", 2)[1:])


def _time(walk: _Walk, value: Any) -> None:
    _parsed(walk, value, times.canonical_time)


def _microtime(walk: _Walk, value: Any) -> None:
    _parsed(walk, value, times.canonical_microtime)


def _duration(walk: _Walk, value: Any) -> None:
    _parsed(walk, value, times.parse_duration)


def _parsed(walk: _Walk, value: Any, parse: Any) -> None:
    if not isinstance(value, str):
        raise _Abort(walk.mismatch(json_kind(value), "string"))
    try:
        parse(value)
    except times.TimeError as error:
        raise _Abort(str(error)) from None


def _quantity(walk: _Walk, value: Any) -> None:
    try:
        quantity.parse(value.strip(" \t\r\n") if isinstance(value, str) else str(value))
    except quantity.QuantityError as error:
        raise _Abort(str(error)) from None


def _intstr(walk: _Walk, value: Any) -> None:
    if isinstance(value, str):
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Abort(walk.mismatch(json_kind(value), "int32"))
    if isinstance(value, float) or not -(2**31) <= value < 2**31:
        raise _Abort(walk.mismatch(f"number {value}", "int32"))


_OWN_DECODERS = {
    "time": _time,
    "microtime": _microtime,
    "duration": _duration,
    "quantity": _quantity,
    "intstr": _intstr,
}
_SCALARS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "bytes": (str,),
    "boolean": (bool,),
    "integer": (int, float),
    "number": (int, float),
}
