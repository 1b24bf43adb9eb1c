"""From objects to messages, exactly as Go's generated code writes them."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from apiserver_workers.apimachinery import times
from apiserver_workers.apimachinery.memo import memoized
from apiserver_workers.apimachinery.protobuf.wire import BYTES, DOUBLE, VARINT, tagged, varint
from apiserver_workers.apimachinery.types import Field, Type, once_per_type

# A value's bytes on the wire, without its tag.
Encoder = Callable[[Any], bytes]

RAW_MESSAGES = ("RawExtension", "FieldsV1", "JSON")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@once_per_type
def encoder(type: Type) -> Encoder:
    """What writes messages of the type, compiled once."""
    writers: list[tuple[str, bytes, str, Encoder, bytes | None]] = []
    compiled = False

    def compile() -> None:
        nonlocal compiled
        for member, inline in sorted(type.members, key=lambda entry: entry[0].number):
            if member.number:
                writers.append(_writer(member, inline))
        compiled = True

    def run(obj: Any) -> bytes:
        if not compiled:
            compile()
        parts: list[bytes] = []
        for name, tag, shape, encode, zero in writers:
            value = obj if shape == "inline" else obj.get(name)
            if value is None:
                if zero is not None:
                    parts.append(zero)
            elif shape == "bytes" or shape == "inline":
                data = encode(value)
                parts += (tag, varint(len(data)), data)
            elif shape == "scalar":
                parts += (tag, encode(value))
            elif shape == "list":
                for item in value:
                    data = encode(item)
                    parts += (tag, varint(len(data)), data)
            elif shape == "scalars":
                for item in value:
                    parts += (tag, encode(item))
            else:
                for key in sorted(value):
                    entry = tagged(1, BYTES, key.encode()) + encode(value[key])
                    parts += (tag, varint(len(entry)), entry)
        return b"".join(parts)

    return run


def _writer(member: Field, inline: bool) -> tuple[str, bytes, str, Encoder, bytes | None]:
    """How a field is written: its name, tag, shape, encoder, and what stands for it when it is absent."""
    if inline and member.type is not None:
        return "", varint(member.number << 3 | BYTES), "inline", encoder(member.type), None
    if member.form in ("list", "map") and member.element is not None and not member.wire:
        wire_type, encode = _value(member.element)
        if member.form == "map":
            return member.name, varint(member.number << 3 | BYTES), "map", _map_value(wire_type, encode), None
        shape = "list" if wire_type == BYTES else "scalars"
        return member.name, varint(member.number << 3 | wire_type), shape, encode, None
    wire_type, encode = _value(member)
    tag = varint(member.number << 3 | wire_type)
    zero = None
    if not member.pointer and member.form not in ("bytes", "list") and not _is_pointer_in_go(member):
        data = encode(_ZEROES.get(member.form, {}))
        zero = tag + (varint(len(data)) + data if wire_type == BYTES else data)
    return member.name, tag, "bytes" if wire_type == BYTES else "scalar", encode, zero


_ZEROES: dict[str, Any] = {
    **dict.fromkeys(("integer", "number", "boolean", "intstr"), 0),
    **dict.fromkeys(("time", "microtime", "raw")),
    "string": "",
    "quantity": "0",
    "duration": "0s",
}


def _is_pointer_in_go(member: Field) -> bool:
    """Raw values of an absent field: the struct around the bytes is written empty, unless it is a pointer."""
    return member.form == "raw" and member.pointer


def _map_value(wire_type: int, encode: Encoder) -> Encoder:
    def run(value: Any) -> bytes:
        return tagged(2, wire_type, encode(value))

    return run


def _value(member: Field) -> tuple[int, Encoder]:
    """The wire type of a single value and how to write it."""
    if member.form == "object" and member.type is not None:
        return BYTES, encoder(member.type)
    if member.form == "list":
        return BYTES, _encode_strings
    if member.form == "raw":
        return BYTES, _union_encoder(member) or _encode_raw
    return _SCALAR_ENCODERS[member.form]


def _encode_strings(value: list[str]) -> bytes:
    return b"".join(tagged(1, BYTES, item.encode()) for item in value)


def _encode_raw(value: Any) -> bytes:
    return b"" if value is None else tagged(1, BYTES, orjson.dumps(value))


def _union_encoder(member: Field) -> Encoder | None:
    """A schema or something simpler; None when the field is just raw JSON."""
    if member.wire.rpartition(".")[2] in RAW_MESSAGES or member.type is None:
        return None
    schema = encoder(member.type)

    def run(value: Any) -> bytes:
        if isinstance(value, dict):
            # OrBool: `allows` comes first and is true beside a schema.
            allows = b"\x08\x01" if member.wire.endswith("OrBool") else b""
            return allows + tagged(2 if allows else 1, BYTES, schema(value))
        if isinstance(value, bool):
            return b"\x08\x01" if value else b"\x08\x00"
        items = value if isinstance(value, list) else []
        return b"".join(tagged(2, BYTES, item.encode() if isinstance(item, str) else schema(item)) for item in items)

    return run


def _encode_bool(value: Any) -> bytes:
    return b"\x01" if value else b"\x00"


def _encode_text(value: Any) -> bytes:
    return value.encode()


def _encode_base64(value: Any) -> bytes:
    return base64.b64decode(value or "")


def _encode_double(value: Any) -> bytes:
    return struct.pack("<d", value)


@memoized
def _encode_time(value: Any) -> bytes:
    if not value:
        return b""
    moment = times.parse(value, times.RFC3339)
    seconds, rest = divmod(moment - _EPOCH, timedelta(seconds=1))
    return b"\x08" + varint(seconds) + b"\x10" + varint(rest.microseconds * 1000)


def _encode_quantity(value: Any) -> bytes:
    return tagged(1, BYTES, str(value).encode())


def _encode_duration(value: Any) -> bytes:
    return b"\x08" + varint(times.parse_duration(value))


def _encode_intstr(value: Any) -> bytes:
    if isinstance(value, str):
        return b"\x08\x01\x10\x00" + tagged(3, BYTES, value.encode())
    return b"\x08\x00\x10" + varint(value) + b"\x1a\x00"


_SCALAR_ENCODERS: dict[str, tuple[int, Encoder]] = {
    "string": (BYTES, _encode_text),
    "bytes": (BYTES, _encode_base64),
    "boolean": (VARINT, _encode_bool),
    "integer": (VARINT, varint),
    "number": (DOUBLE, _encode_double),
    "time": (BYTES, _encode_time),
    "microtime": (BYTES, _encode_time),
    "duration": (BYTES, _encode_duration),
    "quantity": (BYTES, _encode_quantity),
    "intstr": (BYTES, _encode_intstr),
}
