"""Random input for what reads the bytes of clients: no exception but those that it may raise, no stall, no growth.

`TARGETS` is the table: how input is made, what reads it, and what that may raise. Inputs are put together from parts that
mean something to their reader, by a generator with a seed: that makes some thousand inputs a second. Run it for long with
`scripts/fuzz`.
"""

from __future__ import annotations

import gc
import sys
import time
from random import Random
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

from tests.hostile import fuzzing_objects as objects
from tests.hostile.inputs import LONGEST, Target, binaries, either, latin, octets, one_of, parts, texts, together

STALL = 0.05  # seconds of CPU for one input
GROWTH = 64 << 20  # bytes that all inputs of one run together may leave


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


_LINES = binaries(
    [b"Host: h", b"Host: a b", b"a:", b"Content-Length: 1", b"content-length: 99999999999999999999", b"Expect: x"]
    + [b"Transfer-Encoding: chunked", b"Connection: close, x", b"Upgrade: websocket", b"X-Remote-Group: a, b"]
    + [b"Audit-Id: a\x1b", b"Audit-Id: \xff", b"Sec-WebSocket-Protocol: a,,b", b"A: \xc2\x85", b"Connection: a,"],
    b"\r\n",
)
_FIRST = either(
    one_of(b"GET / HTTP/1.1", b"GET /%41%zz HTTP/1.1", b"M / HTTP/1.0", b"GET http://h/?a HTTP/1.1"),
    lambda random: b"GET /" + binaries([b"a", b"/", b"%41", b"%", b"?", b"\\x41"])(random) + b" HTTP/1.1",
    octets,
)


def _raw_query(random: Random) -> str:
    return "".join(parts(random, _FIELDS, latin))[:LONGEST]


def _whole_head(random: Random) -> bytes:
    return b"\r\n".join([_FIRST(random), b"Host: h", _LINES(random)][random.randrange(2) :: random.randint(1, 2)])


_FIELDS = ["a=b", "&", "limit=%C2%B2", "limit=" + "9" * 5000, "=", "%", "%41", "+", "watch=1", "\xe9=\xff", ";", "\\"]
_PATH = texts(
    ["api", "v1", "apis", "namespaces", "watch", "proxy", "..", "", "%", "\u2028", "pods"], "/", limit=64 << 10
)
_ACCEPT = texts(
    ["*/*", ",", ";", "q=0.1", "application/json", ";as=Table;g=meta.k8s.io;v=v1", "q=nan", "\xe9"], limit=16 << 10
)
_CHUNKS = binaries(
    [b"1\r\nx\r\n", b"0\r\n", b"\r\n", b"5;a=b\r\n", b"ffffffffffffffff\r\n", b"A: b\r\n", b"x" * 50, b"\r"]
)
_DURATION = texts(["1h", "9" * 30, ".", "s", "-", "1.5", "µs", "²"])

TARGETS: dict[str, Target] = {
    "head": Target(_whole_head, _head, (ProtocolError,)),
    "query": Target(_raw_query, _query, (ApiError,)),
    "request info": Target(together(one_of("GET", "POST", "X"), _PATH, _raw_query), _info, (ValueError,)),
    "Accept": Target(_ACCEPT, negotiate, (ApiError,)),
    "Accept of discovery": Target(_ACCEPT, lambda text: negotiate_form(text, ("v2",)), (ApiError,)),
    "Content-Type": Target(_ACCEPT, request_media_type, (ApiError,)),
    "duration": Target(_DURATION, parse_duration, (TimeError,)),
    "chunked body": Target(lambda random: [_CHUNKS(random) for _ in range(random.randrange(5))], _chunks, (ProtocolError,)),
    "backend's answer": Target(
        either(lambda random: b"HTTP/1.1 200 OK\r\n" + _LINES(random) + b"\r\n\r\n", octets), parse_answer, (ValueError,)
    ),
    "text in one line": Target(texts(["a", "\r", "\n", "\x85", "\u2028", "\x1b["]), _line),
    **objects.TARGETS,
}  # fmt: skip


def feed(target: Target, data: Any) -> float:
    """Give the target one input; the seconds of CPU that took. Raises what the target must not raise."""
    began = time.thread_time()
    try:
        target.read(data)
    except target.raises:
        pass
    return time.thread_time() - began


def fuzz(name: str, seconds: float, start: int = 0) -> int:
    """Feed the target for so long, with inputs of the seeds from `start`; how many inputs it had.

    Raises AssertionError for a stall, for growth, and for an exception that the target must not raise.
    """
    target = TARGETS[name]
    before = _resident()
    until = time.monotonic() + seconds
    number = start
    while time.monotonic() < until:
        try_seed(target, name, number)
        number += 1
    gc.collect()
    grown = _resident() - before
    assert grown < GROWTH, f"{name}: {grown} bytes more than before"
    return number - start


def try_seed(target: Target, name: str, number: int) -> None:
    """Feed the input of one seed. Raises AssertionError with the seed and how the input begins."""
    data = target.make(Random(number))
    shown = f"{name}, seed {number}: {data!r:.200}"
    try:
        took = feed(target, data)
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error!s:.200} for {shown}") from error
    for _ in range(3):  # a collection of garbage, or another process on the same core, may have come between
        if took < STALL:
            return
        took = min(took, feed(target, target.make(Random(number))))
    assert took < STALL, f"{took:.3f} s for {shown}"


def _resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def main(seconds: float) -> None:
    """All targets, each for its share of the time."""
    for name in TARGETS:
        print(f"{name}: {fuzz(name, seconds / len(TARGETS), time.time_ns() % 1_000_000)} inputs", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 300.0)
