"""What RFC 9113 asks of a server, a line for each: frames that may not be, and how the connection or the stream ends."""

import pytest
from apiserver_workers.server.http.messages import Response
from apiserver_workers.server.http2 import errors
from apiserver_workers.storage.transport.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITISED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    settings,
    window_update,
    word,
)

from tests.server.http2.raw import GET, POST, serving_http2

WHOLE = END_HEADERS | END_STREAM


async def handle(request):
    if request.upload is not None:
        request.body = await request.upload.whole(1 << 20)
    return Response(200, b"%b %b" % (request.path.encode(), request.body))


@pytest.fixture(scope="module")
def served():
    with serving_http2(handle) as served:
        yield served


def block(client, fields=GET):
    return client.block(fields)


# What a client sends after its hello, and the code of the GOAWAY that follows. RFC 9113's section is the id.
BROKEN_CONNECTIONS = {
    "4.2 a frame above the maximum size": (lambda c: frame(DATA, 0, 1, bytes(16385)), errors.FRAME_SIZE_ERROR),
    "4.2 also of an unknown type": (lambda c: frame(99, 0, 1, bytes(16385)), errors.FRAME_SIZE_ERROR),
    "4.3 a broken block": (lambda c: frame(HEADERS, WHOLE, 1, b"\x00\x05\x00\x00\x00\x05"), errors.COMPRESSION_ERROR),
    "4.3 an index of nothing": (lambda c: frame(HEADERS, WHOLE, 1, b"\xff\xff\x7f"), errors.COMPRESSION_ERROR),
    "4.3 index 0": (lambda c: frame(HEADERS, WHOLE, 1, b"\x80"), errors.COMPRESSION_ERROR),
    "4.3 a table that is too large": (
        lambda c: frame(HEADERS, WHOLE, 1, b"\x3f\xff\xff\x03"),
        errors.COMPRESSION_ERROR,
    ),
    "4.3 an interleaved frame": (
        lambda c: frame(HEADERS, END_STREAM, 1, block(c)) + frame(PRIORITY, 0, 1, bytes(5)),
        errors.PROTOCOL_ERROR,
    ),
    "4.3 an interleaved unknown frame": (
        lambda c: frame(HEADERS, END_STREAM, 1, block(c)) + frame(99, 0, 1),
        errors.PROTOCOL_ERROR,
    ),
    "4.3 a continuation of another stream": (
        lambda c: frame(HEADERS, END_STREAM, 1, block(c)) + frame(CONTINUATION, END_HEADERS, 3),
        errors.PROTOCOL_ERROR,
    ),
    "5.1 data of an idle stream": (lambda c: frame(DATA, END_STREAM, 1, b"x"), errors.PROTOCOL_ERROR),
    "5.1 a reset of an idle stream": (lambda c: frame(RST_STREAM, 0, 1, word.pack(8)), errors.PROTOCOL_ERROR),
    "5.1 a window of an idle stream": (lambda c: window_update(1, 5), errors.PROTOCOL_ERROR),
    "5.1 a continuation of nothing": (lambda c: frame(CONTINUATION, END_HEADERS, 1, block(c)), errors.PROTOCOL_ERROR),
    "5.1.1 an even stream": (lambda c: frame(HEADERS, WHOLE, 2, block(c)), errors.PROTOCOL_ERROR),
    "5.1.1 a number that was skipped": (
        lambda c: frame(HEADERS, WHOLE, 5, block(c)) + frame(HEADERS, WHOLE, 3, block(c)),
        errors.PROTOCOL_ERROR,
    ),
    "6.1 data of the connection": (lambda c: frame(DATA, 0, 0, b"x"), errors.PROTOCOL_ERROR),
    "6.1 more padding than content": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, POST)) + frame(DATA, PADDED, 1, b"\x05abc"),
        errors.PROTOCOL_ERROR,
    ),
    "6.1 padding without a length": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, POST)) + frame(DATA, PADDED, 1),
        errors.FRAME_SIZE_ERROR,
    ),
    "6.2 headers of the connection": (lambda c: frame(HEADERS, WHOLE, 0, block(c)), errors.PROTOCOL_ERROR),
    "6.2 more padding than content": (
        lambda c: frame(HEADERS, WHOLE | PADDED, 1, b"\xff" + block(c)),
        errors.PROTOCOL_ERROR,
    ),
    "6.2 a priority cut short": (lambda c: frame(HEADERS, WHOLE | PRIORITISED, 1, b"abc"), errors.FRAME_SIZE_ERROR),
    "6.3 a priority of the connection": (lambda c: frame(PRIORITY, 0, 0, bytes(5)), errors.PROTOCOL_ERROR),
    "6.4 a reset of the connection": (lambda c: frame(RST_STREAM, 0, 0, word.pack(8)), errors.PROTOCOL_ERROR),
    "6.4 a reset of a wrong length": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, POST)) + frame(RST_STREAM, 0, 1, b"abc"),
        errors.FRAME_SIZE_ERROR,
    ),
    "6.5 settings of a stream": (lambda c: frame(SETTINGS, 0, 1), errors.PROTOCOL_ERROR),
    "6.5 settings cut short": (lambda c: frame(SETTINGS, 0, 0, b"abc"), errors.FRAME_SIZE_ERROR),
    "6.5 an acknowledgement with content": (lambda c: frame(SETTINGS, ACK, 0, bytes(6)), errors.FRAME_SIZE_ERROR),
    "6.5.2 a push of 2": (lambda c: settings({2: 2}), errors.PROTOCOL_ERROR),
    "6.5.2 a window above the maximum": (lambda c: settings({4: 1 << 31}), errors.FLOW_CONTROL_ERROR),
    "6.5.2 frames below the minimum": (lambda c: settings({5: 16383}), errors.PROTOCOL_ERROR),
    "6.5.2 frames above the maximum": (lambda c: settings({5: 1 << 24}), errors.PROTOCOL_ERROR),
    "6.6 a push": (lambda c: frame(PUSH_PROMISE, END_HEADERS, 1, word.pack(2)), errors.PROTOCOL_ERROR),
    "6.7 a ping of a stream": (lambda c: frame(PING, 0, 1, bytes(8)), errors.PROTOCOL_ERROR),
    "6.7 a ping of a wrong length": (lambda c: frame(PING, 0, 0, bytes(6)), errors.FRAME_SIZE_ERROR),
    "6.8 a goodbye of a stream": (lambda c: frame(GOAWAY, 0, 1, bytes(8)), errors.PROTOCOL_ERROR),
    "6.9 a credit of nothing": (lambda c: window_update(0, 0), errors.PROTOCOL_ERROR),
    "6.9 a credit of a wrong length": (lambda c: frame(WINDOW_UPDATE, 0, 0, b"abc"), errors.FRAME_SIZE_ERROR),
    "6.9.1 a window above the maximum": (
        lambda c: window_update(0, (1 << 31) - 1) + window_update(0, 1),
        errors.FLOW_CONTROL_ERROR,
    ),
    "6.9.2 a stream's window above the maximum by a setting": (
        lambda c: (
            frame(HEADERS, END_HEADERS, 1, block(c, POST)) + window_update(1, 1 << 30) + settings({4: 0x7FFFFFFF})
        ),
        errors.FLOW_CONTROL_ERROR,
    ),
}


