"""Conditions and ranges, as Go's http.ServeContent has them."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from apiserver_workers.server.http.conditional import matches, serve_content
from apiserver_workers.server.http.messages import Request

MADE = 1_700_000_000.5
TAG = '"abc"'
BODY = b"0123456789"
BEFORE, THEN, AFTER = (formatdate(MADE + offset, usegmt=True) for offset in (-10, 0, 10))


@pytest.mark.parametrize(
    ("header", "weakly", "strongly"),
    [
        (TAG, True, True),
        (f"W/{TAG}", True, False),
        ("*", True, True),
        (f'"x", {TAG}', True, True),
        (f'"x",W/{TAG}', True, False),
        ('"x"', False, False),
        ("abc", False, False),
        ("", False, False),
        (f"x, {TAG}", False, False),
    ],
)
def test_tags(header: str, weakly: bool, strongly: bool) -> None:
    assert matches(header, TAG) is weakly
    assert matches(header, TAG, weakly=False) is strongly


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ({}, 200, BODY),
        ({"if-none-match": TAG}, 304, b""),
        ({"if-none-match": f"W/{TAG}"}, 304, b""),
        ({"if-none-match": '"x"'}, 200, BODY),
        ({"if-none-match": '"x"', "if-modified-since": AFTER}, 200, BODY),
        ({"if-modified-since": THEN}, 304, b""),
        ({"if-modified-since": BEFORE}, 200, BODY),
        ({"if-modified-since": "yesterday"}, 200, BODY),
        ({"if-match": TAG}, 200, BODY),
        ({"if-match": '"x"'}, 412, b""),
        ({"if-match": f"W/{TAG}"}, 412, b""),
        ({"if-unmodified-since": BEFORE}, 412, b""),
        ({"if-unmodified-since": AFTER}, 200, BODY),
        ({"range": "bytes=2-4"}, 206, b"234"),
        ({"range": "bytes=7-"}, 206, b"789"),
        ({"range": "bytes=-2"}, 206, b"89"),
        ({"range": "bytes=5-99"}, 206, b"56789"),
        ({"range": "bytes=10-"}, 416, b"invalid range: failed to overlap\n"),
        ({"range": "lines=1-2"}, 200, BODY),
        ({"range": "bytes=2-4", "if-range": TAG}, 206, b"234"),
        ({"range": "bytes=2-4", "if-range": '"x"'}, 200, BODY),
        ({"range": "bytes=2-4", "if-range": THEN}, 206, b"234"),
        ({"range": "bytes=2-4", "if-range": BEFORE}, 200, BODY),
    ],
)
def test_answers(headers: dict[str, str], status: int, body: bytes) -> None:
    request = Request("GET", "/", "", headers)
    answer = serve_content(request, BODY, "text/plain", [], tag=TAG, modified=MADE)
    assert (answer.status, answer.body) == (status, body)
    told = dict(answer.headers)
    assert (told["Etag"], told["Last-Modified"]) == (TAG, THEN)
    assert ("Content-Range" in told) == (status in (206, 416))


def test_compressed_content_has_no_parts() -> None:
    request = Request("GET", "/", "", {"range": "bytes=2-4"})
    answer = serve_content(request, BODY, "text/plain", [], tag=TAG, modified=MADE, ranges=False)
    assert (answer.status, answer.body) == (200, BODY)
