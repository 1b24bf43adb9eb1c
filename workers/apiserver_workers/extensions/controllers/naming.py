"""Names of definitions: which are accepted, and which conflict (apiextensions-apiserver/pkg/controller/status).

`naming_status` decides without I/O; the conditions NamesAccepted and Established (as yet not) say what came of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apiserver_workers.apimachinery.custom.definition import ESTABLISHED, NAMES_ACCEPTED, condition, is_true
from apiserver_workers.extensions.status import with_condition

Object = dict[str, Any]

RESOURCE_NAMES, KIND_NAMES = ("plural", "singular"), ("kind", "listKind")
# The reason of a conflict by the name that is in use.
REASONS = {
    "plural": "PluralConflict",
    "singular": "SingularConflict",
    "kind": "KindConflict",
    "listKind": "ListKindConflict",
}
NOT_ACCEPTED = ("False", "NotAccepted", "not all names are accepted")
INSTALLING = ("False", "Installing", "the initial names have been accepted")


def accepted_of(definition: Object) -> Object:
    """The names that a definition holds."""
    names: Object = (definition.get("status") or {}).get("acceptedNames") or {}
    return names


def naming_status(definition: Object, others: Iterable[Object]) -> Object | None:
    """The status with the names that are the definition's and the conditions about them; None where it is so already.

    `others` are all definitions of the group, this one among them.
    """
    requested, accepted = definition["spec"]["names"], accepted_of(definition)
    if _shape(requested) == _shape(accepted):
        return None
    names, conflict = _decide(requested, accepted, [accepted_of(other) for other in others])
    value = ("False", *conflict) if conflict else ("True", "NoConflicts", "no conflicts found")
    status = definition.get("status") or {}
    held = condition(definition, NAMES_ACCEPTED) or {}
    if _shape(names) == _shape(accepted) and value == tuple(held.get(part) for part in ("status", "reason", "message")):
        return None
    status = with_condition({**status, "acceptedNames": names}, NAMES_ACCEPTED, *value)
    if is_true(definition, ESTABLISHED):
        return status
    before = condition(definition, ESTABLISHED)
    if not conflict:
        return with_condition(status, ESTABLISHED, *INSTALLING)
    return status if before is not None else with_condition(status, ESTABLISHED, *NOT_ACCEPTED)


def _decide(requested: Object, accepted: Object, held: list[Object]) -> tuple[Object, tuple[str, str] | None]:
    """The names after this round, and the last conflict: its reason and message."""
    names = dict(accepted)
    conflict = None
    resources = {name[field] for name in held for field in RESOURCE_NAMES if name.get(field)}
    resources |= {short for name in held for short in name.get("shortNames") or ()}
    kinds = {name[field] for name in held for field in KIND_NAMES if name.get(field)}
    for field in ("plural", "singular", "shortNames", "kind", "listKind"):
        if field == "shortNames":
            taken = _taken_short_names(requested, accepted, resources)
            if taken:
                conflict = "ShortNamesConflict", taken
                continue
        else:
            wanted, used = requested.get(field, ""), resources if field in RESOURCE_NAMES else kinds
            if wanted != accepted.get(field, "") and wanted in used:
                conflict = REASONS[field], f'"{wanted}" is already in use'
                continue
        _take_over(names, requested, field)
    _take_over(names, requested, "categories")
    return names, conflict


def _taken_short_names(requested: Object, accepted: Object, resources: set[str]) -> str:
    """What is said of short names that are in use, as an aggregate of errors."""
    own = set(accepted.get("shortNames") or ())
    taken = [name for name in requested.get("shortNames") or () if name not in own and name in resources]
    texts = list(dict.fromkeys(f'"{name}" is already in use' for name in taken))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]" if texts else ""


def _take_over(names: Object, requested: Object, field: str) -> None:
    if requested.get(field):
        names[field] = requested[field]
    else:
        names.pop(field, None)


def _shape(names: Object) -> Object:
    """Names without what is empty."""
    return {field: value for field, value in names.items() if value}
