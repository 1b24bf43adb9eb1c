"""The query as net/url reads it: escapes, fields that are left out, and how long many of them take."""

import pytest
from apiserver_workers.server.http.query import parse_query, parsed


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        ("", {}),
        ("&&", {}),
        ("a", {"a": [""]}),
        ("=", {"": [""]}),
        ("a=b&a=c&b=", {"a": ["b", "c"], "b": [""]}),
        ("a=b=c", {"a": ["b=c"]}),
        ("a=b%3Dc=d&e%26f=g%3d", {"a": ["b=c=d"], "e&f": ["g="]}),
        ("a+b=c+d%2B", {"a b": ["c d+"]}),
        ("a=%C3%A9&%c3%a9=b", {"a": ["é"], "é": ["b"]}),
        ("a=\xc3\xa9", {"a": ["é"]}),
        ("a=%FF", {"a": ["\ufffd"]}),
        (r"a=\x41\u0041\%41\\", {"a": [r"\x41\u0041\A\\"]}),
        ("a=%00%0A", {"a": ["\0\n"]}),
        ("a=%zz&b=%41&c=%4&d=%", {"b": ["A"]}),
        ("a=%zz", {}),
        ("%=1&b=2", {"b": ["2"]}),
        ("a=1;b=2&c=3&;", {"c": ["3"]}),
        ("a=1;%zz&c=%41", {"c": ["A"]}),
        ("a=%3B", {"a": [";"]}),
        ("a=%C4%A6%C4%BD", {"a": ["\u0126\u013d"]}),
    ],
)
def test_fields(raw, values):
    assert parse_query(raw) == values


def test_a_query_is_parsed_once_however_long_it_is(monkeypatch):
    monkeypatch.setattr("apiserver_workers.server.http.query.parsed", lambda raw: pytest.fail("parsed again"))
    for length in (10, 100_000):
        with monkeypatch.context() as patch:
            patch.setattr("apiserver_workers.server.http.query.parsed", parsed)
            found = parse_query("a=" + "b" * length)
        assert parse_query("a=" + "b" * length) is found