@pytest.mark.parametrize("send, code", BROKEN_CONNECTIONS.values(), ids=BROKEN_CONNECTIONS)
def test_the_connection_ends(served, send, code):
    client = served.client()
    client.send(send(client))
    assert client.goaway() == code
    assert client.is_closed()


# What a client sends on stream 1 after its hello, and the code with which that is reset; the connection goes on.
BROKEN_STREAMS = {
    "5.1 data after the end": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, POST)) + frame(DATA, END_STREAM, 1) + frame(DATA, 0, 1, b"x"),
        errors.STREAM_CLOSED,
    ),
    "5.1 headers after the end": (
        lambda c: frame(HEADERS, WHOLE, 1, block(c)) + frame(HEADERS, WHOLE, 1, block(c)),
        errors.STREAM_CLOSED,
    ),
    "5.3 a stream that depends on itself": (
        lambda c: frame(HEADERS, WHOLE | PRIORITISED, 1, word.pack(1) + b"\x10" + block(c)),
        errors.PROTOCOL_ERROR,
    ),
    "6.3 a priority of a wrong length": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, POST)) + frame(PRIORITY, 0, 1, b"abcd"),
        errors.FRAME_SIZE_ERROR,
    ),
    "6.9 a credit of nothing": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, POST)) + window_update(1, 0),
        errors.PROTOCOL_ERROR,
    ),
    "6.9.1 a window above the maximum": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, POST)) + window_update(1, (1 << 31) - 1),
        errors.FLOW_CONTROL_ERROR,
    ),
    "8.1 trailers that do not end the stream": (
        lambda c: (
            frame(HEADERS, END_HEADERS, 1, block(c, POST)) + frame(HEADERS, END_HEADERS, 1, block(c, [("a", "b")]))
        ),
        errors.PROTOCOL_ERROR,
    ),
    "8.1 trailers with a pseudo-header": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, POST)) + frame(HEADERS, WHOLE, 1, block(c, [(":path", "/")])),
        errors.PROTOCOL_ERROR,
    ),
    "8.1.1 a body shorter than declared": (
        lambda c: (
            frame(HEADERS, END_HEADERS, 1, block(c, [*POST, ("content-length", "5")])) + frame(DATA, 1, 1, b"four")
        ),
        errors.PROTOCOL_ERROR,
    ),
    "8.1.1 a body longer than declared": (
        lambda c: (
            frame(HEADERS, END_HEADERS, 1, block(c, [*POST, ("content-length", "3")])) + frame(DATA, 0, 1, b"four")
        ),
        errors.PROTOCOL_ERROR,
    ),
    "8.1.1 a body in place of none": (
        lambda c: frame(HEADERS, END_HEADERS, 1, block(c, [*POST, ("content-length", "0")])) + frame(DATA, 1, 1, b"x"),
        errors.PROTOCOL_ERROR,
    ),
    "8.1.1 no body in place of one": (
        lambda c: frame(HEADERS, WHOLE, 1, block(c, [*POST, ("content-length", "3")])),
        errors.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("send, code", BROKEN_STREAMS.values(), ids=BROKEN_STREAMS)
def test_the_stream_ends_and_the_connection_goes_on(served, send, code):
    client = served.client()
    client.send(send(client))
    assert client.reset_of(1) == code
    client.headers(3)
    assert client.answer(3).body == b"/ "


# Fields that make a request malformed: RFC 9113, sections 8.2 and 8.3.
MALFORMED = {
    "an upper-case name": [*GET, ("X-Name", "value")],
    "a name with a space": [*GET, ("x name", "value")],
    "an empty name": [*GET, ("", "value")],
    "a line feed in a value": [*GET, ("x", "a\r\nevil: b")],
    "a null byte in a value": [*GET, ("x", "a\0b")],
    "a space before a value": [*GET, ("x", " a")],
    "a tab behind a value": [*GET, ("x", "a\t")],
    "connection": [*GET, ("connection", "keep-alive")],
    "keep-alive": [*GET, ("keep-alive", "5")],
    "proxy-connection": [*GET, ("proxy-connection", "keep-alive")],
    "transfer-encoding": [*GET, ("transfer-encoding", "chunked")],
    "upgrade": [*GET, ("upgrade", "websocket")],
    "te that is not trailers": [*GET, ("te", "trailers, deflate")],
    "an unknown pseudo-header": [*GET, (":protocol", "websocket")],
    "a pseudo-header of answers": [*GET, (":status", "200")],
    "a pseudo-header behind a header": [*GET[:3], ("x", "a"), GET[3]],
    "no method": GET[1:],
    "no scheme": [GET[0], *GET[2:]],
    "no path": [*GET[:2], GET[3]],
    "an empty path": [*GET[:2], (":path", ""), GET[3]],
    "a path that is a URL": [*GET[:2], (":path", "https://other/"), GET[3]],
    "a line feed in a path": [*GET[:2], (":path", "/a\r\nb"), GET[3]],
    "two methods": [GET[0], *GET],
    "two paths": [*GET, (":path", "/other")],
    "two hosts": [*GET, ("host", "other")],
}


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_is_reset(served, fields):
    client = served.client()
    client.headers(1, fields)
    assert client.reset_of(1) == errors.PROTOCOL_ERROR
    client.headers(3)
    assert client.answer(3).status == 200


# Requests that HTTP/1.1 refuses with an answer too.
REFUSED = {
    "a space in the path": ([*GET[:2], (":path", "/a b"), GET[3]], 400),
    "a broken escape": ([*GET[:2], (":path", "/%zz"), GET[3]], 400),
    "no host": (GET[:3], 400),
    "a host that is none": ([*GET[:3], (":authority", "a/b")], 400),
    "CONNECT": ([(":method", "CONNECT"), (":authority", "server:443")], 405),
    "an expectation": ([*GET, ("expect", "miracles")], 417),
    "a long path": ([*GET[:2], (":path", "/" + "a" * 70_000), GET[3]], 431),
    "too many lines": ([*GET, *[("a", "b")] * 5001], 431),
    "more than a megabyte": ([*GET, *[(f"n{number}", "b" * 1000) for number in range(1030)]], 431),
    "a length that is none": ([*GET, ("content-length", "x")], 400),
}


@pytest.mark.parametrize("fields, status", REFUSED.values(), ids=REFUSED)
def test_a_request_is_refused(served, fields, status):
    client = served.client()
    block = client.block(fields)
    if len(block) > 1 << 20:
        pytest.fail("the block itself is too long")
    pieces = [block[at : at + 16384] for at in range(0, len(block), 16384)]
    client.send(frame(HEADERS, END_STREAM | (END_HEADERS if len(pieces) == 1 else 0), 1, pieces[0]))
    for piece in pieces[1:]:
        client.send(frame(CONTINUATION, END_HEADERS if piece is pieces[-1] else 0, 1, piece))
    assert client.answer(1).status == status
    client.headers(3)
    assert client.answer(3).status == 200


@pytest.mark.parametrize(
    "data",
    [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PREFACE[:-1] + b"x", PREFACE + frame(HEADERS, WHOLE, 1, b"\x82\x87\x84")],
    ids=["HTTP/1.1", "a broken preface", "no settings"],
)
def test_what_does_not_begin_as_http2_is_told_so(served, data):
    client = served.client(hello=False)
    client.send(data)
    assert client.goaway() == errors.PROTOCOL_ERROR
    assert client.is_closed()


def test_frames_of_unknown_types_flags_and_settings_are_passed_over(served):
    client = served.client()
    client.send(frame(99, 255, 0, b"x") + frame(98, 0, 7) + settings({0x99: 1}))
    client.send(frame(PING, 0xFE, 0, b"12345678"))
    assert client.wait_for(PING)[1:] == (ACK, 0, b"12345678")
    client.headers(1)
    assert client.answer(1).status == 200


def test_padding_and_priorities_are_taken_off(served):
    client = served.client()
    padded = b"\x03" + word.pack(0) + b"\x10" + block(client, POST) + bytes(3)
    client.send(frame(HEADERS, END_HEADERS | PADDED | PRIORITISED, 1, padded))
    client.send(frame(DATA, PADDED | END_STREAM, 1, b"\x04body" + bytes(4)))
    assert client.answer(1).body == b"/ body"


def test_trailers_end_a_body(served):
    client = served.client()
    client.headers(1, POST, end=False)
    client.data(1, b"body")
    client.headers(1, [("checksum", "1")])
    assert client.answer(1).body == b"/ body"


def test_frames_may_come_byte_by_byte(served):
    client = served.client(hello=False)
    for byte in PREFACE + settings({}) + frame(HEADERS, WHOLE, 1, client.block(GET)):
        client.send(bytes([byte]))
    assert client.answer(1).body == b"/ "


def test_what_was_on_its_way_when_the_server_had_answered_is_passed_over(served):
    async def refuse(request):
        return Response(403)

    with serving_http2(refuse) as other:
        client = other.client()
        client.headers(1, POST, end=False)
        assert client.answer(1).status == 403
        assert client.reset_of(1) == errors.NO_ERROR
        client.data(1, b"late")
        client.headers(1, [("checksum", "1")])
        client.headers(3, POST)
        assert client.answer(3).status == 403
