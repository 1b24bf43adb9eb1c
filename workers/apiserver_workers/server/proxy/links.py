"""Links in proxied pages: what points at the backend's own root is made to point below its path on this server.

A port of the proxy transport of k8s.io/apimachinery (pkg/util/proxy/transport.go), except that pages are rewritten while
they pass: only a tag that is not yet complete is held back.
"""

from __future__ import annotations

import asyncio
import html
import posixpath
import re
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from collections.abc import Set as AbstractSet
from urllib.parse import quote, urlsplit, urlunsplit

from apiserver_workers.server.proxy.location import PATH_SAFE

Rewrite = Callable[[str], str]

# The attributes that hold URLs, by tag.
ATTRIBUTES: dict[str, AbstractSet[str]] = {
    "a": {"href"},
    "applet": {"codebase"},
    "area": {"href"},
    "audio": {"src"},
    "base": {"href"},
    "blockquote": {"cite"},
    "body": {"background"},
    "button": {"formaction"},
    "command": {"icon"},
    "del": {"cite"},
    "embed": {"src"},
    "form": {"action"},
    "frame": {"longdesc", "src"},
    "head": {"profile"},
    "html": {"manifest"},
    "iframe": {"longdesc", "src"},
    "img": {"longdesc", "src", "usemap"},
    "input": {"src", "usemap", "formaction"},
    "ins": {"cite"},
    "link": {"href"},
    "object": {"classid", "codebase", "data", "usemap"},
    "q": {"cite"},
    "script": {"src"},
    "source": {"src"},
    "video": {"poster", "src"},
}
# Elements whose content is text, whatever it looks like.
RAW = frozenset(
    ("iframe", "noembed", "noframes", "noscript", "plaintext", "script", "style", "textarea", "title", "xmp")
)
MAX_TAG = 1 << 16  # what is still no whole tag then is none
AGAIN = 16  # a tag is looked at again when it has grown by this part: else one that comes byte by byte takes long
SLICE = 8 << 10  # bytes of a page that are looked at in one go
COMMENT, COMMENT_END = "<!--", "-->"
ENDS = {name: re.compile(f"</{name}", re.IGNORECASE) for name in RAW} | {COMMENT: re.compile(COMMENT_END)}
LONGEST_END = len("</plaintext")

_NAME = re.compile(r"<([a-zA-Z][^\s/>]*)")
_SPACE = re.compile(r"[\s/]*")
_OPEN_QUOTE = re.compile(r"\s*=\s*[\"']")
_ATTRIBUTE = re.compile(r"""([^\s/>=][^\s/>=]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>"'][^\s>]*)))?""")


