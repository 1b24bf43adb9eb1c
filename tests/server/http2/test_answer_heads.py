"""Heads of HTTP/1.1 answers as header blocks."""

import hpack
import pytest
from apiserver_workers.server.http2.answer_heads import answer_head

HEADS = {
    "a length": (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nAudit-Id: a-b\r\nContent-Length: 300",
        [("content-type", "application/json"), ("audit-id", "a-b"), ("content-length", "300")],
        (200, 300, False, False),
    ),
    "chunks": (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: 1",
        [("x", "1")],
        (200, None, True, False),
    ),
    "a connection that closes": (
        "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 1",
        [("retry-after", "1")],
        (429, None, False, True),
    ),
    "a spelling of others": (
        "HTTP/1.1 404 Not Found\r\ncontent-length:5\r\nKeep-Alive: 5\r\nset-cookie: a=b\r\nset-cookie: c=d",
        [("content-length", "5"), ("set-cookie", "a=b"), ("set-cookie", "c=d")],
        (404, 5, False, False),
    ),
    "an interim answer": ("HTTP/1.1 100 Continue", [], (100, None, False, False)),
    "a long value": ("HTTP/1.1 204 No Content\r\nX: " + "ü" * 300, [("x", "ü" * 300)], (204, None, False, False)),
}


@pytest.mark.parametrize("head, fields, facts", HEADS.values(), ids=HEADS)
def test_a_head(head, fields, facts):
    found = answer_head(head.encode())
    assert hpack.Decoder().decode(found.block) == [(":status", str(facts[0])), *fields]
    assert (found.status, found.length, found.chunked, found.closes) == facts


def test_what_is_no_head_is_an_error():
    with pytest.raises(ValueError):
        answer_head(b"nonsense")
