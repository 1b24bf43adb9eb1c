"""Optimistic locking under fire: no increment is lost and no event is missed while core workers are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from pathlib import Path

from kubernetes import client, config

from tests.e2e.informer import Informer
from tests.running import RunningServer, wait_for

WRITERS, INCREMENTS = 8, 500
PATH = "/api/v1/namespaces/default/configmaps/counter"


class Writer(threading.Thread):
    """Increments the counter by reading it and putting it back; a write whose outcome is unknown is read back."""

    def __init__(self, server: RunningServer, number: int) -> None:
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.done = 0

    def run(self) -> None:
        while self.done < INCREMENTS:
            self.done += self._increment()

    def _increment(self) -> bool:
        mark = f"w{self.number}-{self.done}"
        while True:
            status, obj = self._call("GET")
            if status != 200:
                continue
            if obj["data"].get(f"w{self.number}") == mark:
                return True  # an earlier attempt, of which no answer came, did it
            obj["data"]["n"] = str(int(obj["data"]["n"]) + 1)
            obj["data"][f"w{self.number}"] = mark
            status, _ = self._call("PUT", obj)
            if status == 200:
                return True

    def _call(self, method: str, body: object = None) -> tuple[int, dict]:
        try:
            status, answer = self.server.request(method, PATH, body, timeout=10)
        except OSError:
            return 0, {}
        assert status in (200, 409, 429, 500, 503, 504), answer
        return status, json.loads(answer)


def test_no_increment_is_lost_while_workers_die(tmp_path: Path) -> None:
    chance = random.Random(7)
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10", "--core-workers=2") as server:
        counter = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "counter"}, "data": {"n": "0"}}
        assert server.request("POST", "/api/v1/namespaces/default/configmaps", counter)[0] == 201
        api = client.CoreV1Api(config.new_client_from_config(str(server.kubeconfig)))
        informer = Informer(api.list_namespaced_config_map, "default")
        informer.start()
        assert informer.synced.wait(10)
        writers = [Writer(server, number) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        kills = 0
        while any(writer.is_alive() for writer in writers):
            time.sleep(chance.uniform(1.0, 3.0))
            workers = server.processes("core worker")
            if workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
                kills += 1
        assert kills >= 2
        status, final = server.request("GET", PATH)
        assert status == 200 and json.loads(final)["data"]["n"] == str(WRITERS * INCREMENTS)
        last = int(json.loads(final)["metadata"]["resourceVersion"])
        wait_for(lambda: bool(informer.seen) and informer.seen[-1][1] >= last, 20, "the watcher to catch up")
        informer.stop()
        events = [revision for kind, revision in informer.seen if kind == "MODIFIED"]
        assert len(events) == WRITERS * INCREMENTS and events == sorted(set(events))
        assert informer.relisted == 1
