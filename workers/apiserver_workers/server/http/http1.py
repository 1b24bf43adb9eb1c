"""HTTP/1.1 messages as bytes: a strict reader of request heads and chunked bodies, without I/O.

Stricter than most servers, because there is an inner hop that must never see a message differently from us: CRLF line
ends only, no folded headers, one Content-Length of digits, never together with Transfer-Encoding.

The header block of a client's next request is nearly always the same bytes as before, so parsed blocks are kept in a
memo by their exact bytes. The lines that do vary, Content-Length and the front's Audit-Id, are cut out first.

A header line is one value and is never split. Where a header came several times the first counts, as for Go's Header.Get;
whoever wants them all asks for `values`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import responses

from apiserver_workers.apimachinery.memo import Memo
from apiserver_workers.server.http.audit_id import LIMIT as AUDIT_LIMIT
from apiserver_workers.server.http.escapes import unescaped

MAX_HEAD = 1 << 20
MAX_BODY = 3 << 20
MAX_PATH = 64 << 10
MAX_LINES = 5_000
MAX_LIST = 16 << 10  # bytes of a header that is a list, which somebody will split
MAX_CHUNK_LINE = 4096
MAX_TRAILERS = 8192
MAX_OVERHEAD = 16 << 10  # bytes of chunk lines beyond what small chunks need
MEMO_BLOCK = 8192  # longer blocks are not worth keeping
AUDIT_LINE = b"\r\nAudit-Id: "
LENGTH_LINES = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")

_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t\x20-\x7e\x80-\xff]*)")
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"[\x21-\x7e\x80-\xff]+")
_ABSOLUTE = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_HOST = re.compile(r"[A-Za-z0-9!$%&'()*+,\-.:;=\[\]_~]*")
_LISTS = frozenset(
    [
        *("accept", "accept-encoding", "connection", "if-none-match", "sec-websocket-protocol", "upgrade"),
        *("x-forwarded-for", "x-stream-protocol-version"),
    ]
)
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


def refusal_text(error: ProtocolError) -> str:
    """What the client is told, as net/http says it."""
    return f"{error.status} {responses[error.status]}: {error}" if error.text else ""


@dataclass(slots=True, frozen=True, eq=False)
class HeaderBlock:
    """A parsed header block, shared by all requests that carry the same bytes."""

    headers: dict[str, str]  # the first of each lower-case name; copy before changing
    repeated: dict[str, list[str]]  # all values of those that came several times
    lines: tuple[tuple[bytes, bytes], ...]  # as they came
    size: int
    length: int | None
    chunked: bool
    close: bool
    keep_alive: bool
    upgrade: str
    expects_continue: bool

    def values(self, name: str) -> list[str]:
        """What the lines of that lower-case name say, in their order."""
        if name in self.repeated:
            return self.repeated[name]
        return [self.headers[name]] if name in self.headers else []


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
        given = block[len(AUDIT_LINE) : cut].decode("latin-1")
        if len(given) <= AUDIT_LIMIT and given.isascii() and given.isprintable():
            audit_id, block = given, block[cut:]  # any other is left to the full parse
    length, block = _cut_length(block)
    parsed = _blocks[block]
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
    if len(path) > MAX_PATH:
        raise ProtocolError(431, "path is too long")
    if b"%" in path:
        try:
            path = unescaped(path)
        except ValueError:
            raise ProtocolError(400, "invalid URL escape") from None
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
    lines = _lines(block)
    headers: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    for name, value in lines:
        key, text = name.decode("ascii").lower(), value.decode("utf-8", "replace")
        if key not in headers:
            headers[key] = text
            continue
        if key in _SINGLE:
            raise ProtocolError(400, f"repeated {key}")
        repeated.setdefault(key, [headers[key]]).append(text)
    for key in _LISTS & headers.keys():
        if sum(map(len, repeated.get(key) or [headers[key]])) > MAX_LIST:
            raise ProtocolError(431, f"{key} is too long")
    if not _HOST.fullmatch(headers.get("host", "")):
        raise ProtocolError(400, "malformed Host header")
    expectation = headers.get("expect", "").lower()
    if expectation not in ("", "100-continue"):
        raise ProtocolError(417, "")
    coding = headers.get("transfer-encoding")
    if coding is not None and coding.lower() != "chunked":
        raise ProtocolError(501, "unsupported transfer encoding")
    length = _length(headers["content-length"].encode()) if "content-length" in headers else None
    connection = _tokens(repeated.get("connection") or [headers.get("connection", "")])
    return HeaderBlock(
        headers=headers,
        repeated=repeated,
        lines=lines,
        size=len(block),
        length=length,
        chunked=coding is not None,
        close="close" in connection,
        keep_alive="keep-alive" in connection,
        upgrade=headers.get("upgrade", "") if "upgrade" in connection else "",
        expects_continue=bool(expectation),
    )


def _lines(block: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The names and values of the header lines, each of which has a CRLF before it."""
    if block.count(b"\r\n") > MAX_LINES:
        raise ProtocolError(431, "too many header lines")
    lines = []
    for line in block.split(b"\r\n")[1:]:
        match = _LINE.fullmatch(line)
        if match is None:
            raise ProtocolError(400, "malformed header line")
        lines.append((match[1], match[2].strip(b" \t")))
    return tuple(lines)