def below(prefix: str, hosts: tuple[str, str]) -> Rewrite:
    """Rewrites URLs of a backend whose root is at `prefix` here; `hosts` are the backend's and the client's name of it."""
    backend, host = hosts

    def rewrite(url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if (parts.netloc and parts.netloc not in (backend, host)) or not parts.path.startswith("/"):
            return url
        origin = (parts.scheme, parts.netloc) if parts.netloc == host else ("", "")
        path = parts.path if parts.path.startswith(prefix) else joined(prefix, parts.path)
        return urlunsplit((*origin, path, parts.query, parts.fragment))

    return rewrite


def joined(prefix: str, path: str) -> str:
    """`path` below `prefix`; a last slash stays."""
    tail = "/" if path.endswith("/") else ""
    return posixpath.normpath(f"{prefix}/{path}") + tail


def escaped(path: str) -> str:
    """A path as it stands in a URL."""
    return quote(path, safe=PATH_SAFE)


class Page:
    """One HTML document, in pieces."""

    def __init__(self, rewrite: Rewrite) -> None:
        self._rewrite = rewrite
        self._text = ""
        self._raw = ""  # the element whose text we are in, or COMMENT
        self._waiting: list[str] = []  # what came behind a tag that is not yet complete
        self._waits = 0

    def feed(self, data: bytes, *, last: bool = False) -> bytes:
        """What can be told of the page after `data`. `last` ends it."""
        # As Latin-1 every byte stays what it is; markup and links that matter are ASCII.
        text = data.decode("latin-1")
        self._waiting.append(text)
        self._waits += len(text)
        if not last and self._waits < len(self._text) // AGAIN:
            return b""
        self._text += "".join(self._waiting)
        self._waiting.clear()
        self._waits = 0
        out, position = [], 0
        while position < len(self._text):
            piece, end = self._next(position)
            if end < 0:
                break
            out.append(piece)
            position = end
        rest = self._text[position:]
        if last or len(rest) > MAX_TAG:
            out.append(rest)
            rest = ""
        self._text = rest
        return "".join(out).encode("latin-1", "xmlcharrefreplace")

    def _next(self, start: int) -> tuple[str, int]:
        """The next piece of output and where it ends; -1 when more has to come first."""
        text = self._text
        if self._raw:
            return self._raw_text(start)
        at = text.find("<", start)
        if at != start:
            at = len(text) if at < 0 else at
            return text[start:at], at
        if text.startswith(COMMENT, start):
            self._raw = COMMENT
            return COMMENT, start + len(COMMENT)
        if len(text) - start < len(COMMENT) and COMMENT.startswith(text[start:]):
            return "", -1
        match = _NAME.match(text, start)
        return ("<", start + 1) if match is None else self._tag(match)

    def _raw_text(self, start: int) -> tuple[str, int]:
        text = self._text
        end = ENDS[self._raw].search(text, start)
        if end is not None:
            self._raw = ""
            return text[start : end.start() + 2], end.start() + 2
        keep = len(text) - LONGEST_END
        return (text[start:keep], keep) if keep > start else ("", -1)

    def _tag(self, match: re.Match[str]) -> tuple[str, int]:
        text, tag = self._text, match.group(1).lower()
        wanted = ATTRIBUTES.get(tag, frozenset())
        out, position = [match.group()], match.end()
        while position < len(text):
            space = _SPACE.match(text, position)
            assert space is not None
            out.append(space.group())
            position = space.end()
            if text.startswith(">", position):
                self._raw = tag if tag in RAW else ""
                return "".join(out) + ">", position + 1
            attribute = _ATTRIBUTE.match(text, position)
            if attribute is None:  # a stray sign
                out.append(text[position : position + 1])
                position += 1
                continue
            position = attribute.end()
            if attribute.end(1) == position and _OPEN_QUOTE.match(text, position):
                break  # its value has not all come
            out.append(self._attribute(attribute, wanted))
        return "", -1

    def _attribute(self, attribute: re.Match[str], wanted: AbstractSet[str]) -> str:
        name = attribute.group(1).lower()
        value = next((one for one in attribute.groups()[1:] if one is not None), None)
        if value is None or name not in wanted:
            return attribute.group()
        new = self._rewrite(html.unescape(value))
        return attribute.group() if new == html.unescape(value) else f'{attribute.group(1)}="{html.escape(new)}"'


# How zlib is told what an encoding is.
WINDOWS = {"gzip": 31, "deflate": -15}


async def rewritten(body: AsyncIterator[bytes], encoding: str, rewrite: Rewrite) -> AsyncIterator[bytes]:
    """The page with its links rewritten, in the encoding it has: "", gzip or deflate."""
    page = Page(rewrite)
    inflate, deflate = codecs(encoding)
    try:
        async for data in body:
            for text in slices(inflate, data):
                if piece := deflate.compress(page.feed(text)):
                    yield piece
                await asyncio.sleep(0)  # other requests have their turn
        yield deflate.compress(page.feed(b"", last=True)) + deflate.flush()
    finally:
        await body.aclose()  # type: ignore[attr-defined]


def slices(inflate: Identity, data: bytes) -> Iterator[bytes]:
    """The decoded data, at most SLICE bytes at a time, however much it decodes to."""
    while data:
        yield inflate.decompress(data, SLICE)
        data = inflate.unconsumed_tail


class Identity:
    """No encoding, with the methods of zlib's."""

    unconsumed_tail = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self.unconsumed_tail = data[max_length:]
        return data[:max_length]

    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def codecs(encoding: str) -> tuple[Identity, Identity]:
    """Decoder and encoder of a Content-Encoding. Raises KeyError for one that is not understood."""
    if not encoding:
        return Identity(), Identity()
    window = WINDOWS[encoding]
    return zlib.decompressobj(window), zlib.compressobj(wbits=window)  # type: ignore[return-value]
