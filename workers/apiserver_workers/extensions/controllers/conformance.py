"""Conditions that say how a definition conforms: its schemas' structure, and the approval that its group needs.

Upstream: apiextensions-apiserver/pkg/controller/nonstructuralschema, pkg/controller/apiapproval.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.custom.definition import condition, schema_of, versions
from apiserver_workers.apimachinery.structural.model import StructuralError, structural_of
from apiserver_workers.apimachinery.validation.definitions.approval import (
    APPROVED,
    BYPASSED,
    INVALID,
    MISSING,
    approval,
    is_protected,
)
from apiserver_workers.apimachinery.validation.definitions.default_values import aggregate
from apiserver_workers.apimachinery.validation.definitions.structure import structure_faults
from apiserver_workers.apimachinery.validation.field import Errors, invalid
from apiserver_workers.extensions.status import with_condition

Object = dict[str, Any]
# The status, reason and message of a condition.
Verdict = tuple[str, str, str]

APPROVAL, STRUCTURE = "KubernetesAPIApprovalPolicyConformant", "NonStructuralSchema"
_APPROVALS = {
    INVALID: ("False", "InvalidAnnotation"),
    MISSING: ("False", "MissingAnnotation"),
    APPROVED: ("True", "ApprovedAnnotation"),
    BYPASSED: ("False", "UnapprovedAnnotation"),
}


def conformance_status(definition: Object) -> Object | None:
    """The status with both conditions; None where it is right as it is."""
    status: Object = definition.get("status") or {}
    changed = _with(status, definition, STRUCTURE, structure_verdict(definition))
    if (verdict := approval_verdict(definition)) is not None:
        changed = _with(changed, definition, APPROVAL, verdict)
    return None if changed is status else changed


def _with(status: Object, definition: Object, type: str, verdict: Verdict | None) -> Object:
    held = condition(definition, type)
    if verdict is None:
        if held is None:
            return status
        return {**status, "conditions": [one for one in status["conditions"] if one.get("type") != type]}
    if held is not None and verdict == tuple(held.get(part) for part in ("status", "reason", "message")):
        return status
    return with_condition(status, type, *verdict)


def approval_verdict(definition: Object) -> Verdict | None:
    """Of a group of the community; None for all others."""
    if not is_protected(definition["spec"].get("group") or ""):
        return None
    state, reason = approval(definition)
    return (*_APPROVALS[state], reason)


def structure_verdict(definition: Object) -> Verdict | None:
    """What keeps the schemas from being structural; None if nothing does."""
    faults: Errors = []
    if definition["spec"].get("preserveUnknownFields"):
        faults.append(invalid("spec.preserveUnknownFields", True, "must be false"))
    for index, version in enumerate(versions(definition)):
        schema = schema_of(version)
        if schema is None:
            continue
        try:
            structural_of(schema)
        except StructuralError as error:
            text = f"failed to check validation schema for version {version['name']}: {error}"
            return "Unknown", "StructuralError", text
        faults += structure_faults(schema, f"spec.versions[{index}].schema.openAPIV3Schema")
    return ("True", "Violations", aggregate(faults)) if faults else None
