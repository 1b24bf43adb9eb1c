"""Files over HTTP, as Go serves them."""

import asyncio
import os

import pytest
from apiserver_workers.server.http.file_server import PIECE, FileServer
from apiserver_workers.server.http.messages import Request


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "log"
    (root / "pods").mkdir(parents=True)
    (root / "syslog").write_text("one\ntwo\n")
    (root / "a<b>&:c.log").write_text("x")
    (root / "wtmp").write_bytes(b"\0\1\2")
    (root / "big.txt").write_bytes(b"0123456789" * (PIECE // 5))
    (tmp_path / "secret").write_text("secret")
    os.symlink(root / "syslog", root / "pods" / "link")
    return root


def get(folder, path, method="GET", **headers):
    async def ask():
        response = await FileServer(str(folder), "/logs").handle(Request(method, path, "", headers))
        body = response.body
        if not isinstance(body, bytes):
            body = b"".join([piece async for piece in body])
        return response.status, body, response.content_type, dict(response.headers)

    return asyncio.run(ask())


def test_a_folder_is_a_list_of_links(folder):
    status, body, kind, _ = get(folder, "/logs/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert body.decode().startswith('<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n')
    assert '<a href="pods/">pods/</a>\n' in body.decode()
    assert '<a href="./a%3Cb%3E%26%3Ac.log">a&lt;b&gt;&amp;:c.log</a>\n' in body.decode()
    assert get(folder, "/logs")[::3] == (301, {"Location": "logs/"})
    assert get(folder, "/logs/pods")[::3] == (301, {"Location": "pods/"})
    assert get(folder, "/logs/syslog/")[::3] == (301, {"Location": "../syslog"})


def test_files_have_their_kind_and_links_are_followed(folder):
    assert get(folder, "/logs/syslog")[:3] == (200, b"one\ntwo\n", "text/plain; charset=utf-8")
    assert get(folder, "/logs/pods/link")[1] == b"one\ntwo\n"
    assert get(folder, "/logs/wtmp")[2] == "application/octet-stream"
    assert len(get(folder, "/logs/big.txt")[1]) == os.path.getsize(folder / "big.txt")
    assert get(folder, "/logs/syslog", "HEAD")[1] == b""


@pytest.mark.parametrize("path", ["/logs/../secret", "/logs/pods/../../secret", "/logs/.."])
def test_nothing_outside_is_served(folder, path):
    assert get(folder, path)[:2] == (400, b"invalid URL path\n")


def test_what_is_not_there(folder):
    assert get(folder, "/logs/nothing")[:2] == (404, b"404 page not found\n")
    assert get(folder, "/logs/syslog/below")[0] == 404
    assert get(folder, "/logs/" + "n" * 256)[:2] == (404, b"file not found\n")
    assert get(folder, "/logs/a\0b")[0] == 500
    os.mkfifo(folder / "pipe")
    assert get(folder, "/logs/pipe")[0] == 403


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=4-", 206, b"two\n"),
        ("bytes=0-2", 206, b"one"),
        ("bytes=-4", 206, b"two\n"),
        ("bytes=4-999", 206, b"two\n"),
        ("bytes=99-", 416, b"invalid range: failed to overlap\n"),
        ("lines=1-2", 200, b"one\ntwo\n"),
    ],
)
def test_parts_of_a_file(folder, asked, status, body):
    assert get(folder, "/logs/syslog", range=asked)[:2] == (status, body)


def test_an_unchanged_file_is_not_sent_again(folder):
    modified = get(folder, "/logs/syslog")[3]["Last-Modified"]
    assert get(folder, "/logs/syslog", **{"if-modified-since": modified})[:2] == (304, b"")
    os.utime(folder / "syslog", (2e9, 2e9))
    assert get(folder, "/logs/syslog", **{"if-modified-since": modified})[0] == 200
    assert get(folder, "/logs/syslog", **{"if-modified-since": "yesterday"})[0] == 200