def _tokens(values: list[str]) -> set[str]:
    """The tokens of a header that is a list, in lower case."""
    return {token.strip().lower() for value in values for token in value.split(",")}


_blocks = Memo(_parse_block, longest=MEMO_BLOCK)


def end_to_end_lines(block: HeaderBlock, *, without: frozenset[str], prefixes: tuple[str, ...]) -> bytes:
    """The header lines that may go to a next hop, each with a CRLF before it: not hop-by-hop, not named by Connection,
    not in `without`, not starting with one of `prefixes`. Framing headers are left to the caller."""
    drop = _tokens(block.values("connection"))
    drop.discard("host")  # a client cannot have it dropped
    drop |= _HOP_BY_HOP | without | {"content-length"}
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
        self.size = self._left = length

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
        self._unread = b""  # the beginning of a line
        self._left = 0  # bytes of the current chunk's data still to come, and of its CRLF
        self._trailers = False
        self._trailer_size = 0
        self._overhead = 0

    @property
    def between_chunks(self) -> bool:
        """Whether what comes next is the size of a chunk."""
        return not (self._left or self._unread or self._trailers)

    def feed(self, data: bytes) -> bytes | None:
        """Returns None while the body goes on. Raises ProtocolError: 413 beyond the limit, 400 for bad framing."""
        if self._unread:
            data, self._unread = self._unread + data, b""
        position, size = 0, len(data)
        while position < size:
            if self._left:
                position = self._take_data(data, position)
                continue
            end = data.find(b"\r\n", position)
            if (size if end < 0 else end) - position > MAX_CHUNK_LINE:
                raise ProtocolError(400, "malformed chunked encoding")
            if end < 0:
                self._unread = data[position:]
                return None
            line, position = data[position:end], end + 2
            if not self._trailers:
                self._take_size(line)
            elif self._take_trailer(line):
                return data[position:]
        return None

    def _take_data(self, data: bytes, position: int) -> int:
        """Take of the present chunk what is there; the position behind it."""
        ahead = self._left - 2
        if ahead > 0:
            piece = data[position : position + ahead]
            self.body.append(piece)
            self._left -= len(piece)
            return position + len(piece)
        ending = data[position : position + self._left]
        if ending != b"\r\n"[2 - self._left :][: len(ending)]:
            raise ProtocolError(400, "malformed chunked encoding")
        self._left -= len(ending)
        return position + len(ending)

    def _take_size(self, line: bytes) -> None:
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise ProtocolError(400, "malformed chunked encoding")
        length = int(match[1], 16)
        self.size += length
        if self.size > self._limit:
            raise ProtocolError(413, "body too large")
        self._overhead = max(0, self._overhead + len(line) + 2 - 16 - 2 * length)
        if self._overhead > MAX_OVERHEAD:
            raise ProtocolError(400, "chunked encoding contains too much non-data")
        self._trailers = not length
        self._left = length + 2 if length else 0

    def _take_trailer(self, line: bytes) -> bool:
        """True for the empty line that ends the body."""
        self._trailer_size += len(line)
        if line and (not _LINE.fullmatch(line) or self._trailer_size > MAX_TRAILERS):
            raise ProtocolError(400, "malformed trailer")
        return not line
