"""The clients: swaps of shared counters, objects made and deleted, reads, watches. Each knows what it may believe."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.chaos.linearizability import CONFLICT, OK, UNKNOWN, Operation
from tests.chaos.records import Answer, Records
from tests.running import RunningServer

NAMESPACE = "chaos"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
SECRETS = f"/api/v1/namespaces/{NAMESPACE}/secrets"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
LONG = f"/api/v1/namespaces/{NAMESPACE}-long/configmaps"  # an answer that no socket's buffer holds
READS = (
    LONG,
    f"{CONFIG_MAPS}?limit=20",
    f"{CONFIG_MAPS}?resourceVersion=0&labelSelector=none",
    f"/api/v1/namespaces/{NAMESPACE}",
    CRDS,
    "/apis/apps/v1/deployments",
    "/apis",
    "/version",
)
LONG_OBJECTS = 60
KEYS = ("k0", "k1", "k2")
TIMEOUT = 40.0
PAUSE = (0.02, 0.15)  # between the requests of a client
AFTER_A_FAILURE = 0.2


class Connection:
    """A kept connection to one server. Every request that does not succeed is recorded."""

    def __init__(self, server: RunningServer, number: int, records: Records) -> None:
        host, _, port = server.url.removeprefix("https://").partition(":")
        self._address, self._tls = (host, int(port)), server.admin_tls()
        self._open: http.client.HTTPSConnection | None = None
        self._records = records
        self.number = number
        self.begin = self.end = 0.0

    def ask(self, method: str, path: str, body: Any = None, *, expected: tuple[int, ...] = ()) -> tuple[int, Any]:
        """Status and answer; status 0 if no answer came. Failures that are not `expected` are recorded."""
        self._records.count(f"{method} requests")
        self.begin = time.monotonic()
        status, answer, retry_after = self._try(method, path, body)
        self.end = time.monotonic()
        if not 200 <= status < 300 and status not in expected:
            failure = Answer(
                f"{method} {path}", self.number, self.begin, self.end, status, method == "GET", retry_after
            )
            self._records.failures.append(failure)
            time.sleep(AFTER_A_FAILURE)
        return status, answer

    def _try(self, method: str, path: str, body: Any) -> tuple[int, Any, bool]:
        if self._open is None:
            self._open = http.client.HTTPSConnection(*self._address, timeout=TIMEOUT, context=self._tls)
        try:
            data = None if body is None else json.dumps(body)
            self._open.request(method, path, data, {"Content-Type": "application/json"})
            answer = self._open.getresponse()
            content = answer.read()
            parsed = json.loads(content) if "json" in (answer.headers["Content-Type"] or "") else content
            return answer.status, parsed, "Retry-After" in answer.headers
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
            return 0, None, False

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class Client(threading.Thread):
    """Does `act` again and again until it is told to stop."""

    def __init__(self, servers: list[RunningServer], records: Records, seed: int) -> None:
        super().__init__(daemon=True)
        self.chance = random.Random(seed)
        self.records = records
        self.connections = [Connection(server, number, records) for number, server in enumerate(servers)]
        self._told_to_stop = threading.Event()

    def run(self) -> None:
        while not self._told_to_stop.wait(self.chance.uniform(*PAUSE)):
            try:
                self.act(self.chance.choice(self.connections))
            except Exception as error:  # a client that dies would hide what comes after
                self.records.violate("answers that make no sense", f"{type(self).__name__}: {error!r}")

    def act(self, connection: Connection) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        self._told_to_stop.set()


class Reader(Client):
    """Reads what any server must always answer, and creations that have been acknowledged."""

    made: Callable[[], list[str]]

    def act(self, connection: Connection) -> None:
        made = self.made()
        if made and self.chance.random() < 0.5:
            name = self.chance.choice(made)
            status, answer = connection.ask("GET", f"{SECRETS}/{name}")
            if status == 404:
                self.records.violate("acknowledged writes lost", f"{name} is not there")
            elif status == 200 and answer["metadata"]["name"] != name:
                self.records.violate("wrong answers", f"asked for {name}, got {answer['metadata']['name']}")
        else:
            connection.ask("GET", self.chance.choice(READS))


class Maker(Client):
    """Makes objects with names of their own. `made` are acknowledged; of those in `unknown` nobody knows."""

    def __init__(self, servers: list[RunningServer], records: Records, seed: int, number: int) -> None:
        super().__init__(servers, records, seed)
        self.made: list[str] = []
        self.unknown: list[str] = []
        self._number = number
        self._next = 0

    def act(self, connection: Connection) -> None:
        self._next += 1
        name = f"m{self._number}-{self._next:05}"
        status, answer = connection.ask("POST", SECRETS, {"metadata": {"name": name}})
        if status == 201:
            self.made.append(name)
            self.records.count("acknowledged creations")
        elif status == 409:
            self.records.violate("writes done twice", f"creation of {name}: {answer}")
        else:
            self.unknown.append(name)


class Swapper(Client):
    """Reads a key, then swaps its value for a new one by its resourceVersion. `history` is for the checker."""

    def __init__(self, servers: list[RunningServer], records: Records, seed: int, number: int) -> None:
        super().__init__(servers, records, seed)
        self.history: dict[str, list[Operation]] = {key: [] for key in KEYS}
        self._number = number
        self._next = 0

    def act(self, connection: Connection) -> None:
        key = self.chance.choice(KEYS)
        path = f"{CONFIG_MAPS}/{key}"
        status, obj = connection.ask("GET", path)
        if status != 200:
            return
        seen = obj["data"]["value"]
        self._note(key, "read", connection, seen, None, OK)
        if self.chance.random() < 0.3:
            return
        self._next += 1
        value = f"{self._number}.{self._next}"
        obj["data"]["value"] = value
        server = self.chance.choice(self.connections)
        status, _ = server.ask("PUT", path, obj, expected=(409,))
        outcome = {200: OK, 409: CONFLICT}.get(status, UNKNOWN)
        if status != 429:
            self._note(key, "swap", server, value, seen, outcome)
            self.records.count(f"swaps {outcome}")

    def _note(
        self, key: str, kind: str, connection: Connection, value: str, expected: str | None, outcome: str
    ) -> None:
        one = Operation(kind, connection.begin, connection.end, value, expected, outcome, str(self._number))
        self.history[key].append(one)


class Watcher(threading.Thread):
    """A watch that goes on from the last event when it breaks off. `seen`: type, name and revision of each event."""

    def __init__(self, server: RunningServer, number: int, path: str, version: int, records: Records) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[str, str, int]] = []
        self.path = path
        self.version = version
        self._connection = Connection(server, number, records)
        self._records = records
        self._stopping = False
        self._socket: socket.socket | None = None

    def run(self) -> None:
        while not self._stopping:
            begin = time.monotonic()
            status = self._watch()
            if self._stopping:
                return
            end = time.monotonic()
            if status == 200:  # what broke it off has just happened
                begin = end
            self._records.ended_watches.append(
                Answer(f"watch of {self.path}", self._connection.number, begin, end, status, reads=True)
            )
            time.sleep(AFTER_A_FAILURE)

    def _watch(self) -> int:
        connection = http.client.HTTPSConnection(
            *self._connection._address, timeout=TIMEOUT, context=self._connection._tls
        )
        try:
            connection.request("GET", f"{self.path}?watch=true&allowWatchBookmarks=true&resourceVersion={self.version}")
            answer = connection.getresponse()
            if answer.status != 200:
                return answer.status
            assert connection.sock is not None
            self._socket = connection.sock
            connection.sock.settimeout(None)
            while line := answer.readline():
                self._take(json.loads(line))
            return 200
        except (OSError, http.client.HTTPException, ValueError):
            return 200 if self._socket is not None else 0
        finally:
            self._socket = None
            connection.close()

    def _take(self, event: dict[str, Any]) -> None:
        metadata = event["object"].get("metadata", {})
        if event["type"] == "ERROR":
            self._records.violate("watch gaps", f"{self.path}: {event['object']}")
            return
        revision = int(metadata["resourceVersion"])
        if event["type"] != "BOOKMARK":
            if revision <= self.version:
                text = f"{self.path}: {event['type']} {metadata['name']} of {revision} after {self.version}"
                self._records.violate("watch events twice or out of order", text)
            self.seen.append((event["type"], metadata["name"], revision))
            self._records.count("watch events")
        self.version = max(self.version, revision)

    def stop(self) -> None:
        self._stopping = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
