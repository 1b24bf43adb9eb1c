"""The APIServices as a front worker knows them: which group versions another server answers, and what discovery lists.

Fed by an informer; everything a request asks is one lookup in `remote`, which is empty on most servers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from apiserver_workers.server.aggregation.api_service import APIService, api_service
from apiserver_workers.storage.interface import Entry, Event, StorageError

log = logging.getLogger(__name__)


class Registrations:
    """An informer's handler. Whoever follows it is called, with the APIServices before and after a change, by name."""

    def __init__(self) -> None:
        self.services: dict[str, APIService] = {}
        self.remote: dict[tuple[str, str], APIService] = {}
        self.version = 0  # another one after each change
        self._followers: list[Callable[[APIService | None, APIService | None], None]] = []

    def follow(self, changed: Callable[[APIService | None, APIService | None], None]) -> None:
        """Let `changed(before, after)` be called for each change from now on; None for what is not there."""
        self._followers.append(changed)

    def replace(self, entries: list[Entry]) -> None:
        found = {service.name: service for service in filter(None, map(_read, entries))}
        for name in [*self.services.keys() - found.keys(), *found]:
            self._change(name, found.get(name))

    def apply(self, event: Event) -> None:
        service = _read(event.entry)
        if service is not None:
            self._change(service.name, None if event.type == "DELETED" else service)

    def _change(self, name: str, after: APIService | None) -> None:
        before = self.services.get(name)
        if before == after:
            return
        if before is not None and self.remote.get(before.group_version) is before:
            del self.remote[before.group_version]
        if after is None:
            del self.services[name]
        else:
            self.services[name] = after
            if after.service is not None:
                self.remote[after.group_version] = after
        self.version += 1
        for changed in self._followers:
            changed(before, after)

    def in_group(self, group: str) -> Iterable[APIService]:
        """The APIServices of one group."""
        return (service for service in self.services.values() if service.group == group)


def _read(entry: Entry) -> APIService | None:
    try:
        obj: dict[str, Any] = entry.obj
        return api_service(obj)
    except (StorageError, ValueError, KeyError, TypeError) as error:
        log.warning("the APIService at %s cannot be read: %s", entry.key, error)
        return None
