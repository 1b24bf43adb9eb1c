"""/logs/: the files of /var/log, when that is asked for."""

import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.serving.conftest import OpenServer, token_request

pytestmark = [pytest.mark.e2e, pytest.mark.seed("S57")]


def test_the_list_is_that_of_the_folder(opened: OpenServer) -> None:
    status, body = opened.server.request("GET", "/logs/")
    assert status == 200
    listed = {unescape(name).rstrip("/") for name in re.findall(r'<a href="[^"]*">([^<]*)</a>', body.decode())}
    assert listed == {entry.name for entry in Path("/var/log").iterdir()}


def test_the_index_of_the_server_names_it(opened: OpenServer) -> None:
    paths = json.loads(opened.server.request("GET", "/")[1])["paths"]
    assert "/logs" in paths and not [path for path in paths if path.startswith("/debug")]


def test_files_are_served_whole(opened: OpenServer) -> None:
    _, body = opened.server.request("GET", "/logs/")
    files = [
        name for name in re.findall(r'<a href="([^"/]+)">', body.decode()) if Path("/var/log", unquote(name)).is_file()
    ]
    for name in files[:5]:
        status, content = opened.server.request("GET", f"/logs/{name}")
        assert status == 200 and content == Path("/var/log", unquote(name)).read_bytes()[: len(content)]


def test_names_that_no_file_can_have_and_ways_out(opened: OpenServer) -> None:
    assert opened.server.request("GET", "/logs/" + "n" * 256) == (404, b"file not found\n")
    assert opened.insecure("GET", "/logs/../../etc/passwd")[0] == 400
    assert opened.insecure("GET", "/logs/%2e%2e/%2e%2e/etc/passwd")[0] == 400
    assert token_request(opened.server, "GET", "/logs/", "test-bob-token")[0] == 403
