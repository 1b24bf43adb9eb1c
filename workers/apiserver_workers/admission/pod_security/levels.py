"""The levels of pod security, and the policy that a namespace's labels ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from apiserver_workers.apimachinery.integers import whole
from apiserver_workers.apimachinery.validation.field import Errors, invalid, key

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)  # each stricter than the one before
PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
LATEST = 1 << 30  # above every minor version
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]*)")


class LevelVersion(NamedTuple):
    """A level as one minor version of Kubernetes defined it."""

    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"


class Policy(NamedTuple):
    """What a namespace asks for."""

    enforce: LevelVersion
    audit: LevelVersion
    warn: LevelVersion


UNRESTRICTED = Policy(LevelVersion(), LevelVersion(), LevelVersion())


def policy_of(labels: Mapping[str, str] | None) -> tuple[Policy, Errors]:
    """The policy that the labels ask for, and what is wrong with them. What does not parse is restricted where it
    enforces, privileged elsewhere, and the latest version.
    """
    if not labels:
        return UNRESTRICTED, []
    errors: Errors = []
    found = [_mode(labels, mode, errors) for mode in MODES]
    return Policy(*found), errors


def _mode(labels: Mapping[str, str], mode: str, errors: Errors) -> LevelVersion:
    level = labels.get(PREFIX + mode, PRIVILEGED)
    if level not in LEVELS:
        why = f"must be one of {', '.join(LEVELS)}"
        errors.append(invalid(key("metadata.labels", PREFIX + mode), level, why))
        level = RESTRICTED if mode == "enforce" else PRIVILEGED
    version = labels.get(f"{PREFIX}{mode}-version", "latest")
    if version == "latest":
        return LevelVersion(level, LATEST)
    match = _VERSION.fullmatch(version)
    if match is None:
        errors.append(invalid(key("metadata.labels", f"{PREFIX}{mode}-version"), version, 'must be "latest" or "v1.x"'))
        return LevelVersion(level, LATEST)
    return LevelVersion(level, whole(match[1]))
