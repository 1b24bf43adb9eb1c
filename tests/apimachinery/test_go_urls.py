"""URLs and JSONPaths as Go's parsers take them, and strings as it quotes them."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery import go_urls
from apiserver_workers.apimachinery.go_urls import URL
from apiserver_workers.apimachinery.goformat import quoted
from apiserver_workers.apimachinery.jsonpaths import jsonpath_fault
from apiserver_workers.apimachinery.validation.field import invalid


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://h", URL("https", None, "h", "", "", "")),
        ("HTTPS://h:1/p?q#f", URL("https", None, "h:1", "/p", "q", "f")),
        ("https://u:p@h/", URL("https", "u:p", "h", "/", "", "")),
        ("https://[::1]:443/x", URL("https", None, "[::1]:443", "/x", "", "")),
        ("mailto:x", URL("mailto", None, "", "", "", "")),
        ("/p", URL("", None, "", "/p", "", "")),
        ("///p", URL("", None, "", "///p", "", "")),
        ("https:///p", URL("https", None, "", "/p", "", "")),
        ("x", URL("", None, "", "x", "", "")),
        ("", URL("", None, "", "", "", "")),
    ],
)
def test_a_url_is_taken_apart(text: str, url: URL) -> None:
    assert go_urls.parse(text) == url


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("::1", 'parse "::1": missing protocol scheme'),
        ("10.0.0.1:80", 'parse "10.0.0.1:80": first path segment in URL cannot contain colon'),
        ("50%", 'parse "50%": invalid URL escape "%"'),
        ("/a%zz", 'parse "/a%zz": invalid URL escape "%zz"'),
        ("https://a b", 'parse "https://a b": invalid character " " in host name'),
        ("https://h:x", 'parse "https://h:x": invalid port ":x" after host'),
        ("https://[::1", "parse \"https://[::1\": missing ']' in host"),
        ("https://[::1]x", 'parse "https://[::1]x": invalid port "x" after host'),
        ("https://a%20b", 'parse "https://a%20b": invalid URL escape "%20"'),
        ("https://u\\@h", 'parse "https://u\\\\@h": net/url: invalid userinfo'),
        ("a\nb", 'parse "a\\nb": net/url: invalid control character in URL'),
    ],
)
def test_what_is_no_url(text: str, fault: str) -> None:
    with pytest.raises(ValueError) as raised:
        go_urls.parse(text)
    assert str(raised.value) == fault


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{.spec.x}", ""),
        ("{spec.validations[0].expression}", ""),
        ("a{.x}b{.y}", ""),
        ("{.a['b']}", ""),
        ("{.a[1:2],.b}", "unrecognized character in action: U+002C ','"),
        ("{.a[1,2]}", ""),
        ("{..name}", ""),
        ("{.items[?(@.a=='b')].c}", ""),
        ("{1.5}", ""),
        ('{"x"}', ""),
        ("{::1}", "unrecognized character in action: U+003A ':'"),
        ("{.a", "unclosed action"),
        ("{.a[}", "unterminated array"),
        ("{.a[x]}", "invalid array index x"),
        ("{.a[1,x]}", "invalid array index x"),
        ("{1.2.3}", "cannot parse number 1.2.3"),
        ("{'a}", "unterminated quoted string"),
        ("{'\\q'}", "unquote string '\\q' error invalid syntax"),
        ("{.a[?(@.b}", "unterminated filter"),
        ("{.a[?(@.b)}", "unclosed array expect ]"),
        ("{.a[?(@.b==:)]}", "unrecognized character in action: U+003A ':'"),
        ("{.... }", "invalid multiple recursive descent"),
    ],
)
def test_a_jsonpath(template: str, fault: str) -> None:
    assert jsonpath_fault(template) == fault


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b", '"a b"'),
        ('"\\', '"\\"\\\\"'),
        ("ü", '"ü"'),
        ("\x00\x7f", '"\\x00\\x7f"'),
        ("\n\t", '"\\n\\t"'),
        ("\u00a0\u200b", '"\\u00a0\\u200b"'),
        ("\U000e0001", '"\\U000e0001"'),
    ],
)
def test_a_string_is_quoted_as_go_does(text: str, shown: str) -> None:
    assert quoted(text) == shown
    assert str(invalid("p", text, "no")) == f"p: Invalid value: {shown}: no"
