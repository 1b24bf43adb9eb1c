"""The head of an HTTP/1.1 answer, made here or by a worker behind, as a header block of HTTP/2.

Blocks are literals and references to the static table only, so that a line's form is the same on every connection and is
made once. Nothing is Huffman-coded.
"""

from __future__ import annotations

from typing import NamedTuple

from hpack.table import HeaderTable

from apiserver_workers.apimachinery.memo import Memo

_DROPPED = frozenset([b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"])
_STATIC_NAMES = {name: number for number, (name, _) in reversed(list(enumerate(HeaderTable.STATIC_TABLE, 1)))}
_STATUSES = {
    value: bytes([0x80 | number])
    for number, (name, value) in enumerate(HeaderTable.STATIC_TABLE, 1)
    if name == b":status"
}
_LENGTH = b"Content-Length: "
_AUDIT_ID = b"Audit-Id: "


class AnswerHead(NamedTuple):
    """A final or an interim answer. `length` is that of the body if the head tells it; `closes`: Connection: close."""

    status: int
    block: bytes
    length: int | None
    chunked: bool
    closes: bool


class _Line(NamedTuple):
    encoded: bytes
    length: int | None = None
    chunked: bool = False
    closes: bool = False


def answer_head(head: bytes) -> AnswerHead:
    """`head` is everything before the empty line, without its last CRLF. Raises ValueError if it is no answer's."""
    status_line, *lines = head.split(b"\r\n")
    status = status_line[9:12]
    parts = [_STATUSES.get(status) or b"\x08\x03" + status]
    length: int | None = None
    chunked = closes = False
    for line in lines:
        if line.startswith(_LENGTH):
            text = line[len(_LENGTH) :]
            length = int(text)
            parts.append(_CONTENT_LENGTH + _string(text))
        elif line.startswith(_AUDIT_ID):
            parts.append(_AUDIT_ID_NAME + _string(line[len(_AUDIT_ID) :]))
        else:
            known = _lines[line]
            parts.append(known.encoded)
            length = length if known.length is None else known.length
            chunked = chunked or known.chunked
            closes = closes or known.closes
    return AnswerHead(int(status), b"".join(parts), length, chunked, closes)


def _encoded(line: bytes) -> _Line:
    name, _, value = line.partition(b":")
    name, value = name.lower(), value.strip()
    if name in _DROPPED:
        tokens = value.lower()
        return _Line(b"", chunked=name == b"transfer-encoding", closes=name == b"connection" and b"close" in tokens)
    return _Line(_name(name) + _string(value), length=int(value) if name == b"content-length" else None)


def _name(name: bytes) -> bytes:
    """The beginning of a literal that is not put into a table."""
    number = _STATIC_NAMES.get(name)
    return b"\x00" + _string(name) if number is None else _integer(number, 0x0F)


def _string(text: bytes) -> bytes:
    return _integer(len(text), 0x7F) + text


def _integer(number: int, prefix: int) -> bytes:
    if number < prefix:
        return bytes([number])
    encoded = bytearray([prefix])
    number -= prefix
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


_CONTENT_LENGTH = _name(b"content-length")
_AUDIT_ID_NAME = _name(b"audit-id")
_lines = Memo(_encoded, expansion=4, room=4 << 20)
