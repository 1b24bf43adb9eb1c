"""Pods: creation, update and their subresources (pkg/apis/core/validation ValidatePod*)."""

from __future__ import annotations

from typing import Any

from workers.apimachinery.validation import names
from workers.apimachinery.validation.field import (
    IMMUTABLE,
    Errors,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
    section,
)
from workers.apimachinery.validation.pod_spec import MAX_INT32, validate_pod_spec
from workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
MUTABLE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
RESIZE_TEXT = "only cpu and memory resources are mutable"
RESIZABLE = ("cpu", "memory")


def validate_pod(pod: Object) -> Errors:
    """ValidatePodCreate."""
    spec = section(pod, "spec")
    errors = validate_pod_spec(spec, "spec")
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors


def validate_pod_update(new: Object, old: Object) -> Errors:
    """ValidatePodUpdate: images, deadline, tolerations and scheduling gates may change, nothing else."""
    spec, was = section(new, "spec"), section(old, "spec")
    errors = validate_pod_spec(spec, "spec")
    munged = dict(spec)
    for field in ("containers", "initContainers"):
        now, before = spec.get(field) or [], was.get(field) or []
        if len(now) != len(before):
            text = "pod updates may not add or remove containers"
            return [*errors, forbidden(f"spec.{field}", text)]
        if before:
            munged[field] = [_with(new_one, "image", old_one) for new_one, old_one in zip(now, before, strict=True)]
    errors += _validate_deadline(spec, was)
    errors += _validate_tolerations(spec.get("tolerations") or [], was.get("tolerations") or [])
    errors += _validate_gates(spec.get("schedulingGates") or [], was.get("schedulingGates") or [])
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _take_over(munged, was, field)
    if was.get("schedulingGates"):
        errors += _validate_gated(munged, was)
    if (was.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = was["terminationGracePeriodSeconds"]
    if munged != was:
        errors.append(forbidden("spec", f"{MUTABLE_TEXT}\n{_difference(munged, was)}"))
    return errors


def _difference(new: Object, old: Object) -> str:
    """The fields that differ, to help whoever reads the message."""
    changed = [name for name in sorted(new.keys() | old.keys()) if new.get(name) != old.get(name)]
    return "changed: " + ", ".join(changed)


def _with(container: Object, field: str, other: Object) -> Object:
    return {**container, field: other[field]} if field in other else {k: v for k, v in container.items() if k != field}


def _take_over(spec: Object, old: Object, field: str) -> None:
    if field in old:
        spec[field] = old[field]
    else:
        spec.pop(field, None)


def _validate_deadline(spec: Object, old: Object) -> Errors:
    now, before, path = (
        spec.get("activeDeadlineSeconds"),
        old.get("activeDeadlineSeconds"),
        "spec.activeDeadlineSeconds",
    )
    if now is not None:
        if not 0 <= now <= MAX_INT32:
            return [invalid(path, now, f"must be between 0 and {MAX_INT32}, inclusive")]
        if before is not None and before < now:
            return [invalid(path, now, "must be less than or equal to previous value")]
    elif before is not None:
        return [invalid(path, now, "must not update from a positive integer to nil value")]
    return []


def _validate_tolerations(now: list[Object], before: list[Object]) -> Errors:
    """validateOnlyAddedTolerations: what was there stays, but for its tolerationSeconds."""
    kept = [_without_seconds(toleration) for toleration in now]
    if all(_without_seconds(toleration) in kept for toleration in before):
        return []
    return [forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")]


def _without_seconds(toleration: Object) -> Object:
    return {name: value for name, value in toleration.items() if name != "tolerationSeconds"}


def _validate_gates(now: list[Object], before: list[Object]) -> Errors:
    known = {gate.get("name") for gate in before}
    return [
        forbidden(f"{at}.name", f"only deletion is allowed, but found new scheduling gate '{gate.get('name', '')}'")
        for at, gate in each("spec.schedulingGates", now)
        if gate.get("name") not in known
    ]


def _validate_gated(munged: Object, old: Object) -> Errors:
    """A pod that waits behind gates may narrow where it can run."""
    errors: Errors = []
    now, before = munged.get("nodeSelector") or {}, old.get("nodeSelector") or {}
    if any(now.get(name) != value for name, value in before.items()):
        text = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(invalid("spec.nodeSelector", now, text))
    _take_over(munged, old, "nodeSelector")
    if (old.get("affinity") or {}).get("nodeAffinity") is None and munged.get("affinity") is not None:
        rest = {name: value for name, value in munged["affinity"].items() if name != "nodeAffinity"}
        munged["affinity"] = rest
        if not rest and "affinity" not in old:
            munged.pop("affinity")
    return errors


def validate_pod_status_update(new: Object, old: Object) -> Errors:
    """ValidatePodStatusUpdate."""
    status, was = section(new, "status"), section(old, "status")
    errors: Errors = []
    node, old_node = section(new, "spec").get("nodeName"), section(old, "spec").get("nodeName")
    if node != old_node:
        errors.append(forbidden("status.nodeName", "may not be changed directly"))
    if nominated := status.get("nominatedNodeName"):
        at = "status.nominatedNodeName"
        errors += [invalid(at, nominated, fault) for fault in names.is_dns1123_subdomain(nominated)]
    qos = status.get("qosClass")
    if was.get("qosClass") and qos != was.get("qosClass"):
        errors.append(invalid("status.qosClass", qos or "", IMMUTABLE))
    for at, condition in each("status.conditions", status.get("conditions")):
        if condition.get("type") in SYSTEM_CONDITIONS:
            continue
        kind = condition.get("type", "")
        errors += [invalid(f"{at}.type", kind, fault) for fault in names.is_qualified_name(kind)]
    for field in ("podIPs", "hostIPs"):
        for at, address in each(f"status.{field}", status.get(field)):
            ip = address.get("ip", "")
            errors += [invalid(at, ip, fault) for fault in names.is_ip(ip)]
    return errors


SYSTEM_CONDITIONS = frozenset(
    [
        "ContainersReady",
        "Initialized",
        "Ready",
        "PodScheduled",
        "DisruptionTarget",
        "PodReadyToStartContainers",
        "PodResizePending",
        "PodResizeInProgress",
        "AllContainersRestarting",
    ]
)


def validate_ephemeral_containers_update(new: Object, old: Object) -> Errors:
    """ValidatePodEphemeralContainersUpdate: containers may be added, never changed or removed."""
    errors = validate_pod_spec(section(new, "spec"), "spec")
    path = "spec.ephemeralContainers"
    now = {c.get("name", ""): c for c in section(new, "spec").get("ephemeralContainers") or ()}
    before = section(old, "spec").get("ephemeralContainers") or []
    changed = [c["name"] for c in before if c["name"] in now and now[c["name"]] != c]
    gone = [c["name"] for c in before if c["name"] not in now]
    for name in gone:
        errors.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
    for name in changed:
        errors.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n'))
    return errors


def validate_resize(new: Object, old: Object) -> Errors:
    """ValidatePodResize: only cpu and memory of containers may change, and not the pod's QoS class."""
    errors = validate_pod_spec(section(new, "spec"), "spec")
    now, before = section(new, "spec"), section(old, "spec")
    if qos_class(new) != qos_class(old):
        text = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", qos_class(old), text))
    munged = dict(now)
    for field in ("containers", "initContainers"):
        if len(now.get(field) or ()) == len(before.get(field) or ()) and before.get(field):
            pairs = zip(now[field], before[field], strict=True)
            munged[field] = [_with_resizable(container, other) for container, other in pairs]
    if munged != before:
        errors.append(forbidden("spec", f"{RESIZE_TEXT}\n{_difference(munged, before)}"))
    return errors


def _with_resizable(container: Object, other: Object) -> Object:
    """`container` with the cpu and memory amounts of `other`."""
    resources = {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in (container.get("resources") or {}).items()
    }
    was = other.get("resources") or {}
    for kind in ("limits", "requests"):
        amounts = {n: v for n, v in (resources.get(kind) or {}).items() if n not in RESIZABLE}
        amounts |= {n: v for n, v in (was.get(kind) or {}).items() if n in RESIZABLE}
        if amounts:
            resources[kind] = amounts
        else:
            resources.pop(kind, None)
    return {**container, "resources": resources}


def qos_class(pod: Object) -> str:
    """GetPodQOS: Guaranteed, Burstable or BestEffort."""
    spec = section(pod, "spec")
    if own := spec.get("resources"):
        containers = [{"resources": own}]
    else:
        containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    asked = False
    guaranteed = True
    for container in containers:
        resources = container.get("resources") or {}
        requests, limits = _compute(resources.get("requests")), _compute(resources.get("limits"))
        asked = asked or bool(requests or limits)
        guaranteed = guaranteed and len(limits) == len(RESIZABLE) and (not requests or requests == limits)
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _compute(amounts: dict[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (amounts or {}).items() if name in RESIZABLE and value != "0"}


def validate_binding(binding: Object) -> Errors:
    """ValidatePodBinding."""
    target = binding.get("target") or {}
    errors: Errors = []
    if target.get("kind", "") not in ("Node", ""):
        errors.append(not_supported("target.kind", target["kind"], ("Node", "<empty>")))
    if not target.get("name"):
        errors.append(required("target.name"))
    return errors


KINDS = {
    ("", "Pod"): KindValidation(
        metadata="UM*",
        create=validate_pod,
        updates={
            "": validate_pod_update,
            "status": validate_pod_status_update,
            "ephemeralcontainers": validate_ephemeral_containers_update,
            "resize": validate_resize,
        },
    ),
}
