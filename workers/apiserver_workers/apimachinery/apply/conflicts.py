"""Conflicts: an apply would change fields that other managers own."""

from __future__ import annotations

import orjson

from apiserver_workers.apimachinery.apply.entries import UPDATE, Entry, identity
from apiserver_workers.apimachinery.apply.fields import intersection, paths
from apiserver_workers.apimachinery.apply.tracking import Update
from apiserver_workers.apimachinery.errors import ApiError

# One field of another manager that an apply would change: the manager's entry and the path.
Conflict = tuple[Entry, str]


class Conflicts(ApiError):
    """Applying would change fields that others own; `found` says which."""

    def __init__(self, found: list[Conflict]) -> None:
        self.found = found
        causes = [
            {"reason": "FieldManagerConflict", "message": f"conflict with {manager_text(entry)}", "field": path}
            for entry, path in found
        ]
        super().__init__(409, "Conflict", _conflict_message(found), {"causes": causes})


def find_conflicts(update: Update, others: list[Entry]) -> list[Conflict]:
    found = []
    for entry in sorted(others, key=identity):
        differs = update.in_version(entry["apiVersion"])
        if differs is not None:
            found += [(entry, path) for path in paths(intersection(entry["fieldsV1"], differs[0]))]
    return found


def _conflict_message(found: list[Conflict]) -> str:
    if len(found) == 1:
        entry, path = found[0]
        return f"Apply failed with 1 conflict: conflict with {manager_text(entry)}: {path}"
    by_manager: dict[tuple[str, ...], tuple[Entry, list[str]]] = {}
    for entry, path in found:
        by_manager.setdefault(identity(entry), (entry, []))[1].append(path)
    lines = []
    for entry, listed in by_manager.values():
        lines.append(f"conflicts with {manager_text(entry)}:")
        lines += [f"- {path}" for path in listed]
    return f"Apply failed with {len(found)} conflicts: " + "\n".join(lines)


def manager_text(entry: Entry) -> str:
    """A manager as messages of conflicts name it."""
    text = orjson.dumps(entry.get("manager", "")).decode()
    if entry.get("subresource"):
        text += f' with subresource "{entry["subresource"]}"'
    return f"{text} using {entry['apiVersion']}" if entry["operation"] == UPDATE else text
