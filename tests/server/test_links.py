"""Links of proxied pages, however the page comes in pieces."""

from __future__ import annotations

import time

import pytest
from apiserver_workers.server.proxy.links import Page, below

REWRITE = below("/p", ("10.0.0.1:80", "api"))


def rewritten(text: str, *, step: int = 1 << 20) -> str:
    page, data = Page(REWRITE), text.encode()
    pieces = [page.feed(data[start : start + step]) for start in range(0, len(data), step)]
    return b"".join([*pieces, page.feed(b"", last=True)]).decode()


@pytest.mark.parametrize("step", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ('<a href="/x">', '<a href="/p/x">'),
        ("<a href='/x'>", '<a href="/p/x">'),
        ("<a href=/x/y>", '<a href="/p/x/y">'),
        ("<a href = /x class=b>", '<a href="/p/x" class=b>'),
        ('<a title="a > b" href="/x">', '<a title="a > b" href="/p/x">'),
        ('<a href="/ü?a=1&amp;b=2">', '<a href="/p/ü?a=1&amp;b=2">'),
        ('<img src="/a"/><br/>', '<img src="/p/a"/><br/>'),
        ('<a href="/p/x">', '<a href="/p/x">'),
        ('<a href="x">', '<a href="x">'),
        ('<a href="//10.0.0.1:80/x">', '<a href="/p/x">'),
        ('<a href="http://api/x">', '<a href="http://api/p/x">'),
        ('<a href="http://other/x">', '<a href="http://other/x">'),
        ('<div href="/x">', '<div href="/x">'),
        ('<!-- <a href="/x"> --><a href="/y">', '<!-- <a href="/x"> --><a href="/p/y">'),
        ('<script>"<a href=/x>"</script><a href="/y">', '<script>"<a href=/x>"</script><a href="/p/y">'),
        ("a < b <> </a> <1> &lt;", "a < b <> </a> <1> &lt;"),
        ('<a href="/never ends', '<a href="/never ends'),
        ("<a href=http://[/x>", "<a href=http://[/x>"),
    ],
)
def test_links_are_rewritten(page: str, expected: str, step: int) -> None:
    assert rewritten(page, step=step) == expected


@pytest.mark.parametrize(
    "tag", ["<a " + "b" * 200_000, "<" * 200_000, "<a " + "=" * 200_000, "<!--" * 50_000, "<a b='" * 30_000]
)
def test_what_is_no_tag_takes_no_longer(tag: str) -> None:
    started = time.monotonic()
    assert rewritten(tag, step=1 << 14) == tag
    assert time.monotonic() - started < 5
