"""SPDY/3.1 as kubectl speaks it, the server's side: frames over a blocking socket."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from apiserver_workers.server.proxy.spdy import DICTIONARY

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 1

assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2, "not the dictionary of SPDY/3"


@dataclass
class Stream:
    id: int
    headers: dict[str, str]
    data: list[bytes] = field(default_factory=list)
    ended: bool = False


class Session:
    """Reads frames with `read(size)` and writes with `write(bytes)`. `run` yields a stream at each of its frames."""

    def __init__(self, read: Callable[[int], bytes], write: Callable[[bytes], object]) -> None:
        self._read = read
        self._write = write
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        self.streams: dict[int, Stream] = {}

    def frames(self) -> Iterator[Stream]:
        """Each stream that was opened, got data or ended; stops when the client goes away."""
        while len(head := self._read(8)) == 8:
            first, flags, length = struct.unpack(">IB3s", head)
            payload = self._read(int.from_bytes(length, "big"))
            if not first >> 31:
                stream = self.streams[first]
                stream.data.append(payload)
            elif (kind := first & 0xFFFF) == SYN_STREAM:
                stream = self._open(payload)
            elif kind == PING:
                self._control(PING, payload)
                continue
            elif kind == GOAWAY:
                return
            else:
                continue
            stream.ended = stream.ended or bool(flags & FIN)
            yield stream

    def _open(self, payload: bytes) -> Stream:
        number = int.from_bytes(payload[:4], "big")
        block = self._inflate.decompress(payload[10:])
        stream = self.streams[number] = Stream(number, parse_headers(block))
        empty = self._deflate.compress(struct.pack(">I", 0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._control(SYN_REPLY, struct.pack(">I", number) + empty)
        return stream

    def _control(self, kind: int, payload: bytes) -> None:
        self._write(struct.pack(">HHB3s", 0x8003, kind, 0, len(payload).to_bytes(3, "big")) + payload)

    def send(self, stream: Stream, data: bytes, *, end: bool = False) -> None:
        self._write(struct.pack(">IB3s", stream.id, FIN if end else 0, len(data).to_bytes(3, "big")) + data)


def parse_headers(block: bytes) -> dict[str, str]:
    """A name/value block."""
    count = int.from_bytes(block[:4], "big")
    position, texts = 4, []
    for _ in range(2 * count):
        size = int.from_bytes(block[position : position + 4], "big")
        texts.append(block[position + 4 : position + 4 + size].decode())
        position += 4 + size
    return dict(zip(texts[::2], texts[1::2], strict=True))
