"""Defaults of the groups beside core and the workloads that rules cannot say."""

from __future__ import annotations

from datetime import UTC, datetime

from workers.apimachinery.defaults.rules import Object

RBAC_GROUP = "rbac.authorization.k8s.io"


def set_policy_types(spec: Object) -> None:
    """A network policy isolates ingress, and egress when it has rules for it."""
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]


def set_subject(subject: Object) -> None:
    if not subject.get("apiGroup") and subject.get("kind") in ("User", "Group"):
        subject["apiGroup"] = RBAC_GROUP


def set_device_request(request: Object) -> None:
    request["allocationMode"] = request.get("allocationMode") or "ExactCount"
    if request["allocationMode"] == "ExactCount":
        request["count"] = request.get("count") or 1


def set_device_taint(taint: Object) -> None:
    taint.setdefault("timeAdded", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def set_custom_resource_definition(definition: Object) -> None:
    spec = definition.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind")
    if kind:
        names["singular"] = names.get("singular") or kind.lower()
        names["listKind"] = names.get("listKind") or f"{kind}List"
    spec.setdefault("conversion", {"strategy": "None"})
    status = definition.setdefault("status", {})
    if not status.get("storedVersions"):
        stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
        if stored:
            status["storedVersions"] = stored[:1]
