"""Header blocks of clients (RFC 7541): a decoder that keeps what it knows of each field with the field.

A field of the dynamic table is checked once, when it enters the table: what later blocks say by its index costs a look-up.
Huffman-coded strings are decoded by the hpack package, in Python and slowly, so the results are kept for all connections.

A request is malformed (RFC 9113, section 8.2) by a name that is no lower-case token, a value with a control character or with
space around it, and a header of the connection.
"""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from apiserver_workers.apimachinery.memo import Memo
from apiserver_workers.server.http.http1 import MAX_HEAD, MAX_LINES
from apiserver_workers.server.http2.errors import COMPRESSION_ERROR, ConnectionFault

TABLE_SIZE = 4096  # of the dynamic table, RFC 7541's default
ENTRY_OVERHEAD = 32  # what each entry of a table or a list counts besides its bytes
MAX_INTEGER_BYTES = 4  # behind the prefix: no number of ours is longer

PLAIN, PSEUDO, SPECIAL, MALFORMED = range(4)  # what a field is for a request


class Field(NamedTuple):
    """`line`: the field as a header line of HTTP/1.1, with a CRLF before it. `size`: what it counts in a list."""

    sort: int
    name: bytes
    value: bytes
    line: bytes
    size: int


_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_PSEUDO_NAME = re.compile(rb":[a-z]+")
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_OF_CONNECTION = frozenset([b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"])

_SPECIAL = frozenset([b"host", b"cookie", b"content-length"])

_huffman = Memo(decode_huffman, expansion=4)


def field_of(name: bytes, value: bytes) -> Field:
    """A field with its line."""
    return Field(
        _sort_of(name, value), name, value, b"\r\n%b: %b" % (name, value), len(name) + len(value) + ENTRY_OVERHEAD
    )


def _sort_of(name: bytes, value: bytes) -> int:
    if _VALUE.fullmatch(value) is None or name in _OF_CONNECTION:
        return MALFORMED
    if _PSEUDO_NAME.fullmatch(name):
        return PSEUDO
    if _NAME.fullmatch(name) is None or (name == b"te" and value.lower() != b"trailers"):
        return MALFORMED
    return SPECIAL if name in _SPECIAL else PLAIN


_STATIC: tuple[Field, ...] = tuple(field_of(name, value) for name, value in HeaderTable.STATIC_TABLE)
_STATIC_SIZE = len(_STATIC)
_FIRST_DYNAMIC = 0x81 + _STATIC_SIZE  # the byte that stands for the newest entry of the table


class FieldDecoder:
    """The decoding side of one connection. Blocks have to come in the order in which they were sent."""

    __slots__ = ("_limit", "_size", "_table", "oversized")

    def __init__(self) -> None:
        self._table: deque[Field] = deque()  # the newest first
        self._size = 0
        self._limit = TABLE_SIZE
        self.oversized = False  # the last block was longer than a head may be; what `decode` returned is its beginning

    def decode(self, block: bytes) -> list[Field]:
        """The fields of a whole block. Raises ConnectionFault: nothing behind a broken block can be understood."""
        try:
            return self._decode(block)
        except (IndexError, HPACKError) as error:
            raise ConnectionFault(COMPRESSION_ERROR, "broken header block") from error

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        size, self.oversized = 0, False
        position, end = self._size_updates(block), len(block)
        while position < end:
            first = block[position]
            if 0x80 < first < 0xFF:
                position += 1
                field = self._table[first - _FIRST_DYNAMIC] if first >= _FIRST_DYNAMIC else _STATIC[first - 0x81]
            elif first & 0x80:
                index, position = _integer(block, position, 0x7F)
                field = self._indexed(index)
            elif first & 0x40:
                field, position = self._literal(block, position, 0x3F)
                self._add(field)
            elif first & 0x20:
                raise HPACKError("a table size update in the middle of a block")
            else:
                field, position = self._literal(block, position, 0x0F)
            size += field.size
            if size > MAX_HEAD or len(fields) == MAX_LINES:
                self.oversized = True  # the rest still changes the table
            else:
                fields.append(field)
        return fields

    def _size_updates(self, block: bytes) -> int:
        """Where the fields begin."""
        position = 0
        while position < len(block) and block[position] & 0xE0 == 0x20:
            limit, position = _integer(block, position, 0x1F)
            if limit > TABLE_SIZE:
                raise HPACKError("a table larger than allowed")
            self._limit = limit
            self._evict(0)
        return position

    def _indexed(self, index: int) -> Field:
        if index > _STATIC_SIZE:
            return self._table[index - _STATIC_SIZE - 1]
        if not index:
            raise HPACKError("index 0")
        return _STATIC[index - 1]

    def _literal(self, block: bytes, position: int, prefix: int) -> tuple[Field, int]:
        index, position = _integer(block, position, prefix)
        if index:
            name = self._indexed(index).name
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        return field_of(name, value), position

    def _add(self, field: Field) -> None:
        self._evict(field.size)
        if field.size <= self._limit:
            self._table.appendleft(field)
            self._size += field.size

    def _evict(self, size: int) -> None:
        """Make room for an entry of this size."""
        while self._table and self._size + size > self._limit:
            self._size -= self._table.pop().size


def _integer(block: bytes, position: int, prefix: int) -> tuple[int, int]:
    """A number whose first byte is at `position`, and where it ends."""
    number = block[position] & prefix
    position += 1
    if number < prefix:
        return number, position
    for shift in range(0, 7 * MAX_INTEGER_BYTES, 7):
        byte = block[position]
        position += 1
        number += (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise HPACKError("a number is too long")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    coded = block[position] & 0x80
    length, position = _integer(block, position, 0x7F)
    end = position + length
    if end > len(block):
        raise HPACKError("a string is cut short")
    text = block[position:end]
    return (_huffman[text] if coded else text), end
