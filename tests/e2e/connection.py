"""Connections that stay open, and watches as they come over the wire."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from typing import Any

from tests.running import RunningServer

Event = tuple[str, str, int]


def connect(server: RunningServer, timeout: float = 30) -> http.client.HTTPSConnection:
    """A connection as the administrator."""
    host, _, port = server.url.removeprefix("https://").partition(":")
    return http.client.HTTPSConnection(host, int(port), timeout=timeout, context=server.admin_tls())


class Client:
    """One client, on one connection as long as that holds."""

    def __init__(self, server: RunningServer) -> None:
        self._connection = connect(server, 10)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer; status 0 if no answer came, and so nobody knows what has happened."""
        data = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, data, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return 0, None


class Watcher(threading.Thread):
    """One watch: `seen` is the type, name and resourceVersion of each event; `outcome` how it ended, "" while it lasts."""

    def __init__(self, server: RunningServer, target: str, accept: str = "application/json") -> None:
        super().__init__(daemon=True)
        self.seen: list[Event] = []
        self.outcome = ""
        self._connection = connect(server)
        self._connection.request("GET", target, headers={"Accept": accept})
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200, self._answer.read()
        self.start()

    def run(self) -> None:
        try:
            while line := self._answer.readline():
                self.seen.append(_facts(json.loads(line)))
            self.outcome = "ended"
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.outcome = repr(error)

    def close(self) -> None:
        """Break the connection off; waits until the thread has noticed."""
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)
        self.join(5)
        self._connection.close()

    def names(self) -> list[str]:
        """The names of the objects, in the order of the events that are no bookmarks."""
        return [name for kind, name, _ in self.seen if kind != "BOOKMARK"]

    def revisions(self) -> list[int]:
        """The resourceVersions of the events that are no bookmarks."""
        return [revision for kind, _, revision in self.seen if kind != "BOOKMARK"]


def _facts(event: dict[str, Any]) -> Event:
    """A table's event tells of the object in its only row."""
    obj = event["object"]
    rows = obj.get("rows")
    metadata = (rows[0]["object"] if rows else obj).get("metadata", {})
    return event["type"], metadata.get("name", ""), int(metadata.get("resourceVersion") or 0)
