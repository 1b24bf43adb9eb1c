"""SPDY/3.1, the client's side without I/O, as far as kubelets' streams need it: streams are opened, fed and read."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

PROTOCOL = "SPDY/3.1"
SYN_STREAM, SYN_REPLY, RST_STREAM, PING = 1, 2, 3, 6
DATA = 0
FIN = 1
VERSION = 0x8003  # the control bit, and version 3
MAX_PIECE = 1 << 20
MAX_CONTROL = 1 << 20

WORDS = """options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age
allow authorization cache-control connection content-base content-encoding content-language content-length
content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since
if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate
proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning
www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin"""
REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,"
    "publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _word(word: str) -> bytes:
    text = word.replace("_", " ").encode()
    return struct.pack(">I", len(text)) + text


# What both sides' compression of headers begins with.
DICTIONARY = b"".join(map(_word, WORDS.split())) + REST.encode()


class SpdyError(Exception):
    """What came is no SPDY/3.1."""


class Session:
    """One connection: makes the frames that the client sends, and takes the server's apart."""

    def __init__(self) -> None:
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self._next = 1
        self._buffer = bytearray()
        self._left = -1  # of the present data frame; -1 between frames
        self._stream = 0  # 0 in a control frame
        self._kind = DATA
        self._flags = 0

    def open(self, headers: dict[str, str]) -> tuple[int, bytes]:
        """A new stream's number, and the frame that opens it."""
        number, self._next = self._next, self._next + 2
        block = struct.pack(">I", len(headers)) + b"".join(_text(text) for pair in headers.items() for text in pair)
        packed = self._deflate.compress(block) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return number, control(SYN_STREAM, struct.pack(">IIBB", number, 0, 0, 0) + packed)

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes, bool]]:
        """(kind, stream, payload, whether the stream ends): data in pieces, of control frames RST_STREAM and PING.

        Raises SpdyError.
        """
        self._buffer += data
        while self._left >= 0 or self._begin():
            if self._stream:
                if self._left and not self._buffer:
                    return
                piece = bytes(self._buffer[: self._left])
                del self._buffer[: len(piece)]
                self._left -= len(piece)
                ended = not self._left
                yield DATA, self._stream, piece, ended and bool(self._flags & FIN)
                if ended:
                    self._left = -1
            elif len(self._buffer) < self._left:
                return
            else:
                payload = bytes(self._buffer[: self._left])
                del self._buffer[: self._left]
                self._left = -1
                yield from self._control(payload)

    def _begin(self) -> bool:
        if len(self._buffer) < 8:
            return False
        first, self._flags = struct.unpack_from(">IB", self._buffer)
        self._left = int.from_bytes(self._buffer[5:8], "big")
        self._stream, self._kind = (0, first & 0xFFFF) if first >> 31 else (first, DATA)
        if first >> 31 and (first >> 16 != VERSION or self._left > MAX_CONTROL):
            raise SpdyError("malformed control frame")
        if not first:
            raise SpdyError("data of no stream")
        del self._buffer[:8]
        return True

    def _control(self, payload: bytes) -> Iterator[tuple[int, int, bytes, bool]]:
        if self._kind == PING:
            yield PING, 0, payload, False
        elif self._kind == RST_STREAM:
            yield RST_STREAM, int.from_bytes(payload[:4], "big"), b"", True
        elif self._kind == SYN_REPLY and self._flags & FIN:
            yield DATA, int.from_bytes(payload[:4], "big"), b"", True


def control(kind: int, payload: bytes) -> bytes:
    """A control frame."""
    return struct.pack(">HHI", VERSION, kind, len(payload)) + payload


def data(stream: int, payload: bytes, *, end: bool = False) -> bytes:
    """A data frame; `end` says that no more will come on the stream. At most MAX_PIECE bytes."""
    return struct.pack(">II", stream, (FIN if end else 0) << 24 | len(payload)) + payload


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">I", len(encoded)) + encoded
