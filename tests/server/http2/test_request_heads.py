"""Fields of a request as the head of an HTTP/1.1 request."""

import pytest
from apiserver_workers.server.http2.errors import StreamFault
from apiserver_workers.server.http2.hpack_fields import field_of
from apiserver_workers.server.http2.request_heads import check_trailers, request_head

PSEUDO = ((":method", "GET"), (":scheme", "https"), (":path", "/a%20b?c=d%20"), (":authority", "server:6443"))


def head_of(*fields):
    return request_head([field_of(name.encode(), value.encode()) for name, value in fields])


def test_a_head_is_what_delegation_passes_on():
    head, declared = head_of(*PSEUDO, ("accept", "x"), ("accept", "y"))
    assert (head.method, head.target, head.path, head.raw_query) == ("GET", b"/a%20b?c=d%20", "/a b", "c=d%20")
    assert head.block.lines == ((b"host", b"server:6443"), (b"accept", b"x"), (b"accept", b"y"))
    assert head.block.headers == {"host": "server:6443", "accept": "x"}
    assert head.block.repeated == {"accept": ["x", "y"]}
    assert (head.length, declared, head.keep_alive, head.http10, head.block.upgrade) == (0, None, True, False, "")


def test_equal_requests_share_their_block():
    first, _ = head_of(*PSEUDO, ("content-length", "5"))
    second, _ = head_of(*PSEUDO[:2], (":path", "/other"), PSEUDO[3], ("content-length", "6"))
    assert first.block is second.block
    assert (first.length, second.length) == (5, 6)


@pytest.mark.parametrize("value, declared", [("0", 0), ("7", 7)])
def test_a_declared_length(value, declared):
    assert head_of(*PSEUDO, ("content-length", value))[1] == declared


def test_cookies_are_one_line():
    head, _ = head_of(*PSEUDO, ("cookie", "a=b"), ("x", "1"), ("cookie", "c=d"))
    assert head.block.headers["cookie"] == "a=b; c=d"


@pytest.mark.parametrize(
    "fields, host",
    [
        (PSEUDO, "server:6443"),
        ((*PSEUDO[:3], ("host", "other")), "other"),
        ((*PSEUDO, ("host", "server:6443")), "server:6443"),
        ((*PSEUDO[:3], (":authority", ""), ("host", "other")), "other"),
    ],
)
def test_the_host(fields, host):
    assert head_of(*fields)[0].block.headers["host"] == host


def test_options_may_ask_for_no_path():
    assert head_of((":method", "OPTIONS"), PSEUDO[1], (":path", "*"), PSEUDO[3])[0].target == b"*"
    with pytest.raises(StreamFault):
        head_of((":method", "GET"), PSEUDO[1], (":path", "*"), PSEUDO[3])


def test_trailers():
    check_trailers([field_of(b"a", b"b")])
    for field in (field_of(b":path", b"/"), field_of(b"A", b"b")):
        with pytest.raises(StreamFault):
            check_trailers([field])
