"""WebSocket (RFC 6455), the server's side without I/O: the handshake's answer, frames out, frames in as they come."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.server.http.messages import Request

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL = (1000).to_bytes(2, "big")
MAX_CONTROL = 125


class WebSocketError(Exception):
    """What came is no frame that a client may send."""


def is_websocket(request: Request) -> bool:
    """Whether the request asks for a WebSocket."""
    return request.headers.get("upgrade", "").lower() == "websocket"


def protocols_of(request: Request) -> list[str]:
    """The subprotocols that the client offers, in its order."""
    words = (word.strip() for line in request.values("sec-websocket-protocol") for word in line.split(","))
    return [word for word in words if word]


def accept_head(request: Request, protocol: str) -> bytes:
    """The 101 that opens the WebSocket. Raises ApiError 400 for a handshake that is not whole."""
    key = request.headers.get("sec-websocket-key", "")
    if not key or request.headers.get("sec-websocket-version", "") != "13":
        raise bad_request("websocket: bad handshake")
    accept = base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest()).decode()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept}"]
    if protocol:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole, unmasked message."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


class Reader:
    """Takes a client's frames apart. Data is handed on in pieces, control frames whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = -1  # of the present frame's payload; -1 between frames
        self._mask = b""
        self._opcode = 0
        self._message = BINARY  # what a continuation continues
        self._first = False

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes, bool]]:
        """(opcode, payload, whether a message begins with it). Raises WebSocketError."""
        self._buffer += data
        while self._left >= 0 or self._begin():
            control = self._opcode >= CLOSE
            if len(self._buffer) < (self._left if control else min(self._left, 1)):
                return
            piece = bytes(self._buffer[: self._left])
            del self._buffer[: len(piece)]
            self._left -= len(piece)
            if piece or self._first or control:
                yield self._opcode, self._unmasked(piece), self._first
            self._first = False
            if self._left == 0:
                self._left = -1

    def _begin(self) -> bool:
        """Read a frame's head; false if it has not all come."""
        head = self._buffer
        if len(head) < 2:
            return False
        size, extra = head[1] & 0x7F, 0
        if size >= 126:
            extra = 2 if size == 126 else 8
        if len(head) < 2 + extra + 4:
            return False
        if not head[1] & 0x80 or head[0] & 0x70:
            raise WebSocketError("a client's frames are masked, and without extensions")
        opcode = head[0] & 0x0F
        self._left = int.from_bytes(head[2 : 2 + extra], "big") if extra else size
        self._mask = bytes(head[2 + extra : 6 + extra])
        del head[: 6 + extra]
        if opcode >= CLOSE and self._left > MAX_CONTROL:
            raise WebSocketError("a control frame is too long")
        self._first = opcode != CONTINUATION
        if opcode < CLOSE:
            self._message = opcode or self._message
            self._opcode = self._message
        else:
            self._opcode = opcode
        return True

    def _unmasked(self, piece: bytes) -> bytes:
        size = len(piece)
        mask = int.from_bytes((self._mask * (size // 4 + 1))[:size], "big")
        turned = size % 4
        self._mask = self._mask[turned:] + self._mask[:turned]
        return (int.from_bytes(piece, "big") ^ mask).to_bytes(size, "big")
