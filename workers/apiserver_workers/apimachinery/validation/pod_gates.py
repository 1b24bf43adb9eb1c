"""Pods that wait behind scheduling gates may narrow where they can run (pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation.field import Errors, each, invalid
from apiserver_workers.apimachinery.validation.scheduling import REQUIRED

Object = dict[str, Any]
ONLY_ADDITIONS = "only additions are allowed (no mutations or deletions)"
SELECTOR_ADDITIONS = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"


def validate_gated(munged: Object, old: Object) -> Errors:
    """The faults of a gated pod's new node selector and affinity; in `munged` they become what they are in `old`."""
    errors: Errors = []
    now, before = munged.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if any(now.get(name) != value for name, value in before.items()):
        errors.append(invalid("spec.nodeSelector", now, SELECTOR_ADDITIONS))
    if "nodeSelector" in old:
        munged["nodeSelector"] = old["nodeSelector"]
    else:
        munged.pop("nodeSelector", None)
    affinity, held = munged.get("affinity"), old.get("affinity")
    node, held_node = (affinity or {}).get("nodeAffinity"), (held or {}).get("nodeAffinity")
    if node == held_node:
        return errors
    errors += _validate_node_affinity(node, held_node, "spec.affinity.nodeAffinity")
    rest = {name: value for name, value in (affinity or {}).items() if name != "nodeAffinity"}
    if held_node is not None:
        munged["affinity"] = {**rest, "nodeAffinity": held_node}
    elif held is None and not rest:
        munged.pop("affinity", None)
    else:
        munged["affinity"] = rest
    return errors


def _validate_node_affinity(now: Object | None, before: Object | None, path: str) -> Errors:
    """validateNodeAffinityMutation: required terms stay, each with more requirements at most."""
    held = (before or {}).get(REQUIRED)
    if held is None:
        return []
    at = f"{path}.{REQUIRED}.nodeSelectorTerms"
    old_terms, terms = (
        held.get("nodeSelectorTerms") or [],
        ((now or {}).get(REQUIRED) or {}).get("nodeSelectorTerms") or [],
    )
    if len(old_terms) != len(terms):
        text = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [invalid(at, terms, text)]
    errors: Errors = []
    for (place, term), old in zip(each(at, terms), old_terms, strict=True):
        for field in ("matchExpressions", "matchFields"):
            had, has = old.get(field) or [], term.get(field) or []
            if has[: len(had)] != had:
                errors.append(invalid(place, term, ONLY_ADDITIONS))
                break
    return errors
