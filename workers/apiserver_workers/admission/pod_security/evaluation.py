"""Which checks a level consists of in a version, and what they say of a pod."""

from __future__ import annotations

import functools

from apiserver_workers.admission.pod_security import baseline, restricted
from apiserver_workers.admission.pod_security.checks import Checker, Object, Violation
from apiserver_workers.admission.pod_security.levels import PRIVILEGED, RESTRICTED, LevelVersion


@functools.lru_cache(maxsize=256)
def checks_of(wanted: LevelVersion) -> tuple[Checker, ...]:
    """The checks of a level in a version, those of the level below first."""
    if wanted.level == PRIVILEGED:
        return ()
    strict = []
    overridden: set[str] = set()
    if wanted.level == RESTRICTED:
        for check in restricted.CHECKS:
            if checker := check.at(wanted.minor):
                strict.append(checker)
                overridden.update(check.overrides)
    kept = [check.at(wanted.minor) for check in baseline.CHECKS if check.name not in overridden]
    return (*(checker for checker in kept if checker), *strict)


def evaluate(wanted: LevelVersion, metadata: Object, spec: Object) -> list[Violation]:
    """All that the pod violates."""
    return [found for check in checks_of(wanted) if (found := check(metadata, spec))]


def details(violations: list[Violation]) -> str:
    """Reasons with their details, as messages list them."""
    return ", ".join(f"{reason} ({detail})" for reason, detail in violations)


def reasons(violations: list[Violation]) -> str:
    """Reasons alone."""
    return ", ".join(violation.reason for violation in violations)
