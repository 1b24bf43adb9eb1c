"""The map against a plain dict, under random writes."""

import random

import orjson
import pytest
from apiserver_workers.storage.entry import JSONEntry
from apiserver_workers.storage.entry_map import MAX_SEGMENT, EntryMap, as_body

from tests.storage.objects import value


def entry(key: str, revision: int) -> JSONEntry:
    return JSONEntry(key, value(key.rsplit("/", 1)[1]), revision)


def check(entries: EntryMap, model: dict[str, JSONEntry], prefix: str) -> None:
    wanted = [model[key] for key in sorted(model) if (key.startswith(prefix) if prefix[-1] == "/" else key == prefix)]
    assert entries.range(prefix) == wanted
    assert b"".join(entries.bodies(prefix)) == b",".join(item.item for item in wanted)


@pytest.mark.parametrize("seed", range(4))
def test_it_behaves_like_a_sorted_dict(seed):
    dice = random.Random(seed)
    entries, model = EntryMap(), {}
    for revision in range(1, 4000):
        key = f"/r/n{dice.randrange(4)}/o{dice.randrange(900)}"
        if key in model and dice.random() < (0.2 if revision < 2500 else 0.9):
            entries.remove(key)
            del model[key]
        else:
            model[key] = entry(key, revision)
            entries.put(model[key])
        if revision % 97 == 0:
            for prefix in ("/r/", f"/r/n{dice.randrange(5)}/", key, "/r/n1/o1", "/q/", "/s/"):
                check(entries, model, prefix)
    assert len(entries) == len(model)
    for key in list(model):
        entries.remove(key)
    assert (entries.range("/r/"), entries.bodies("/r/"), len(entries)) == ([], [], 0)


def test_a_write_copies_one_segment_only():
    entries = EntryMap()
    for number in range(5000):
        entries.put(entry(f"/r/n/{number:04}", number + 1))
    before = entries.bodies("/r/")
    entries.put(entry("/r/n/2500", 9999))
    after = entries.bodies("/r/")
    assert len(before) < 2 * 5000 / MAX_SEGMENT * 2 + 2
    assert sum(one is not other for one, other in zip(before, after, strict=True)) == 1


def test_a_list_of_custom_resources_repeats_the_kind():
    entries = EntryMap(as_body)
    entries.put(entry("/r/n/a", 1))
    assert orjson.loads(b"[" + b"".join(entries.bodies("/r/")) + b"]")[0]["kind"] == "ConfigMap"


def test_a_snapshot_is_not_changed_by_later_writes():
    entries = EntryMap()
    entries.put(entry("/r/n/a", 1))
    snapshot = entries.range("/r/")
    entries.put(entry("/r/n/a", 2))
    entries.put(entry("/r/n/b", 3))
    assert [item.mod_revision for item in snapshot] == [1]
