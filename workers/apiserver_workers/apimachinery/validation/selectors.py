"""Label selectors as fields of objects (k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import Errors, each, forbidden, invalid, required
from apiserver_workers.apimachinery.validation.meta import validate_label_name

WITH_VALUES, WITHOUT_VALUES = ("In", "NotIn"), ("Exists", "DoesNotExist")


def validate_label_selector(selector: dict[str, Any] | None, path: str, *, check_values: bool = True) -> Errors:
    """Faults of a LabelSelector; an absent one passes. `check_values`: also the values of expressions."""
    errors: Errors = []
    for name, value in sorted(((selector or {}).get("matchLabels") or {}).items()):
        errors += validate_label_name(name, f"{path}.matchLabels")
        errors += [invalid(f"{path}.matchLabels", value, fault) for fault in names.is_label_value(value)]
    for at, requirement in each(f"{path}.matchExpressions", (selector or {}).get("matchExpressions")):
        errors += _validate_requirement(requirement, at, check_values)
    return errors


def _validate_requirement(requirement: dict[str, Any], path: str, check_values: bool) -> Errors:
    errors: Errors = []
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in WITH_VALUES:
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in WITHOUT_VALUES:
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{path}.values", text))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    errors += validate_label_name(requirement.get("key", ""), f"{path}.key")
    if check_values:
        for at, value in each(f"{path}.values", values):
            errors += [invalid(at, value, fault) for fault in names.is_label_value(value)]
    return errors


def is_empty(selector: dict[str, Any] | None) -> bool:
    """A selector that selects everything (or nothing, where it is absent)."""
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))
