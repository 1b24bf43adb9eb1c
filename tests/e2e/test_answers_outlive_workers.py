"""A long list that a client reads slowly is whole although the worker that began it is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.e2e.connection import Client, connect
from tests.running import RunningServer

PATH = "/api/v1/namespaces/default/configmaps"
OBJECTS = 300


@pytest.mark.e2e
def test_a_long_list_is_whole(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10") as server:
        client = Client(server)
        for number in range(OBJECTS):
            obj = {"metadata": {"name": f"c{number:04}"}, "data": {"x": "y" * 10_000}}
            assert client.ask("POST", PATH, obj)[0] == 201
        slow = connect(server)
        slow.connect()
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.request("GET", PATH)
        answer = slow.getresponse()
        beginning = answer.read(2000)
        time.sleep(0.3)
        for pid in server.processes("core worker"):
            os.kill(pid, signal.SIGKILL)
        late = {"metadata": {"name": "late"}}
        while client.ask("POST", PATH, late)[0] not in (201, 409):
            time.sleep(0.1)
        items = json.loads(beginning + answer.read())["items"]
        assert [item["metadata"]["name"] for item in items] == [f"c{number:04}" for number in range(OBJECTS)]
