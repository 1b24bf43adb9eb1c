"""The order of API versions, and of groups and their versions in discovery."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

# groupPriorityMinimum and versionPriority of a group that no table knows
CUSTOM_PRIORITIES = (1000, 100)
PRIORITIES = Path(__file__).parent / "data" / "priorities.json"

_KUBE_VERSION = re.compile(r"v([1-9][0-9]*)(?:(alpha|beta)([1-9][0-9]*))?")
_STABILITY = {None: 2, "beta": 1, "alpha": 0}


def version_rank(version: str) -> tuple[int, int, int]:
    """What versions are ordered by, the highest first: v10 > v2 > v11beta2 > v10beta3 > v3alpha1 > anything else."""
    match = _KUBE_VERSION.fullmatch(version)
    if match is None:
        return -1, 0, 0
    major, stability, minor = match.groups()
    return _STABILITY[stability], int(major), int(minor or 0)


@functools.cache
def api_service_priorities() -> dict[tuple[str, str], tuple[int, int]]:
    """(group, version) of built-in APIs -> groupPriorityMinimum and versionPriority of their APIService."""
    groups = json.loads(PRIORITIES.read_text())
    return {(group, version): tuple(of) for group, versions in groups.items() for version, of in versions.items()}
