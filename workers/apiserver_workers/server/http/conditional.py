"""Content that has a tag and a date, as Go's http.ServeContent answers: conditions and ranges (RFC 9110)."""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime

from apiserver_workers.server.http.messages import Request, Response, text_response

Headers = list[tuple[str, str]]

_TAG = re.compile(r'\s*(?:W/)?("[^"]*")\s*(?:,|$)')
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def serve_content(
    request: Request,
    body: bytes,
    content_type: str,
    headers: Headers,
    *,
    tag: str,
    modified: float,
    ranges: bool = True,
) -> Response:
    """The answer to a GET or HEAD of `body`, which has this quoted tag and was made at `modified` (Unix time)."""
    dated = [*headers, ("Etag", tag), ("Last-Modified", formatdate(modified, usegmt=True))]
    status = _precondition(request, tag, modified)
    if status == 304:
        return Response(304, headers=dated)
    if status:
        return Response(status, headers=dated, content_type="")
    if ranges:
        dated.append(("Accept-Ranges", "bytes"))
        wanted = _RANGE.fullmatch(request.headers.get("range", ""))
        if wanted is not None and _range_counts(request, tag, modified):
            return _part(body, content_type, dated, wanted)
    return Response(200, body, content_type, dated)


def _precondition(request: Request, tag: str, modified: float) -> int:
    """304 or 412 where a condition is not met, else 0."""
    asked = request.headers
    if "if-match" in asked:
        if not matches(asked["if-match"], tag, weakly=False):
            return 412
    elif _date(asked.get("if-unmodified-since", "")) < int(modified):
        return 412
    if "if-none-match" in asked:
        return 304 if matches(asked["if-none-match"], tag) else 0
    since = _date(asked.get("if-modified-since", ""))
    return 304 if since != NEVER and int(modified) <= since else 0


NEVER = float("inf")


def _date(text: str) -> float:
    """A date of HTTP as Unix time; NEVER for what is none."""
    try:
        return parsedate_to_datetime(text).timestamp() if text else NEVER
    except (ValueError, TypeError):
        return NEVER


def matches(header: str, tag: str, *, weakly: bool = True) -> bool:
    """Whether a list of tags, or `*`, means this one; weak tags (`W/"..."`) count only where comparing is weak."""
    position = 0
    while position < len(header):
        if header[position:].strip(" ,").startswith("*"):
            return True
        found = _TAG.match(header, position)
        if found is None:
            return False
        weak = "W/" in found.group().partition('"')[0]
        if found[1] == tag and (weakly or not weak):
            return True
        position = found.end()
    return False


def _range_counts(request: Request, tag: str, modified: float) -> bool:
    """Whether the range is wanted of this very content (If-Range)."""
    condition = request.headers.get("if-range", "")
    if not condition:
        return True
    if condition.startswith('"'):
        return condition == tag
    return int(modified) == _date(condition)


def _part(body: bytes, content_type: str, headers: Headers, wanted: re.Match[str]) -> Response:
    first, last = span(wanted[1], wanted[2], len(body))
    if first > last:
        told = [*headers, ("Content-Range", f"bytes */{len(body)}")]
        return text_response("invalid range: failed to overlap\n", 416, told)
    told = [*headers, ("Content-Range", f"bytes {first}-{last}/{len(body)}")]
    return Response(206, body[first : last + 1], content_type, told)


def span(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and the last byte of a range; the first lies behind the last if there is nothing in it."""
    if not first:
        return (max(0, size - int(last)), size - 1) if last and int(last) else (size, size - 1)
    return int(first), min(int(last), size - 1) if last else size - 1
