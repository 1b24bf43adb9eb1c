"""From messages to objects, which are not normalised yet."""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from apiserver_workers.apimachinery import times
from apiserver_workers.apimachinery.memo import Memo
from apiserver_workers.apimachinery.protobuf.encoder import RAW_MESSAGES
from apiserver_workers.apimachinery.protobuf.wire import as_bytes, signed, split, text
from apiserver_workers.apimachinery.types import Field, Type, once_per_type

# A value from its varint or its bytes.
Decoder = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@once_per_type
def decoder(type: Type) -> Decoder:
    """What reads messages of the type, compiled once."""
    readers: dict[int, tuple[str, str, Decoder]] = {}
    compiled = False

    def compile() -> None:
        nonlocal compiled
        for member, inline in type.members:
            if member.number:
                readers[member.number] = _reader(member, inline)
        compiled = True

    def run(message: Any) -> dict[str, Any]:
        if not compiled:
            compile()
        out: dict[str, Any] = {}
        for number, value in split(as_bytes(message), type.short_name):
            reader = readers.get(number)
            if reader is None:
                continue
            name, shape, decode = reader
            if shape == "single":
                out[name] = decode(value)
            elif shape == "list":
                out.setdefault(name, []).append(decode(value))
            elif shape == "inline":
                out.update(decode(value))
            else:
                key, item = decode(value)
                out.setdefault(name, {})[key] = item
        return out

    return run


def _reader(member: Field, inline: bool) -> tuple[str, str, Decoder]:
    if inline and member.type is not None:
        return "", "inline", decoder(member.type)
    if member.form in ("list", "map") and member.element is not None and not member.wire:
        decode = _value_decoder(member.element)
        if member.form == "list":
            return member.name, "list", decode
        return member.name, "map", _entry_decoder(member.element, decode)
    return member.name, "single", _value_decoder(member)


def _entry_decoder(element: Field, decode: Decoder) -> Decoder:
    absent: Any = 0 if element.form in ("integer", "boolean") else b""

    def run(value: Any) -> tuple[str, Any]:
        parts = dict(split(as_bytes(value), "MapEntry"))
        return text(parts.get(1, b"")), decode(parts.get(2, absent))

    return run


def _value_decoder(member: Field) -> Decoder:
    if member.form == "object" and member.type is not None:
        return decoder(member.type)
    if member.form == "list":
        return _decode_strings
    if member.form == "raw":
        return _union_decoder(member) or _decode_raw
    return _SCALAR_DECODERS[member.form]


def _decode_strings(value: Any) -> list[str]:
    return [text(item) for number, item in split(as_bytes(value), "Items") if number == 1]


def _decode_raw(value: Any) -> Any:
    raw = dict(split(as_bytes(value), "RawExtension")).get(1, b"")
    return orjson.loads(raw) if raw else None


def _union_decoder(member: Field) -> Decoder | None:
    name = member.wire.rpartition(".")[2]
    if name in RAW_MESSAGES or member.type is None:
        return None
    schema = decoder(member.type)

    def run(value: Any) -> Any:
        parts = split(as_bytes(value), name)
        if name == "JSONSchemaPropsOrBool":
            found = dict(parts)
            return schema(found[2]) if 2 in found else bool(found.get(1, 0))
        many = schema if name == "JSONSchemaPropsOrArray" else text
        items = [many(item) for number, item in parts if number == 2]
        return items or next((schema(item) for number, item in parts if number == 1), None)

    return run


def _decode_time(value: Any) -> str | None:
    return _moment(value, "%Y-%m-%dT%H:%M:%SZ", 20)


def _decode_microtime(value: Any) -> str | None:
    return _moment(value, "%Y-%m-%dT%H:%M:%S.%fZ", 27)


def _moment(value: Any, layout: str, width: int) -> str | None:
    return _moments[value, layout, width]


def _read_moment(written: tuple[Any, str, int]) -> str | None:
    value, layout, width = written
    if not as_bytes(value):
        return None
    parts = dict(split(value, "Timestamp"))
    seconds, nanos = signed(parts.get(1, 0)), signed(parts.get(2, 0))
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1000)
    return moment.strftime(layout).rjust(width, "0")


_moments = Memo(_read_moment)


def _decode_quantity(value: Any) -> str:
    return text(dict(split(as_bytes(value), "Quantity")).get(1, b"0"))


def _decode_duration(value: Any) -> str:
    return times.format_duration(signed(dict(split(as_bytes(value), "Duration")).get(1, 0)))


def _decode_intstr(value: Any) -> int | str:
    parts = dict(split(as_bytes(value), "IntOrString"))
    return text(parts.get(3, b"")) if parts.get(1) else signed(parts.get(2, 0))


def _decode_double(value: Any) -> float:
    return struct.unpack("<d", as_bytes(value))[0]


def _decode_base64(value: Any) -> str:
    return binascii.b2a_base64(as_bytes(value), newline=False).decode()


_SCALAR_DECODERS: dict[str, Decoder] = {
    "string": text,
    "bytes": _decode_base64,
    "boolean": bool,
    "integer": signed,
    "number": _decode_double,
    "time": _decode_time,
    "microtime": _decode_microtime,
    "duration": _decode_duration,
    "quantity": _decode_quantity,
    "intstr": _decode_intstr,
}
