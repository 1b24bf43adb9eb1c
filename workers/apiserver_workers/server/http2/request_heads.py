"""A request's fields as the head of an HTTP/1.1 request: everything behind it, the next hop too, sees one form of request."""

from __future__ import annotations

from apiserver_workers.server.http.http1 import ProtocolError, RequestHead, parse_head
from apiserver_workers.server.http2.errors import PROTOCOL_ERROR, StreamFault
from apiserver_workers.server.http2.hpack_fields import MALFORMED, PLAIN, PSEUDO, Field

_PSEUDO = frozenset([b":method", b":scheme", b":path", b":authority"])
_REQUIRED = frozenset([b":method", b":scheme", b":path"])
_CONNECT = {b":method", b":authority"}


def request_head(fields: list[Field]) -> tuple[RequestHead, int | None]:
    """The head of a request with these fields, and what it says of the body's length.

    Raises StreamFault if it is malformed (RFC 9113, section 8.1.1), ProtocolError if it is to be refused by an answer.
    """
    pseudo: dict[bytes, bytes] = {}
    lines: list[bytes] = []
    hosts: list[bytes] = []
    cookies: list[bytes] = []
    declares = False
    for sort, name, value, line, _ in fields:
        if sort == PLAIN:
            lines.append(line)
        elif sort == PSEUDO:
            if lines or hosts or cookies or name in pseudo or name not in _PSEUDO:
                raise _malformed("a pseudo-header that no request may have there")
            pseudo[name] = value
        elif sort == MALFORMED:
            raise _malformed("a field that no request may have")
        elif name == b"host":
            hosts.append(value)
        elif name == b"cookie":
            cookies.append(value)
        else:
            lines.append(line)
            declares = True
    if cookies:
        lines.append(b"\r\ncookie: " + b"; ".join(cookies))
    target = _target(pseudo)
    authority = _authority(pseudo, hosts)
    host = b"\r\nhost: " + authority if authority else b""
    head = parse_head(b"%b %b HTTP/1.1%b%b" % (pseudo[b":method"], target, host, b"".join(lines)))
    return head, head.length if declares else None


def check_trailers(fields: list[Field]) -> None:
    """Raises StreamFault for what no trailers may have."""
    if any(field.sort in (PSEUDO, MALFORMED) for field in fields):
        raise _malformed("a field that no trailers may have")


def _target(pseudo: dict[bytes, bytes]) -> bytes:
    if pseudo.get(b":method") == b"CONNECT" and pseudo.keys() == _CONNECT:
        raise ProtocolError(405, "CONNECT is not supported")
    if not pseudo.keys() >= _REQUIRED:
        raise _malformed("a pseudo-header is missing")
    path = pseudo[b":path"]
    if not path.startswith(b"/") and not (path == b"*" and pseudo[b":method"] == b"OPTIONS"):
        raise _malformed("a path that is none")
    return path


def _authority(pseudo: dict[bytes, bytes], hosts: list[bytes]) -> bytes:
    """What :authority and Host say, which have to agree."""
    said = {value for value in (pseudo.get(b":authority"), *hosts) if value}
    if len(said) > 1 or len(hosts) > 1:
        raise _malformed("several hosts")
    return said.pop() if said else b""


def _malformed(text: str) -> StreamFault:
    return StreamFault(PROTOCOL_ERROR, text)
