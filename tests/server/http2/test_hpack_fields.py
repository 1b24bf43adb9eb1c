"""The decoder of header blocks beside the hpack package's encoder and decoder."""

import hpack
import pytest
from apiserver_workers.server.http2.errors import COMPRESSION_ERROR, ConnectionFault
from apiserver_workers.server.http2.hpack_fields import FieldDecoder, field_of
from hypothesis import given, settings
from hypothesis import strategies as st

BYTES = st.binary(max_size=60)
FIELDS = st.lists(st.tuples(st.sampled_from([b":path", b"accept", b"x-a", b"x-b"]) | BYTES, BYTES), max_size=12)


@given(blocks=st.lists(st.tuples(FIELDS, st.booleans(), st.none() | st.integers(0, 4096)), max_size=6))
@settings(max_examples=200, deadline=None)
def test_what_hpack_encodes_is_decoded(blocks):
    encoder, decoder = hpack.Encoder(), FieldDecoder()
    for fields, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        decoded = decoder.decode(encoder.encode(fields, huffman=huffman))
        assert [(name, value) for name, value, _ in decoded] == fields


@given(data=st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_whatever_comes_is_decoded_as_hpack_does_or_is_a_fault(data):
    try:
        expected = [(bytes(name), bytes(value)) for name, value in hpack.Decoder().decode(data, raw=True)]
    except Exception:
        expected = None
    try:
        found = [(name, value) for name, value, _ in FieldDecoder().decode(data)]
    except ConnectionFault as fault:
        assert fault.code == COMPRESSION_ERROR
        found = None
    if found != expected:
        assert found is None or expected is None  # one of the two is stricter
        assert found is None or not found or b"\x3f" in data or data[:1] == b"\x20"


@pytest.mark.parametrize(
    "name, value, line",
    [
        (b"accept", b"a/b", b"\r\naccept: a/b"),
        (b"x", b"", b"\r\nx: "),
        (b"x", "ü".encode(), b"\r\nx: \xc3\xbc"),
        (b"x", b"a b\tc", b"\r\nx: a b\tc"),
        (b":path", b"/", b""),
        (b"te", b"trailers", b"\r\nte: trailers"),
        (b"te", b"deflate", None),
        (b":Path", b"/", None),
        (b":path", b"/\r\n", None),
        (b"Accept", b"a", None),
        (b"a:b", b"a", None),
        (b"x", b"a\nb", None),
        (b"x", b"a ", None),
        (b"x", b"\ta", None),
        (b"x", b"\x7f", None),
        (b"upgrade", b"h2c", None),
    ],
)
def test_the_line_of_a_field(name, value, line):
    assert field_of(name, value) == (name, value, line)


def test_a_list_that_is_too_long_is_cut_and_the_table_goes_on():
    encoder, decoder = hpack.Encoder(), FieldDecoder()
    filled = encoder.encode([("x-large", "a" * 3000)])
    bomb = encoder.encode([("x-large", "a" * 3000)]) * 400  # 400 bytes
    decoder.decode(filled)
    fields = decoder.decode(bomb + encoder.encode([("x-last", "1")]))
    assert decoder.oversized and sum(len(value) for _, value, _ in fields) <= 1 << 20
    assert decoder.decode(encoder.encode([("x-last", "1")]))[0][:2] == (b"x-last", b"1")
    assert not decoder.oversized
