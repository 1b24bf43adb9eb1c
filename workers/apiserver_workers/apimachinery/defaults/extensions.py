"""Defaults of the groups beside core and the workloads that rules cannot say."""

from __future__ import annotations

from datetime import UTC, datetime

from apiserver_workers.apimachinery.defaults.rules import Object

RBAC_GROUP = "rbac.authorization.k8s.io"
PRESERVE_ZERO = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"


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


def set_flat_device_request(request: Object) -> None:
    """A request of v1beta1 that names no class is for the first alternative that there is."""
    if request.get("deviceClassName"):
        set_device_request(request)


def set_shares(level: Object) -> None:
    """A priority level of v1beta3: no shares are the default's, unless the object says that it means zero."""
    limited = (level.get("spec") or {}).get("limited")
    if not limited or limited.get("nominalConcurrencyShares"):
        return
    annotations = level["metadata"].get("annotations") or {}
    limited["nominalConcurrencyShares"] = 0 if PRESERVE_ZERO in annotations else 30


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
