"""Whatever frames come: the connection goes on or ends with a code of RFC 9113, nothing fails inside, nobody else notices,
and nothing is left."""

import logging
import tracemalloc

import pytest
from apiserver_workers.server.http.messages import Response
from apiserver_workers.storage.transport.frames import GOAWAY, PING, PREFACE, frame, settings
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from tests.server.http2.raw import GET, POST, Client, serving_http2

CODES = range(14)
BLOCKS = st.sampled_from([Client(None).block(GET), Client(None).block(POST), b"\x82", b"\x80", b"\x3f\xe1\x1f", b""])
STREAMS = st.sampled_from([0, 1, 1, 1, 3, 5, 2, 7, (1 << 31) - 1])
FLAGS = st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 255])
PAYLOADS = st.one_of(
    BLOCKS,
    st.binary(max_size=20),
    st.sampled_from(
        [bytes(4), bytes(5), bytes(6), bytes(8), bytes([255] * 4), bytes(16384), b"\0\0\0\1", bytes(16385)]
    ),
)
FRAME = st.builds(frame, st.integers(0, 10), FLAGS, STREAMS, PAYLOADS)
HEADERS = st.builds(
    lambda stream, block, flags: frame(1, flags, stream, block), STREAMS, BLOCKS, st.sampled_from([4, 5])
)
SEQUENCES = st.lists(st.one_of(HEADERS, FRAME, FRAME, st.binary(max_size=9)), min_size=1, max_size=12)


async def gen():
    for _ in range(3):
        yield b"piece"


async def handle(request):
    if request.upload is not None:
        await request.upload.whole(1 << 20)
    return Response(200, gen()) if request.method == "POST" else Response(200, b"x" * 100)


@pytest.fixture(scope="module")
def served():
    with serving_http2(handle) as served:
        yield served


@pytest.fixture(scope="module")
def other(served):
    client = served.client()
    client.stream = 1
    return client


@given(sequence=SEQUENCES, cut=st.integers(0, 40))
@examples(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_frames(served, other, caplog, sequence, cut):
    client = served.client(hello=False)
    data = PREFACE + settings({}) + b"".join(sequence)
    probe = frame(PING, 0, 0, b"the end.")
    with caplog.at_level(logging.ERROR):
        try:
            client.send(data[:cut])
            client.send(data[cut:] + probe)
        except (BrokenPipeError, ConnectionResetError):
            pass
        client.socket.settimeout(0.5)
        code = None
        try:
            while True:
                found = client.next()
                if found.type == PING and found.payload == b"the end.":
                    break
                if found.type == GOAWAY and found.code:
                    code = found.code
                    break
        except TimeoutError:
            pass  # the last bytes are the beginning of a frame
        except EOFError:
            pytest.fail("the connection ended without a word")
        assert code is None or code in CODES
        client.socket.close()
        other.headers(other.stream)
        assert other.answer(other.stream).body == b"x" * 100
        other.stream += 2
    assert not [
        record for record in caplog.records if record.levelno >= logging.ERROR and "broke" not in record.message
    ]


def test_nothing_is_left(served, other):
    while len(served.connections) > 1:
        pass
    assert served.state.large_heads == 0
    assert len(served.state.strangers) == 1


def test_memory_is_bounded(served):
    """A client that sends what it may and takes nothing."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    client = served.client(values={4: 0})
    for stream in range(1, 200, 2):
        client.headers(stream, POST, end=False)
    try:
        client.data(1, bytes(16384))
        client.data(3, bytes(16384))
        client.data(5, bytes(16384))
        client.send(frame(1, 1, 201, bytes(16384)) + frame(9, 0, 201, bytes(16384)) * 60)
        client.send(b"\0\0\x10")
    except (BrokenPipeError, ConnectionResetError):
        pass
    client.socket.settimeout(0.3)
    try:
        while True:
            client.next()
    except (TimeoutError, EOFError):
        pass
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    client.socket.close()
    assert after - before < 6 << 20
