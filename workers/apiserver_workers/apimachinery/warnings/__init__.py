"""Warnings about what is valid, but unlikely to be meant (pkg/api/*/warnings.go and WarningsOn... of the strategies).

`KINDS` (kinds.py) has one entry a kind with warnings; for all others asking costs one look into that table.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.warnings.kinds import KINDS

Object = dict[str, Any]

__all__ = ["warn_on_create", "warn_on_update"]


def warn_on_create(info: ResourceInfo, obj: Object) -> list[str]:
    """What is to be said of a new object that passed validation."""
    rules = KINDS.get((info.group, info.kind))
    return [] if rules is None else rules.create(obj)


def warn_on_update(info: ResourceInfo, new: Object, old: Object, subresource: str = "") -> list[str]:
    """What is to be said of an update of the object itself, or through a subresource."""
    rules = KINDS.get((info.group, info.kind))
    if subresource:
        return rules.status(new) if rules is not None and rules.status and subresource == "status" else []
    return [] if rules is None or rules.update is None else rules.update(new, old)
