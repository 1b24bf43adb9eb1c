"""HTTP/1.1 messages as bytes: a strict reader of request heads and chunked bodies, without I/O.

Stricter than most servers, because there is an inner hop that must never see a message differently from us: CRLF line
ends only, no folded headers, one Content-Length of digits, never together with Transfer-Encoding.

The header block of a client's next request is nearly always the same bytes as before, so parsed blocks are kept in a
memo by their exact bytes. The lines that do vary, Content-Length and the front's Audit-Id, are cut out first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

MAX_HEAD = 1 << 20
MAX_BODY = 3 << 20
MEMO_ENTRIES = 1024
MEMO_BLOCK = 8192  # longer blocks are not worth keeping
AUDIT_LINE = b"\r\nAudit-Id: "
LENGTH_LINES = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_SINGLE = frozenset({"host", "content-length", "transfer-encoding"})
_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"}
)


class ProtocolError(Exception):
    """A message that cannot be answered by any handler: `status` is sent and the connection closed."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(slots=True, frozen=True, eq=False)
class HeaderBlock:
    """A parsed header block, shared by all requests that carry the same bytes."""

    headers: dict[str, str]  # lower-case names; copy before changing
    lines: tuple[tuple[bytes, bytes], ...]  # as they came
    length: int | None
    chunked: bool
    close: bool
    keep_alive: bool
    upgrade: str
    expects_continue: bool


@dataclass(slots=True)
class RequestHead:
    """A request's first line and headers, and how its body is framed."""

    method: str
    target: bytes  # as it came, without scheme and authority
    path: str  # percent-decoded
    raw_query: str
    block: HeaderBlock
    length: int
    audit_id: str
    keep_alive: bool
    http10: bool


_blocks: dict[bytes, HeaderBlock] = {}


def parse_head(data: bytes) -> RequestHead:
    """The head that `data` holds: everything before the empty line, without its last CRLF.

    Raises ProtocolError for anything that is not strictly HTTP/1.x.
    """
    end = data.find(b"\r\n")
    line, block = (data, b"") if end < 0 else (data[:end], data[end:])
    method, target, http10 = _request_line(line)
    audit_id = ""
    if block.startswith(AUDIT_LINE):
        cut = block.find(b"\r\n", 2)
        cut = len(block) if cut < 0 else cut
        audit_id, block = block[len(AUDIT_LINE) : cut].decode("latin-1"), block[cut:]
    length, block = _cut_length(block)
    parsed = _blocks.get(block)
    if parsed is None:
        parsed = _parse_block(block)
        _remember(block, parsed)
    if parsed.length is not None:
        if length is not None:
            raise ProtocolError(400, "repeated Content-Length")
        length = parsed.length
    if parsed.chunked and (length is not None or http10):
        raise ProtocolError(400, "Content-Length together with Transfer-Encoding")
    if not http10 and "host" not in parsed.headers:
        raise ProtocolError(400, "missing required Host header")
    keep_alive = parsed.keep_alive if http10 else not parsed.close
    path, _, query = target.partition(b"?")
    return RequestHead(
        method, target, _decode_path(path), query.decode("latin-1"), parsed, length or 0, audit_id, keep_alive, http10
    )


def _request_line(line: bytes) -> tuple[str, bytes, bool]:
    parts = line.split(b" ")
    if len(parts) != 3 or not _TOKEN.fullmatch(parts[0]) or not _TARGET.fullmatch(parts[1]):
        raise ProtocolError(400, "malformed request line")
    method, target, version = parts
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise ProtocolError(505 if version.startswith(b"HTTP/") else 400, "unsupported protocol version")
    if not target.startswith(b"/"):
        authority = _ABSOLUTE.match(target)
        if authority:
            target = target[authority.end() :]
            target = target if target.startswith(b"/") else b"/" + target
        elif not (target == b"*" and method == b"OPTIONS"):
            raise ProtocolError(400, "malformed request target")
    return method.decode("ascii"), target, version == b"HTTP/1.0"


def _decode_path(path: bytes) -> str:
    if b"%" in path:
        if _BAD_ESCAPE.search(path):
            raise ProtocolError(400, "invalid URL escape")
        path = unquote_to_bytes(path)
    return path.decode("utf-8", "replace")


def _cut_length(block: bytes) -> tuple[int | None, bytes]:
    """The usual spelling of Content-Length cut out of the block; any other is left to the full parse."""
    for name in LENGTH_LINES:
        start = block.find(name)
        if start >= 0:
            end = block.find(b"\r\n", start + 2)
            end = len(block) if end < 0 else end
            return _length(block[start + len(name) : end]), block[:start] + block[end:]
    return None, block


def _length(value: bytes) -> int:
    value = value.strip(b" \t")
    if not value.isdigit() or len(value) > 18:
        raise ProtocolError(400, "invalid Content-Length")
    return int(value)


