"""Links of proxied pages, however the page comes in pieces."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import AsyncIterator

import pytest
from apiserver_workers.server.proxy.links import SLICE, Page, below, codecs, slices
from apiserver_workers.server.proxy.links import rewritten as rewritten_body

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


@pytest.mark.parametrize("encoding", ["", "gzip", "deflate"])
def test_a_page_is_inflated_and_rewritten_in_slices(encoding: str) -> None:
    links = b'<a href="/x">' * 200_000
    inflate, deflate = codecs(encoding)
    body = deflate.compress(links) + deflate.flush()
    largest = max(len(piece) for piece in slices(inflate, body))
    assert largest <= SLICE


def test_others_have_their_turn_while_a_bomb_is_inflated() -> None:
    links = b'<a href="/x">' * 100_000
    packed = gzip.compress(links)
    assert len(packed) < len(links) // 200

    async def body() -> AsyncIterator[bytes]:
        yield packed

    async def scenario() -> tuple[bytes, float]:
        longest, going = 0.0, True

        async def other() -> None:
            nonlocal longest
            last = time.thread_time()
            while going:
                await asyncio.sleep(0)
                now = time.thread_time()
                longest, last = max(longest, now - last), now

        watching = asyncio.ensure_future(other())
        out = b"".join([piece async for piece in rewritten_body(body(), "gzip", REWRITE)])
        going = False
        await watching
        return out, longest

    out, longest = asyncio.run(scenario())
    assert gzip.decompress(out) == b'<a href="/p/x">' * 100_000
    assert longest < 0.1


def test_a_tag_that_comes_byte_by_byte_takes_no_longer() -> None:
    started = time.thread_time()
    tag = "<a " + "b " * 15_000
    assert rewritten(tag, step=1) == tag
    assert time.thread_time() - started < 5
