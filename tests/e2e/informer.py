"""An informer on the official Python client: list, then watch from there, and again when the server says 410."""

from __future__ import annotations

import threading
from typing import Any

import urllib3
from kubernetes import client, watch


class Informer(threading.Thread):
    """Follows what `list_function` lists. `store` maps names to objects; `seen` are (type, resourceVersion) in order."""

    def __init__(self, list_function: Any, *arguments: str) -> None:
        super().__init__(daemon=True)
        self.list_function, self.arguments = list_function, arguments
        self.store: dict[str, Any] = {}
        self.seen: list[tuple[str, int]] = []
        self.relisted = 0
        self.synced = threading.Event()
        self.ended = threading.Event()
        self._watch = watch.Watch()

    def run(self) -> None:
        version = self._list()
        while not self.ended.is_set():
            try:
                version = self._follow(version)
            except client.ApiException as error:
                if error.status == 410:
                    version = self._list()
                elif error.status not in (429, 500, 503):
                    raise
            except (urllib3.exceptions.HTTPError, OSError):
                continue  # the connection went; the watch goes on where it was

    def _list(self) -> str:
        listed = self.list_function(*self.arguments)
        self.store = {one.metadata.name: one for one in listed.items}
        self.relisted += 1
        self.synced.set()
        return str(listed.metadata.resource_version)

    def _follow(self, version: str) -> str:
        stream = self._watch.stream(self.list_function, *self.arguments, resource_version=version, timeout_seconds=30)
        for event in stream:
            one = event["object"]
            version = one.metadata.resource_version
            self.seen.append((event["type"], int(version)))
            if event["type"] == "DELETED":
                self.store.pop(one.metadata.name, None)
            else:
                self.store[one.metadata.name] = one
        return version

    def stop(self) -> None:
        self.ended.set()
        self._watch.stop()
