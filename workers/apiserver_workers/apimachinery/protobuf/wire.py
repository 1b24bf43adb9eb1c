"""Protobuf's wire format: varints, tags, and the fields of a message."""

from __future__ import annotations

from typing import Any

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5


class ProtobufError(ValueError):
    """The bytes are no message of the type."""


def varint(value: int) -> bytes:
    if 0 <= value < 128:
        return _SMALL[value]
    value &= 2**64 - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


_SMALL = [bytes((value,)) for value in range(128)]


def tagged(number: int, wire_type: int, data: bytes) -> bytes:
    head = varint(number << 3 | wire_type)
    return head + varint(len(data)) + data if wire_type == BYTES else head + data


def split(data: bytes, name: str) -> list[tuple[int, Any]]:
    """The fields of a message: number and varint or bytes. Raises ProtobufError."""
    out = []
    position, end = 0, len(data)
    try:
        while position < end:
            tag = data[position]
            position += 1
            if tag > 127:
                tag, position = _long_varint(data, position - 1)
            wire_type = tag & 7
            if tag < 8:
                raise ProtobufError(f"proto: {name}: illegal tag {tag >> 3} (wire type {tag})")
            value: Any
            if wire_type == BYTES:
                length = data[position]
                position += 1
                if length > 127:
                    length, position = _long_varint(data, position - 1)
                stop = position + length
                if stop > end:
                    raise ProtobufError("unexpected EOF")
                value, position = data[position:stop], stop
            elif wire_type == VARINT:
                value = data[position]
                position += 1
                if value > 127:
                    value, position = _long_varint(data, position - 1)
            elif wire_type in (DOUBLE, FLOAT):
                stop = position + (8 if wire_type == DOUBLE else 4)
                if stop > end:
                    raise ProtobufError("unexpected EOF")
                value, position = data[position:stop], stop
            else:
                raise ProtobufError(f"proto: illegal wireType {wire_type}")
            out.append((tag >> 3, value))
    except IndexError:
        raise ProtobufError("unexpected EOF") from None
    return out


def _long_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
        if shift > 63:
            raise ProtobufError("proto: integer overflow")


def as_bytes(value: Any) -> bytes:
    if value.__class__ is not bytes:
        raise ProtobufError("proto: wrong wireType = 0")
    return value


def text(value: Any) -> str:
    return as_bytes(value).decode("utf-8", "replace")


def signed(value: Any) -> int:
    if value.__class__ is not int:
        raise ProtobufError("proto: wrong wireType = 2")
    return value - 2**64 if value >= 2**63 else value
