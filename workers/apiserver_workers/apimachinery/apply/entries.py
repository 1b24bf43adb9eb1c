"""managedFields: one entry a manager, operation, version and subresource.

Entries are plain data (metav1.ManagedFieldsEntry). Those that a write does not change are passed on as they are, so
that an unchanged list is the very same list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver_workers.apimachinery.apply.fields import Fields, canonical, in_text_order, union

Entry = dict[str, Any]

APPLY, UPDATE = "Apply", "Update"
MAX_UPDATE_MANAGERS = 10
ANCIENT_CHANGES = "ancient-changes"


class DecodeError(ValueError):
    """managedFields that a client sent are not well-formed; the message is upstream's."""


def identity(entry: Entry) -> tuple[str, str, str, str]:
    """What makes an entry the same manager's as another: an applier is the same in every version."""
    operation = entry["operation"]
    version = "" if operation == APPLY else entry["apiVersion"]
    return entry.get("manager", ""), operation, version, entry.get("subresource", "")


def new_entry(
    manager: str, operation: str, api_version: str, fields: Fields, *, time: str | None, subresource: str
) -> Entry:
    """An entry with its members in the order of the API type."""
    entry: Entry = {"manager": manager, "operation": operation, "apiVersion": api_version}
    if time:
        entry["time"] = time
    entry["fieldsType"] = "FieldsV1"
    entry["fieldsV1"] = in_text_order(fields)
    if subresource:
        entry["subresource"] = subresource
    return entry


def decode(entries: Any) -> list[Entry]:
    """Entries that a client sent, checked and in our form. Raises DecodeError."""
    if not isinstance(entries, list):
        return []
    decoded = {}
    for number, entry in enumerate(entries):
        if entry.get("operation") not in (APPLY, UPDATE):
            raise DecodeError("operation must be `Apply` or `Update`")
        if not entry.get("apiVersion"):
            raise DecodeError("apiVersion must not be empty")
        fields_type = entry.get("fieldsType", "")
        if not fields_type:
            raise DecodeError(f"missing fieldsType in managed fields entry {number}")
        if fields_type != "FieldsV1":
            raise DecodeError(f'invalid fieldsType "{fields_type}" in managed fields entry {number}')
        try:
            fields = canonical(entry.get("fieldsV1") or {})
        except ValueError as problem:
            raise DecodeError(f"error decoding versioned set: {problem}") from None
        decoded[identity(entry)] = new_entry(
            entry.get("manager", ""),
            entry["operation"],
            entry["apiVersion"],
            fields,
            time=entry.get("time"),
            subresource=entry.get("subresource", ""),
        )
    return [entry for entry in decoded.values() if entry["fieldsV1"]]


def is_reset(entries: Any) -> bool:
    """Whether the client asks to forget all managers: an empty list, or a list of one empty entry."""
    return isinstance(entries, list) and (not entries or (len(entries) == 1 and not entries[0]))


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """The entries in upstream's order."""
    return sorted(entries, key=_order)


def _order(entry: Entry) -> tuple[str, str, str, str, str]:
    return (
        entry["operation"],
        entry.get("time") or "",
        entry.get("manager", ""),
        entry["apiVersion"],
        entry.get("subresource", ""),
    )


def capped(entries: list[Entry]) -> list[Entry]:
    """At most ten updaters: the oldest of a version become one, ancient-changes."""
    updaters = [entry for entry in entries if entry["operation"] == UPDATE]
    excess = len(updaters) - MAX_UPDATE_MANAGERS
    if excess <= 0:
        return entries
    kept = {identity(entry): entry for entry in entries}
    first_of_version: dict[str, Entry] = {}
    for entry in sorted(updaters, key=_order):
        if excess <= 0:
            break
        version = entry["apiVersion"]
        first = first_of_version.setdefault(version, entry)
        if first is entry:
            continue
        bucket = (ANCIENT_CHANGES, UPDATE, version, "")
        # the bucket may be there from before: then the first of the version goes into it in its turn
        base = kept[bucket] if bucket in kept else kept.pop(identity(first))
        fields = union(entry["fieldsV1"], base["fieldsV1"]) or {}
        if entry is not base:
            kept.pop(identity(entry), None)
        kept[bucket] = new_entry(ANCIENT_CHANGES, UPDATE, version, fields, time=entry.get("time"), subresource="")
        excess -= 1
    return list(kept.values())
