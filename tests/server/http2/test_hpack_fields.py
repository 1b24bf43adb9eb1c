"""The decoder of header blocks beside the hpack package's encoder and decoder."""

import hpack
import pytest
from apiserver_workers.server.http2.errors import COMPRESSION_ERROR, ConnectionFault
from apiserver_workers.server.http2.hpack_fields import MALFORMED, PLAIN, PSEUDO, SPECIAL, FieldDecoder, field_of
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
        assert [(name, value) for _, name, value, *_ in decoded] == fields


@given(data=st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_whatever_comes_is_decoded_as_hpack_does_or_is_a_fault(data):
    try:
        expected = [(bytes(name), bytes(value)) for name, value in hpack.Decoder().decode(data, raw=True)]
    except Exception:
        expected = None
    try:
        found = [(name, value) for _, name, value, *_ in FieldDecoder().decode(data)]
    except ConnectionFault as fault:
        assert fault.code == COMPRESSION_ERROR
        found = None
    if found != expected:
        assert found is None or expected is None  # one of the two is stricter
        assert found is None or not found or b"\x3f" in data or data[:1] == b"\x20"


@pytest.mark.parametrize(
    "name, value, sort",
    [
        (b"accept", b"a/b", PLAIN),
        (b"x", b"", PLAIN),
        (b"x", "ü".encode(), PLAIN),
        (b"x", b"a b\tc", PLAIN),
        (b"te", b"trailers", PLAIN),
        (b"host", b"a", SPECIAL),
        (b"cookie", b"a=b", SPECIAL),
        (b"content-length", b"5", SPECIAL),
        (b":path", b"/", PSEUDO),
        (b"te", b"deflate", MALFORMED),
        (b":Path", b"/", MALFORMED),
        (b":path", b"/\r\n", MALFORMED),
        (b"", b"/", MALFORMED),
        (b"Accept", b"a", MALFORMED),
        (b"a:b", b"a", MALFORMED),
        (b"x", b"a\nb", MALFORMED),
        (b"x", b"a ", MALFORMED),
        (b"x", b"\ta", MALFORMED),
        (b"x", b"\x7f", MALFORMED),
        (b"upgrade", b"h2c", MALFORMED),
    ],
)
def test_what_a_field_is(name, value, sort):
    assert field_of(name, value) == (sort, name, value, b"\r\n%b: %b" % (name, value), len(name + value) + 32)


def test_a_list_that_is_too_long_is_cut_and_the_table_goes_on():
    encoder, decoder = hpack.Encoder(), FieldDecoder()
    filled = encoder.encode([("x-large", "a" * 3000)])
    bomb = encoder.encode([("x-large", "a" * 3000)]) * 400  # 400 bytes
    decoder.decode(filled)
    fields = decoder.decode(bomb + encoder.encode([("x-last", "1")]))
    assert decoder.oversized and sum(field.size for field in fields) <= 1 << 20
    assert decoder.decode(encoder.encode([("x-last", "1")]))[0][1:3] == (b"x-last", b"1")
    assert not decoder.oversized
