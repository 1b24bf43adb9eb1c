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
WRONG_LEVEL, WRONG_VERSION = f"must be one of {', '.join(LEVELS)}", 'must be "latest" or "v1.x"'
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


def policy_of(labels: Mapping[str, str] | None, defaults: Policy = UNRESTRICTED) -> tuple[Policy, Errors]:
    """The policy that the labels ask for, and what is wrong with them. What does not parse is restricted where it
    enforces, privileged elsewhere, and the latest version. `defaults` count where a label is not there.
    """
    if not labels:
        return defaults, []
    errors: Errors = []
    found = [_mode(labels, mode, default, errors) for mode, default in zip(MODES, defaults, strict=True)]
    policy = Policy(*found)
    enforce, warn = policy.enforce, policy.warn
    explicit = labels.get(PREFIX + "enforce") in LEVELS and PREFIX + "warn" not in labels
    if explicit and LEVELS.index(enforce.level) > LEVELS.index(warn.level):
        # whoever enforces a level wants to hear of what it will refuse, too
        minor = warn.minor if PREFIX + "warn-version" in labels else enforce.minor
        policy = policy._replace(warn=LevelVersion(enforce.level, minor))
    return policy, errors


def _mode(labels: Mapping[str, str], mode: str, default: LevelVersion, errors: Errors) -> LevelVersion:
    given, asked = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
    if given is None and asked is None:
        return default
    level = default.level if given is None else given
    if level not in LEVELS:
        errors.append(invalid(key("metadata.labels", PREFIX + mode), level, WRONG_LEVEL))
        level = RESTRICTED if mode == "enforce" else PRIVILEGED
    if asked is None:
        return LevelVersion(level, default.minor)
    minor = minor_of(asked)
    if minor is None:
        errors.append(invalid(key("metadata.labels", f"{PREFIX}{mode}-version"), asked, WRONG_VERSION))
    return LevelVersion(level, LATEST if minor is None else minor)


def minor_of(version: str) -> int | None:
    """The minor version of `v1.x`, or that of `latest`; None for anything else."""
    if version == "latest":
        return LATEST
    match = _VERSION.fullmatch(version)
    return None if match is None else whole(match[1])
