"""HTTP/2 frames and header blocks as bytes (RFC 9113, RFC 7541), no I/O.

Requests are encoded without compression state, and we announce a header table of size 0, so that answers are too. A
header block's bytes then always mean the same, and decoding is a look-up: etcd's answers repeat a handful of blocks.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache

import hpack

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = range(1, 6)

NO_ERROR, REFUSED_STREAM, CANCEL = 0x0, 0x7, 0x8

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DEFAULT_WINDOW = 65535
DEFAULT_FRAME_SIZE = 16384
MAX_WINDOW = 2**31 - 1

frame_head = struct.Struct(">BHBBI")  # length (24 bits), type, flags, stream
message_head = struct.Struct(">BI")  # gRPC: compressed, length
word = struct.Struct(">I")
setting = struct.Struct(">HI")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    size = len(payload)
    return frame_head.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(setting.pack(*item) for item in values.items()))


def window_update(stream: int, credit: int) -> bytes:
    """A WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame(WINDOW_UPDATE, 0, stream, word.pack(credit))


def unpadded(payload: bytes, flags: int) -> bytes:
    """The content of a DATA or HEADERS payload without padding and priority fields."""
    if flags & PADDED:
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if flags & PRIORITISED else payload


def request_block(path: str, authority: str, *, secure: bool, metadata: Iterable[tuple[str, str]] = ()) -> bytes:
    """The header block of a gRPC request: literals only, so it is the same on every connection."""
    fields = (
        (":path", path),
        (":authority", authority),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *metadata,
    )
    pseudo = b"\x83\x87" if secure else b"\x83\x86"  # static table: POST and the scheme
    return pseudo + b"".join(_literal(name.encode(), value.encode()) for name, value in fields)


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def _length(size: int) -> bytes:
    """An HPACK integer with a 7-bit prefix."""
    if size < 127:
        return bytes((size,))
    size -= 127
    encoded = bytearray((127,))
    while size >= 128:
        encoded.append(size & 127 | 128)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)


@lru_cache(maxsize=512)
def decode_block(block: bytes) -> dict[str, str]:
    """An answer's headers. Raises hpack.HPACKError when the block refers to a state that we do not keep."""
    return {str(name): str(value) for name, value in hpack.Decoder().decode(block)}
