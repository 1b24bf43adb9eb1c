"""The order of a stop: not ready, hooks while everything is served, then no new connections, then the end."""

from __future__ import annotations

import http.client
import json
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.connection import connect
from tests.running import RunningServer, wait_for

ENDPOINTS = "/api/v1/namespaces/default/endpoints/kubernetes"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
DELAY = 6.0


def addresses(connection: http.client.HTTPSConnection) -> list[str]:
    connection.request("GET", ENDPOINTS)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    subsets = (found.get("subsets") or []) if answer.status == 200 else []
    return [address["ip"] for subset in subsets for address in subset.get("addresses", [])]


def ask(connection: http.client.HTTPSConnection, method: str, path: str, body: object = None) -> int:
    connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


@pytest.mark.e2e
@pytest.mark.seed("S85", "S87")
def test_a_stop_first_says_so_and_serves_on(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10", f"--shutdown-delay-duration={DELAY:.0f}s") as server:
        kept = connect(server)
        wait_for(lambda: addresses(kept) == ["192.0.2.10"], 15, "the server is listed")
        watch = connect(server)
        watch.request("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion=0")
        events = watch.getresponse()
        server.process.send_signal(signal.SIGTERM)
        told = time.monotonic()
        wait_for(lambda: ask(kept, "GET", "/readyz") == 500, 2, "it is not ready")
        wait_for(lambda: not addresses(kept), DELAY - 2, "its address is taken off while it serves")
        number = 0
        while time.monotonic() - told < DELAY - 1:
            number += 1
            assert ask(kept, "GET", "/livez") == 200
            assert ask(kept, "POST", CONFIG_MAPS, {"metadata": {"name": f"late-{number}"}}) == 201
            fresh = connect(server)
            assert ask(fresh, "GET", CONFIG_MAPS) == 200
            fresh.close()
            time.sleep(0.2)
        assert server.process.poll() is None
        assert server.process.wait(20) == 0
        seen = [json.loads(line)["object"]["metadata"]["name"] for line in events.read().splitlines()]
        assert seen[-number:] == [f"late-{n + 1}" for n in range(number)], "the watch ended last, with all events"
        with pytest.raises(ConnectionRefusedError):
            connect(server).connect()
