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
_LENGTH = b"\r\nContent-Length: "
_AUDIT_ID = b"\r\nAudit-Id: "


class AnswerHead(NamedTuple):
    """A final or an interim answer. `length` is that of the body if the head tells it; `closes`: Connection: close."""

    status: int
    block: bytes
    length: int | None
    chunked: bool
    closes: bool


class _Lines(NamedTuple):
    """Some lines, as far as they go into a block."""

    encoded: bytes
    length: int | None = None
    chunked: bool = False
    closes: bool = False


def answer_head(head: bytes) -> AnswerHead:
    """`head` is everything before the empty line, without its last CRLF. Raises ValueError if it is no answer's.

    Between the lines that are the same for many answers stand those that never are.
    """
    status = head[9:12]
    start, _, behind = head[12:].partition(_AUDIT_ID)
    before = _known[start]
    if not behind:
        return AnswerHead(int(status), _status(status) + before.encoded, before.length, before.chunked, before.closes)
    audit_id, separator, rest = behind.partition(b"\r\n")
    rest = separator + rest
    own, length = b"", before.length
    if rest.startswith(_LENGTH):
        text, separator, rest = rest[len(_LENGTH) :].partition(b"\r\n")
        rest = separator + rest
        own, length = _CONTENT_LENGTH + _string(text), int(text)
    after = _known[rest]
    return AnswerHead(
        int(status),
        b"".join((_status(status), before.encoded, _AUDIT_ID_NAME, _string(audit_id), own, after.encoded)),
        length if after.length is None else after.length,
        before.chunked or after.chunked,
        before.closes or after.closes,
    )


def _status(status: bytes) -> bytes:
    return _STATUSES.get(status) or b"\x08\x03" + status


def _encode(lines: bytes) -> _Lines:
    """Lines that have a CRLF before each; what comes before the first is the reason of a status."""
    parts: list[bytes] = []
    length: int | None = None
    chunked = closes = False
    for line in lines.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip()
        chunked = chunked or name == b"transfer-encoding"
        closes = closes or (name == b"connection" and b"close" in value.lower())
        if name == b"content-length":
            length = int(value)
        if name not in _DROPPED:
            parts.append(_name(name) + _string(value))
    return _Lines(b"".join(parts), length, chunked, closes)


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
_known = Memo(_encode, expansion=4, room=4 << 20)
