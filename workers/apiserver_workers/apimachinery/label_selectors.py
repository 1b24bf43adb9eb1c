"""metav1.LabelSelector: the selector that objects carry as a structure (helpers.go, LabelSelectorAsSelector)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def label_selector_matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a valid LabelSelector selects the labels. None selects nothing, an empty selector everything."""
    if selector is None:
        return False
    for name, value in (selector.get("matchLabels") or {}).items():
        if labels.get(name) != value:
            return False
    return all(_holds(requirement, labels) for requirement in selector.get("matchExpressions") or ())


def label_selector_text(selector: Mapping[str, Any]) -> str:
    """The selector as a query says it; "" selects everything."""
    terms = [f"{name}={value}" for name, value in (selector.get("matchLabels") or {}).items()]
    return ",".join([*terms, *(_term(requirement) for requirement in selector.get("matchExpressions") or ())])


def _term(requirement: Mapping[str, Any]) -> str:
    name, operator = requirement["key"], requirement["operator"]
    if operator in ("In", "NotIn"):
        return f"{name} {operator.lower()} ({','.join(requirement.get('values') or ())})"
    return str(name) if operator == "Exists" else f"!{name}"


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    name, operator, values = requirement["key"], requirement["operator"], requirement.get("values") or ()
    if operator == "In":
        return name in labels and labels[name] in values
    if operator == "NotIn":
        return name not in labels or labels[name] not in values
    return (name in labels) == (operator == "Exists")
