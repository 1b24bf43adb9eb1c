"""Optimistic locking under fire: no increment is lost and no event is missed while core workers are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

from kubernetes import client, config

from tests.e2e.connection import Client, Watcher
from tests.e2e.informer import Informer
from tests.running import RunningServer, wait_for

WRITERS, INCREMENTS = 8, 500
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PATH = CONFIG_MAPS + "/counter"


class Writer(threading.Thread):
    """Increments the counter by reading it and putting it back; a write whose outcome is unknown is read back."""

    def __init__(self, server: RunningServer, number: int) -> None:
        super().__init__(daemon=True)
        self.name = f"w{number}"
        self.acknowledged = self.found = 0  # increments by how their success became known
        self._client = Client(server)

    def run(self) -> None:
        while self.acknowledged + self.found < INCREMENTS:
            self._increment(str(self.acknowledged + self.found))

    def _increment(self, mark: str) -> None:
        while True:
            status, obj = self._ask("GET")
            if status != 200:
                continue
            data = obj["data"]
            if data.get(self.name) == mark:
                self.found += 1  # an earlier attempt did it, of which no answer came
                return
            obj["data"] = data | {"n": str(int(data["n"]) + 1), self.name: mark}
            status, _ = self._ask("PUT", obj)
            if status == 200:
                self.acknowledged += 1
                return

    def _ask(self, method: str, body: object = None) -> tuple[int, dict]:
        status, answer = self._client.ask(method, PATH, body)
        assert status in (0, 200, 409, 429, 500, 503, 504), answer
        return status, answer


def kill_core_workers_until_done(server: RunningServer, writers: list[Writer]) -> int:
    chance, kills = random.Random(7), 0
    while any(writer.is_alive() for writer in writers):
        time.sleep(chance.uniform(0.5, 2.0))
        if workers := server.processes("core worker"):
            with contextlib.suppress(ProcessLookupError):  # it may have ended since it was listed
                os.kill(chance.choice(workers), signal.SIGKILL)
                kills += 1
    return kills


def test_no_increment_is_lost_while_workers_die(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10", "--core-workers=2") as server:
        counter = {"metadata": {"name": "counter"}, "data": {"n": "0"}}
        assert server.request("POST", CONFIG_MAPS, counter)[0] == 201
        informer = Informer(
            client.CoreV1Api(config.new_client_from_config(str(server.kubeconfig))).list_namespaced_config_map,
            "default",
        )
        informer.start()
        assert informer.synced.wait(10)
        watcher = Watcher(server, f"{CONFIG_MAPS}?watch=true&fieldSelector=metadata.name%3Dcounter")
        writers = [Writer(server, number) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        assert kill_core_workers_until_done(server, writers) >= 2

        status, final = Client(server).ask("GET", PATH)
        assert status == 200 and final["data"]["n"] == str(WRITERS * INCREMENTS)
        assert sum(writer.acknowledged + writer.found for writer in writers) == WRITERS * INCREMENTS
        last = int(final["metadata"]["resourceVersion"])
        wait_for(lambda: bool(informer.seen) and informer.seen[-1][1] >= last, 20, "the informer to catch up")
        wait_for(lambda: bool(watcher.outcome) or (bool(watcher.seen) and watcher.seen[-1][2] >= last), 20, "the watch")
        assert watcher.outcome == "", (watcher.seen[-1:], server.whole_logs()[-20_000:])
        informer.stop()
        told = [revision for kind, revision in informer.seen if kind == "MODIFIED"]
        assert len(told) == WRITERS * INCREMENTS and told == sorted(set(told))
        assert informer.relisted == 1
        assert watcher.revisions()[1:] == told and watcher.outcome == "", "one watch, which never ended"
        watcher.close()
