"""Random input for what reads the bytes of clients: no exception but those that it may raise, no stall, no growth.

`TARGETS` is the table: how input is made, what reads it, and what that may raise. Run it for long with `scripts/fuzz`.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.one_line import one_line
from apiserver_workers.apimachinery.times import TimeError, parse_duration
from apiserver_workers.server.discovery.endpoints import negotiate_form
from apiserver_workers.server.endpoints.negotiation import negotiate, request_media_type
from apiserver_workers.server.endpoints.query import flag, integer
from apiserver_workers.server.http.http1 import ChunkedReader, ProtocolError, end_to_end_lines, parse_head
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.query import has_too_many_fields, parse_query
from apiserver_workers.server.http.request_info import request_info
from apiserver_workers.server.proxy.connection import parse_head as parse_answer
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

STALL = 0.05  # seconds of CPU for one input
GROWTH = 64 << 20  # bytes that all inputs of one run together may leave


@dataclass(frozen=True, slots=True)
class Target:
    """What reads some input."""

    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], object]
    raises: tuple[type[Exception], ...] = ()


def _head(data: bytes) -> None:
    head = parse_head(data)
    end_to_end_lines(head.block, without=frozenset({"authorization"}), prefixes=("x-remote-",))
    assert "\r" not in head.audit_id and "\n" not in head.audit_id
    request = Request(head.method, head.path, head.raw_query, dict(head.block.headers), repeated=head.block.repeated)
    for name in request.headers:
        assert request.values(name)[0] == request.headers[name]


def _query(raw: str) -> None:
    if has_too_many_fields(raw):
        return
    query = parse_query(raw)
    for name in (*query, "limit"):
        flag(query, name)
        integer(query, name)


def _info(request: tuple[str, str, str]) -> None:
    request_info(*request)


def _chunks(pieces: list[bytes]) -> None:
    reader = ChunkedReader()
    for piece in pieces:
        if reader.feed(piece) is not None:
            return


def _line(text: str) -> None:
    assert len(one_line(text, 100).splitlines()) <= 1


def _repeat(parts: st.SearchStrategy[Any], joined: Callable[[list[Any]], Any]) -> st.SearchStrategy[Any]:
    """Few parts, each up to many times: what is quadratic shows itself."""
    times = st.sampled_from((1, 1, 2, 50, 2000))
    return st.lists(st.tuples(parts, times), max_size=6).map(
        lambda pairs: joined([p for p, n in pairs for _ in range(n)])
    )


_WORDS = st.sampled_from(
    [b"Host: h", b"Host: a b", b"a:", b"Content-Length: 1", b"content-length: 99999999999999999999", b"Expect: x"]
    + [b"Transfer-Encoding: chunked", b"Connection: close, x", b"Upgrade: websocket", b"X-Remote-Group: a, b"]
    + [b"Audit-Id: a\x1b", b"Audit-Id: \xff", b"Sec-WebSocket-Protocol: a,,b", b"A: \xc2\x85", b"Connection: a,"]
)
_FIRST = st.sampled_from([b"GET / HTTP/1.1", b"GET /%41%zz HTTP/1.1", b"M / HTTP/1.0", b"GET http://h/?a HTTP/1.1"])
_HEADS = st.builds(
    lambda first, lines: b"\r\n".join([first, *lines]), _FIRST | st.binary(max_size=40), _repeat(_WORDS | st.binary(max_size=40), list)
)  # fmt: skip
_FIELDS = st.sampled_from(
    ["a=b", "&", "limit=%C2%B2", "limit=" + "9" * 5000, "=", "%", "%41", "+", "watch=1", "\xe9=\xff"]
)
_SEGMENTS = st.sampled_from(["api", "v1", "apis", "namespaces", "watch", "proxy", "..", "", "%", "\u2028", "pods"])
_ACCEPT = st.sampled_from(
    ["*/*", ",", ";", "q=0.1", "application/json", ";as=Table;g=meta.k8s.io;v=v1", "q=nan", "\xe9"]
)
_CHUNKS = st.sampled_from(
    [b"1\r\nx\r\n", b"0\r\n", b"\r\n", b"5;a=b\r\n", b"ffffffffffffffff\r\n", b"A: b\r\n", b"x" * 50, b"\r"]
)

TARGETS: dict[str, Target] = {
    "head": Target(_HEADS, _head, (ProtocolError,)),
    "query": Target(_repeat(_FIELDS | st.text(st.characters(max_codepoint=255), max_size=8), "".join), _query, (ApiError,)),
    "request info": Target(
        st.tuples(
            st.sampled_from(["GET", "POST", "X"]), _repeat(_SEGMENTS, "/".join), _repeat(_FIELDS, "&".join)
        ),
        _info,
        (ValueError,),
    ),
    "Accept": Target(_repeat(_ACCEPT, "".join).map(lambda text: text[: 16 << 10]), negotiate, (ApiError,)),
    "Accept of discovery": Target(
        _repeat(_ACCEPT, "".join).map(lambda text: text[: 16 << 10]), lambda text: negotiate_form(text, ("v2",)), (ApiError,)
    ),
    "Content-Type": Target(_repeat(_ACCEPT, "".join), request_media_type, (ApiError,)),
    "duration": Target(
        _repeat(st.sampled_from(["1h", "9" * 30, ".", "s", "-", "1.5", "µs", "²"]), "".join), parse_duration, (TimeError,)
    ),
    "chunked body": Target(st.lists(_repeat(_CHUNKS, b"".join) | st.binary(max_size=20), max_size=5), _chunks, (ProtocolError,)),
    "backend's answer": Target(
        _HEADS.map(lambda head: b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n") | st.binary(max_size=60), parse_answer, (ValueError,)
    ),
    "text in one line": Target(st.text(st.characters(max_codepoint=0x2100), max_size=200), _line),
}  # fmt: skip


def fuzz(name: str, seconds: float, start: int = 0) -> int:
    """Feed the target for so long; how many inputs it had. Raises AssertionError for a stall or growth, and what it must not raise."""
    target = TARGETS[name]
    read = 0

    def feed(data: Any) -> None:
        nonlocal read
        read += 1
        began = time.thread_time()
        try:
            target.read(data)
        except target.raises:
            pass
        took = time.thread_time() - began
        if took > STALL:  # a collection of garbage may have come between
            began = time.thread_time()
            try:
                target.read(data)
            except target.raises:
                pass
            took = min(took, time.thread_time() - began)
        assert took < STALL, f"{name}: {took:.3f} s for one input"

    before = _resident()
    until = time.monotonic() + seconds
    number = start
    while time.monotonic() < until:
        _round(target, number)(feed)
        number += 1
    gc.collect()
    grown = _resident() - before
    assert grown < GROWTH, f"{name}: {grown} bytes more than before"
    return read


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def _round(target: Target, number: int) -> Callable[[Callable[[Any], None]], None]:
    def run(feed: Callable[[Any], None]) -> None:
        @seed(number)
        @settings(
            max_examples=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(target.inputs)
        def one(data: Any) -> None:
            feed(data)

        one()

    return run


def main(seconds: float) -> None:
    """All targets, each for its share of the time."""
    for name in TARGETS:
        print(f"{name}: {fuzz(name, seconds / len(TARGETS), time.time_ns() % 1_000_000)} inputs", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 300.0)
