"""`application/vnd.kubernetes.protobuf`: objects to messages and back, as Go's generated code writes them.

An object travels in an envelope: four bytes of magic and a runtime.Unknown that says what it is. Encoding is exact:
fields ascend by number, what is no pointer in Go is written even when it is zero, maps are sorted. Both ways are
compiled once a type from the type model; a watch frame is a WatchEvent behind its length.
"""

from __future__ import annotations

import struct
from typing import Any

import orjson

from apiserver_workers.apimachinery.protobuf.decoder import decoder
from apiserver_workers.apimachinery.protobuf.encoder import encoder
from apiserver_workers.apimachinery.protobuf.wire import BYTES, ProtobufError, as_bytes, split, tagged, text
from apiserver_workers.apimachinery.types import Type

__all__ = [
    "MAGIC",
    "ProtobufError",
    "decode_message",
    "decode_object",
    "encode_message",
    "encode_object",
    "encode_watch_event",
    "open_envelope",
]

MAGIC = b"k8s\x00"


def encode_object(type: Type, obj: dict[str, Any]) -> bytes:
    """An object with its envelope."""
    meta = tagged(1, BYTES, str(obj.get("apiVersion", "")).encode())
    meta += tagged(2, BYTES, str(obj.get("kind", "")).encode())
    message = encode_message(type, obj)
    return b"".join((MAGIC, tagged(1, BYTES, meta), tagged(2, BYTES, message), b"\x1a\x00\x22\x00"))


def decode_object(type: Type, body: bytes) -> dict[str, Any]:
    """The object in an envelope, not normalised. Raises ProtobufError."""
    api_version, kind, message = open_envelope(body)
    return {"kind": kind, "apiVersion": api_version, **decode_message(type, message)}


def open_envelope(body: bytes) -> tuple[str, str, bytes]:
    """apiVersion, kind and message of an envelope. Raises ProtobufError with upstream's message."""
    if body[:4] != MAGIC:
        expected = " ".join(str(byte) for byte in MAGIC)
        if not body:
            raise ProtobufError("empty data")
        raise ProtobufError(f"provided data does not appear to be a protobuf message, expected prefix [{expected}]")
    parts = dict(split(body[4:], "Unknown"))
    meta = dict(split(as_bytes(parts.get(1, b"")), "TypeMeta"))
    return text(meta.get(1, b"")), text(meta.get(2, b"")), as_bytes(parts.get(2, b""))


def encode_watch_event(event: str, body: bytes) -> bytes:
    """A frame of a watch stream: the event's type and the object with its envelope, behind their length."""
    message = tagged(1, BYTES, event.encode()) + tagged(2, BYTES, tagged(1, BYTES, body))
    return struct.pack(">I", len(message)) + message


def encode_message(type: Type, obj: dict[str, Any]) -> bytes:
    """An object's message without envelope."""
    return encoder(type)(obj)


def decode_message(type: Type, message: bytes) -> dict[str, Any]:
    """The object of a message, not normalised. Raises ProtobufError."""
    try:
        return decoder(type)(message)
    except (IndexError, struct.error, UnicodeDecodeError, OverflowError, orjson.JSONDecodeError):
        raise ProtobufError("unexpected EOF") from None
    except RecursionError:
        raise ProtobufError("exceeded max depth") from None
