"""Responses as bytes: status line, the headers that every answer has, those of its own.

What only depends on the status, the content type and the second is made once and kept for that second.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from http.client import responses

from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.apimachinery.one_line import one_line
from apiserver_workers.server.http.messages import Request, Response

MAX_CONTENT_TYPE = 256  # longer ones are some backend's
BODILESS = frozenset({204, 304})
_STATUS_LINES = {code.value: f"HTTP/1.1 {code.value} {responses[code.value]}\r\n" for code in HTTPStatus}


class _Heads:
    """The constant parts of heads, thrown away when the Date changes."""

    def __init__(self) -> None:
        self._second = 0
        self._date = ""
        self._made: Kept[tuple[int, str, str], bytes] = Kept(longest=MAX_CONTENT_TYPE, room=1 << 20)

    def get(self, status: int, content_type: str, cache_control: str) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True)
            self._made.clear()
        key = (status, content_type, cache_control)
        made = self._made.get(key)
        if made is None:
            made = self._make(*key)
            self._made.keep(key, made)
        return made

    def _make(self, status: int, content_type: str, cache_control: str) -> bytes:
        lines = [_STATUS_LINES.get(status, f"HTTP/1.1 {status} status code {status}\r\n")]
        if cache_control:
            lines.append(f"Cache-Control: {cache_control}\r\n")
        if content_type:
            lines.append(f"Content-Type: {one_line(content_type)}\r\n")
        lines.append(f"Date: {self._date}\r\n")
        return "".join(lines).encode()


_heads = _Heads()


def response_head(request: Request, response: Response, *, length: int | None, chunked: bool, close: bool) -> bytes:
    """The head of an answer made here, with the empty line that ends it.

    `length` is None for bodies that have none or whose end is marked otherwise.
    """
    content_type = response.content_type if response.status not in BODILESS else ""
    parts = [_heads.get(response.status, content_type, response.cache_control)]
    parts.append(b"Audit-Id: %b\r\n" % request.audit_id.encode())
    if length is not None:
        parts.append(b"Content-Length: %d\r\n" % length)
    elif chunked:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    if response.headers or close:
        parts.append(extra_lines(response, close=close))
    parts.append(b"\r\n")
    return b"".join(parts)


def relayed_head(response: Response, *, close: bool) -> bytes:
    """The head (and whatever of the body came with it) of an answer made elsewhere, with our additions."""
    if not (response.headers or close):
        return response.wire
    status_line, _, rest = response.wire.partition(b"\r\n")
    return b"%b\r\n%b%b" % (status_line, extra_lines(response, close=close), rest)


def extra_lines(response: Response, *, close: bool) -> bytes:
    """The lines of the answer's own headers."""
    lines = [f"{name}: {one_line(value)}\r\n" for name, value in response.headers]
    if close:
        lines.append("Connection: close\r\n")
    return "".join(lines).encode("utf-8")
