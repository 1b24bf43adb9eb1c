"""Stored values for tests."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver_workers.storage.interface import Event


def value(name: str = "a", data: str = "", uid: str = "u") -> bytes:
    return b'{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"%b","uid":"%b"},"data":{"a":"%b"}}' % (
        name.encode(),
        uid.encode(),
        data.encode(),
    )


def shape(events: Sequence[Event]) -> list[tuple[str, str, int]]:
    """Type, last part of the key and revision of each event."""
    return [(event.type, event.entry.key.rsplit("/", 1)[1], event.entry.mod_revision) for event in events]
