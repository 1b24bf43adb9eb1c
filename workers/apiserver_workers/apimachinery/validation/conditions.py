"""metav1.Condition lists (k8s.io/apimachinery/pkg/apis/meta/v1/validation ValidateConditions)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    invalid,
    not_supported,
    required,
    too_long,
)

STATUSES = ("False", "True", "Unknown")
LONGEST_REASON, LONGEST_MESSAGE = 1024, 32 * 1024
REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
REASON_TEXT = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'"  # fmt: skip

is_condition_reason = names.pattern_checker(
    REASON, REASON_TEXT, "my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB"
)


def validate_conditions(conditions: list[dict[str, Any]] | None, path: str) -> Errors:
    """Each condition is complete, and its type is there once."""
    errors: Errors = []
    seen: set[str] = set()
    for at, condition in each(path, conditions):
        kind = condition.get("type", "")
        if kind in seen:
            errors.append(duplicate(f"{at}.type", kind))
        seen.add(kind)
        errors += _validate_condition(condition, at)
    return errors


def _validate_condition(condition: dict[str, Any], path: str) -> Errors:
    kind, status, reason = (condition.get(field, "") for field in ("type", "status", "reason"))
    errors = [invalid(f"{path}.type", kind, fault) for fault in names.is_qualified_name(kind)]
    if status not in STATUSES:
        errors.append(not_supported(f"{path}.status", status, STATUSES))
    generation = condition.get("observedGeneration") or 0
    if generation < 0:
        errors.append(invalid(f"{path}.observedGeneration", generation, "must be greater than or equal to zero"))
    if not condition.get("lastTransitionTime"):
        errors.append(required(f"{path}.lastTransitionTime"))
    if not reason:
        errors.append(required(f"{path}.reason"))
    else:
        errors += [invalid(f"{path}.reason", reason, fault) for fault in is_condition_reason(reason)]
        if names.byte_length(reason) > LONGEST_REASON:
            errors.append(too_long(f"{path}.reason", LONGEST_REASON))
    if names.byte_length(condition.get("message") or "") > LONGEST_MESSAGE:
        errors.append(too_long(f"{path}.message", LONGEST_MESSAGE))
    return errors