def _parse_block(block: bytes) -> HeaderBlock:
    lines = []
    headers: dict[str, str] = {}
    for line in block.split(b"\r\n")[1:]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ProtocolError(400, "malformed header line")
        name, value = match.group(1), match.group(2).strip(b" \t")
        lines.append((name, value))
        key, text = name.decode("ascii").lower(), value.decode("latin-1")
        if key in headers:
            if key in _SINGLE:
                raise ProtocolError(400, f"repeated {key}")
            text = f"{headers[key]}, {text}"
        headers[key] = text
    coding = headers.get("transfer-encoding")
    if coding is not None and coding.lower() != "chunked":
        raise ProtocolError(501, "unsupported transfer encoding")
    length = _length(headers["content-length"].encode("latin-1")) if "content-length" in headers else None
    connection = {token.strip().lower() for token in headers.get("connection", "").split(",")}
    return HeaderBlock(
        headers=headers,
        lines=tuple(lines),
        length=length,
        chunked=coding is not None,
        close="close" in connection,
        keep_alive="keep-alive" in connection,
        upgrade=headers.get("upgrade", "") if "upgrade" in connection else "",
        expects_continue=headers.get("expect", "").lower() == "100-continue",
    )


def _remember(block: bytes, parsed: HeaderBlock) -> None:
    if len(block) <= MEMO_BLOCK:
        if len(_blocks) >= MEMO_ENTRIES:
            _blocks.clear()
        _blocks[block] = parsed


def end_to_end_lines(block: HeaderBlock, *, without: frozenset[str], prefixes: tuple[str, ...]) -> bytes:
    """The header lines that may go to a next hop, each with a CRLF before it: not hop-by-hop, not named by Connection,
    not in `without`, not starting with one of `prefixes`. Framing headers are left to the caller."""
    drop = {token.strip().lower() for token in block.headers.get("connection", "").split(",")}
    drop |= _HOP_BY_HOP | without | {"content-length"}
    drop.discard("host")  # a client cannot have it dropped
    kept = []
    for name, value in block.lines:
        lower = name.decode("ascii").lower()
        if lower not in drop and not lower.startswith(prefixes):
            kept.append(b"\r\n%b: %b" % (name, value))
    return b"".join(kept)


class FixedReader:
    """Collects a body of known length; the counterpart of ChunkedReader."""

    def __init__(self, length: int) -> None:
        self.body: list[bytes] = []
        self._left = length

    def feed(self, data: bytes) -> bytes | None:
        """Returns what follows the body once it is complete, else None."""
        if len(data) < self._left:
            self.body.append(data)
            self._left -= len(data)
            return None
        self.body.append(data[: self._left])
        rest = data[self._left :]
        self._left = 0
        return rest


class ChunkedReader:
    """Decodes a chunked body fed piece by piece. `feed` returns what follows the body once it has ended."""

    def __init__(self, limit: int = MAX_BODY) -> None:
        self.body: list[bytes] = []
        self.size = 0
        self._limit = limit
        self._buffer = bytearray()
        self._left = 0  # bytes of the current chunk's data still to come
        self._data_ended = False  # a chunk's data is complete, its CRLF is not
        self._trailers = False
        self._trailer_size = 0

    def feed(self, data: bytes) -> bytes | None:
        """Returns None while the body goes on. Raises ProtocolError: 413 beyond the limit, 400 for bad framing."""
        self._buffer += data
        while True:
            if self._left:
                if not self._take_data():
                    return None
            elif self._data_ended:
                if len(self._buffer) < 2:
                    return None
                if self._buffer[:2] != b"\r\n":
                    raise ProtocolError(400, "malformed chunked encoding")
                del self._buffer[:2]
                self._data_ended = False
            else:
                line = self._take_line()
                if line is None:
                    return None
                if self._take_meta(line):
                    return bytes(self._buffer)

    def _take_data(self) -> bool:
        piece = bytes(self._buffer[: self._left])
        del self._buffer[: self._left]
        self._left -= len(piece)
        if piece:
            self.body.append(piece)
        self._data_ended = not self._left
        return self._data_ended

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > MEMO_BLOCK:
                raise ProtocolError(400, "malformed chunked encoding")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _take_meta(self, line: bytes) -> bool:
        """A chunk's size line or a trailer line; true when it was the last line of the body."""
        if self._trailers:
            self._trailer_size += len(line)
            if line and (not _LINE.fullmatch(line) or self._trailer_size > MEMO_BLOCK):
                raise ProtocolError(400, "malformed trailer")
            return not line
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise ProtocolError(400, "malformed chunked encoding")
        self._left = int(match.group(1), 16)
        self.size += self._left
        if self.size > self._limit:
            raise ProtocolError(413, "body too large")
        self._trailers = not self._left
        return False
