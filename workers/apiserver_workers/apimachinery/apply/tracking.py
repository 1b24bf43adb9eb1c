"""What a write takes from other managers: the difference of two objects, in every version that somebody used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.apply.compare import Difference, compare
from apiserver_workers.apimachinery.apply.entries import Entry
from apiserver_workers.apimachinery.apply.fields import difference
from apiserver_workers.apimachinery.apply.plan import owned_plan
from apiserver_workers.apimachinery.apply.reset import Reset
from apiserver_workers.apimachinery.types import Type

Object = dict[str, Any]

# The object in another version with its type, or None when the kind has no such version (any more).
Converter = Callable[[Object, str], tuple[Type, Object] | None]


def without_entries(obj: Object) -> Object:
    """The object as managers see it, without managedFields."""
    metadata = obj.get("metadata")
    if not metadata or "managedFields" not in metadata:
        return obj
    return {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}


class Update:
    """The comparison of two objects, in the version of the write and in those that other managers used."""

    def __init__(
        self, type: Type, old: Object, new: Object, version: str, *, reset: Reset | None, convert: Converter | None
    ) -> None:
        self.old = old
        self.new = new
        self.reset = reset
        self.convert = convert
        self.versions: dict[str, Difference | None] = {version: self._compare(type, old, new)}
        self.changed = self.versions[version][0]  # type: ignore[index]

    def _compare(self, type: Type, old: Object, new: Object) -> Difference:
        changed, removed = compare(owned_plan(type), old, new)
        if self.reset is not None:
            return self.reset(changed), self.reset(removed)
        return changed, removed

    def in_version(self, version: str) -> Difference | None:
        """What differs, in that version; None when the kind has no such version."""
        if version not in self.versions:
            self.versions[version] = self._convert(version)
        return self.versions[version]

    def _convert(self, version: str) -> Difference | None:
        if self.convert is None:
            return None
        old, new = self.convert(self.old, version), self.convert(self.new, version)
        if old is None or new is None:
            return None
        return self._compare(new[0], old[1], new[1])

    def transfer(self, entries: list[Entry]) -> list[Entry]:
        """The entries without the fields that this write took or removed; the very same list when none did."""
        result = []
        same = True
        for entry in entries:
            differs = self.in_version(entry["apiVersion"])
            if differs is None:
                same = False
                continue
            owned = entry["fieldsV1"]
            rest = difference(difference(owned, differs[0]), differs[1])
            if rest is not owned or not rest:
                same = False
                if not rest:
                    continue
                entry = {**entry, "fieldsV1": rest}
            result.append(entry)
        return entries if same else result
