import pytest
from apiserver_workers.storage import history as history_module
from apiserver_workers.storage.entry import JSONEntry
from apiserver_workers.storage.history import History
from apiserver_workers.storage.interface import Event

from tests.storage.objects import value


def event(revision: int, size: int = 0) -> Event:
    return Event("ADDED", JSONEntry(f"/k{revision}", value("a", "x" * size), revision), None)


@pytest.mark.parametrize(("events", "size", "limit"), [(1000, 0, "MAX_EVENTS"), (1000, 100, "MAX_BYTES")])
def test_it_keeps_everything_after_its_floor_within_its_limit(monkeypatch, events, size, limit):
    monkeypatch.setattr(history_module, limit, {"MAX_EVENTS": 64, "MAX_BYTES": 64 * 150}[limit])
    history = History(9)
    assert (history.floor, history.trimmed, list(history.since(9))) == (9, False, [])
    for revision in range(10, 10 + 3 * events, 3):
        history.append(event(revision, size))
        kept = [item.entry.mod_revision for item in history.since(history.floor)]
        assert kept == list(range(history.floor + 3 if history.trimmed else 10, revision + 1, 3))
        assert len(kept) <= 64
    assert history.trimmed
    assert [item.entry.mod_revision for item in history.since(revision - 4)] == [revision - 3, revision]
