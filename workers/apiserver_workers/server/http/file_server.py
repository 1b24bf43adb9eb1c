"""Files of a folder over HTTP, as Go's http.ServeFile answers: lists of folders, ranges, If-Modified-Since.

For /logs/ (upstream: k8s.io/apiserver/pkg/server/routes.Logs), so what it serves is written to all the time.
"""

from __future__ import annotations

import asyncio
import html
import mimetypes
import os
import posixpath
import re
import stat
from collections.abc import AsyncIterator
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import quote

from apiserver_workers.server.http.conditional import span
from apiserver_workers.server.http.messages import Request, Response, text_response

PIECE = 1 << 18
LONGEST_NAME = 255
SNIFFED = 512
HTML = "text/html; charset=utf-8"
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_BINARY = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])  # what Go's sniffing takes for no text


class FileServer:
    """Serves what lies in `root` at `prefix` and below. Symbolic links are followed, as upstream does."""

    def __init__(self, root: str, prefix: str) -> None:
        self._root = root
        self._prefix = prefix

    async def handle(self, request: Request) -> Response:
        """The file or folder of a path below the prefix."""
        relative = request.path.removeprefix(self._prefix)
        if ".." in relative.split("/"):
            return text_response("invalid URL path\n", 400)
        path = posixpath.normpath(self._root + "/" + relative)
        if any(len(name.encode()) > LONGEST_NAME for name in path.split("/")):
            return text_response("file not found\n", 404)
        try:
            return await asyncio.to_thread(_answer, request, path)
        except (FileNotFoundError, NotADirectoryError):
            return text_response("404 page not found\n", 404)
        except PermissionError:
            return text_response("403 Forbidden\n", 403)
        except (OSError, ValueError):
            return text_response("500 Internal Server Error\n", 500)


def _answer(request: Request, path: str) -> Response:
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        if not request.path.endswith("/"):
            return _moved(posixpath.basename(request.path) + "/")
        return Response(body=_listing(path), content_type=HTML)
    if request.path.endswith("/"):
        return _moved("../" + posixpath.basename(path))
    if not stat.S_ISREG(status.st_mode):
        raise PermissionError(path)  # what cannot be read to an end
    headers = [("Accept-Ranges", "bytes"), ("Last-Modified", formatdate(status.st_mtime, usegmt=True))]
    if _unchanged(request.headers.get("if-modified-since", ""), status.st_mtime):
        return Response(304, headers=headers[1:])
    file = os.open(path, os.O_RDONLY)
    first, last = 0, status.st_size - 1
    kind = mimetypes.guess_type(path)[0] or _sniff(os.pread(file, SNIFFED, 0))
    kind = f"{kind}; charset=utf-8" if kind.startswith("text/") and "charset" not in kind else kind
    code = 200
    if wanted := _RANGE.fullmatch(request.headers.get("range", "")):
        code, (first, last) = 206, span(wanted[1], wanted[2], status.st_size)
        if first > last:
            os.close(file)
            headers.append(("Content-Range", f"bytes */{status.st_size}"))
            return text_response("invalid range: failed to overlap\n", 416, headers)
        headers.append(("Content-Range", f"bytes {first}-{last}/{status.st_size}"))
    if request.method == "HEAD":
        os.close(file)
        return Response(code, b"", kind, headers)
    if last - first < PIECE:
        content = os.pread(file, last - first + 1, first) if last >= first else b""
        os.close(file)
        return Response(code, content, kind, headers)
    return Response(code, _pieces(file, first, last + 1), kind, headers)


async def _pieces(file: int, position: int, end: int) -> AsyncIterator[bytes]:
    try:
        while position < end:
            piece = await asyncio.to_thread(os.pread, file, min(PIECE, end - position), position)
            if not piece:
                return  # it was cut
            position += len(piece)
            yield piece
    finally:
        os.close(file)


def _moved(to: str) -> Response:
    return Response(301, content_type="", headers=[("Location", quote(to))])


def _listing(path: str) -> bytes:
    names = sorted(entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "") for entry in os.scandir(path))
    links = "".join(
        f'<a href="{quote("./" + name if ":" in name else name)}">{html.escape(name)}</a>\n' for name in names
    )
    page = f'<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n{links}</pre>\n'
    return page.encode("utf-8", "surrogateescape")


def _unchanged(since: str, modified: float) -> bool:
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except (ValueError, TypeError):
        return False


def _sniff(start: bytes) -> str:
    return "application/octet-stream" if start.translate(None, _BINARY) != start else "text/plain"
