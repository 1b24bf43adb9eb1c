"""WebSocket and SPDY as bytes, however they come in pieces."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from apiserver_workers.server.proxy import spdy, websocket


def masked(opcode: int, payload: bytes, *, fin: bool = True, mask: bytes = b"\x01\x02\x03\x04") -> bytes:
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([0x80 | 127]) + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def messages(data: bytes, steps: list[int]) -> list[tuple[int, bytes]]:
    """What a Reader makes of the bytes: data messages joined, control frames apart."""
    reader, found, position = websocket.Reader(), [], 0
    for step in [*steps, len(data)]:
        for opcode, piece, first in reader.feed(data[position : position + step]):
            if first:
                found.append((opcode, piece))
            else:
                last = next(index for index in reversed(range(len(found))) if found[index][0] < websocket.CLOSE)
                found[last] = (found[last][0], found[last][1] + piece)
        position += step
    return found


def test_frames_come_in_any_pieces() -> None:
    chance = random.Random(3)
    long = bytes(chance.randrange(256) for _ in range(70_000))
    data = b"".join(
        (
            masked(websocket.BINARY, b"one"),
            masked(websocket.BINARY, b""),
            masked(websocket.BINARY, long[:300], fin=False),
            masked(websocket.PING, b"now"),
            masked(websocket.CONTINUATION, long[300:], mask=b"abcd"),
            masked(websocket.CLOSE, websocket.NORMAL),
        )
    )
    expected = [(2, b"one"), (2, b""), (2, long), (9, b"now"), (8, websocket.NORMAL)]
    assert messages(data, []) == expected
    assert messages(data, [1] * 700) == expected
    for _ in range(20):
        assert messages(data, [chance.randrange(1, 9000) for _ in range(30)]) == expected


@pytest.mark.parametrize(
    "data",
    [b"\x82\x03abc\0\0\0", b"\xc2\x80abcd", masked(websocket.PING, b"x" * 126)],
    ids=["not masked", "with an extension", "a long control frame"],
)
def test_what_no_client_may_send(data: bytes) -> None:
    with pytest.raises(websocket.WebSocketError):
        list(websocket.Reader().feed(data))


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_of_every_length(size: int) -> None:
    frame = websocket.frame(websocket.BINARY, b"x" * size)
    assert frame.endswith(b"x" * size) and len(frame) - size == (2 if size < 126 else 4 if size < 65_536 else 10)


def test_streams_are_opened_with_compressed_headers() -> None:
    session = spdy.Session()
    inflate = zlib.decompressobj(zdict=spdy.DICTIONARY)
    for number in (1, 3):
        stream, frame = session.open({"streamtype": "stdin"})
        assert stream == number and frame[:4] == b"\x80\x03\x00\x01"
        block = inflate.decompress(frame[18:])
        assert block == struct.pack(">II10sI5s", 1, 10, b"streamtype", 5, b"stdin")


def test_spdy_comes_in_any_pieces() -> None:
    chance = random.Random(5)
    data = b"".join(
        (
            spdy.control(spdy.SYN_REPLY, b"\0\0\0\1rest"),
            spdy.data(1, b"x" * 5000),
            spdy.control(spdy.PING, b"\0\0\0\2"),
            spdy.data(1, b"", end=True),
            spdy.control(spdy.RST_STREAM, b"\0\0\0\3\0\0\0\5"),
            spdy.control(7, b"\0\0\0\1\0\0\0\0"),
        )
    )
    for steps in ([], [1] * len(data), [chance.randrange(1, 90) for _ in range(100)]):
        session, position, found = spdy.Session(), 0, []
        for step in [*steps, len(data)]:
            found += session.feed(data[position : position + step])
            position += step
        text = b"".join(piece for kind, stream, piece, _ in found if (kind, stream) == (spdy.DATA, 1))
        ends = [stream for _, stream, _, ended in found if ended]
        assert text == b"x" * 5000 and ends == [1, 3] and (spdy.PING, 0, b"\0\0\0\2", False) in found


@pytest.mark.parametrize("data", [b"\x80\x02\0\1\0\0\0\0", b"\0\0\0\0\0\0\0\1", b"\x80\x03\0\1\0\xff\xff\xff"])
def test_what_is_no_spdy(data: bytes) -> None:
    with pytest.raises(spdy.SpdyError):
        list(spdy.Session().feed(data))
