"""Pods: creation, update and their subresources (pkg/apis/core/validation ValidatePod*)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.containers import validate_image_spaces
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
    section,
    unchanged,
)
from apiserver_workers.apimachinery.validation.internal import difference
from apiserver_workers.apimachinery.validation.pod_annotations import (
    validate_annotation_updates,
    validate_pod_annotations,
    validate_profiles_match,
)
from apiserver_workers.apimachinery.validation.pod_claim_status import (
    validate_claim_statuses,
    validate_container_statuses,
)
from apiserver_workers.apimachinery.validation.pod_gates import validate_gated
from apiserver_workers.apimachinery.validation.pod_resize import (
    NOWHERE,
    RESIZABLE,
    is_static,
    refuse_resize,
    validate_changes,
)
from apiserver_workers.apimachinery.validation.pod_spec import MAX_INT32, validate_pod_spec
from apiserver_workers.apimachinery.validation.pod_status import validate_status_ips, validate_transitions
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.scheduling import validate_tolerations

Object = dict[str, Any]

MUTABLE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
POD_SPEC, EPHEMERAL = "io.k8s.api.core.v1.PodSpec", "io.k8s.api.core.v1.EphemeralContainer"


def validate_pod(pod: Object) -> Errors:
    """ValidatePodCreate."""
    spec = section(pod, "spec")
    errors = _validate_whole(pod)
    if spec.get("ephemeralContainers"):
        errors.append(forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        errors.append(forbidden("spec.nodeName", "cannot be set until all schedulingGates have been cleared"))
    return errors + validate_profiles_match(pod)


def _validate_whole(pod: Object) -> Errors:
    """validatePodMetadataAndSpec, but for the metadata that every object has."""
    spec, metadata = section(pod, "spec"), pod["metadata"]
    annotations = metadata.get("annotations")
    errors = validate_pod_annotations(annotations, spec) if annotations else []
    errors += validate_pod_spec(spec, "spec", pod_name=metadata.get("name", ""))
    if not spec.get("serviceAccountName"):
        text = "must not be specified when serviceAccountName is not set"
        errors += [
            forbidden(f"{place}.serviceAccountToken", text)
            for at, volume in each("spec.volumes", spec.get("volumes"))
            for place, source in each(f"{at}.projected.sources", section(volume, "projected").get("sources"))
            if source.get("serviceAccountToken") is not None
        ]
    for field in ("containers", "initContainers"):
        for at, container in each(f"spec.{field}", spec.get(field)):
            errors += validate_image_spaces(container, at)
    return errors


def validate_pod_update(new: Object, old: Object) -> Errors:
    """ValidatePodUpdate: images, deadline, tolerations and scheduling gates may change, nothing else."""
    spec, was = section(new, "spec"), section(old, "spec")
    errors = _validate_whole(new) + validate_annotation_updates(new, old)
    munged = dict(spec)
    for field in ("containers", "initContainers"):
        now, before = spec.get(field) or [], was.get(field) or []
        if len(now) != len(before):
            text = "pod updates may not add or remove containers"
            return [*errors, forbidden(f"spec.{field}", text)]
        for at, container in each(f"spec.{field}", now):
            errors += [] if container.get("image") else [required(f"{at}.image")]
            errors += validate_image_spaces(container, at)
        if before:
            munged[field] = [_with(new_one, "image", old_one) for new_one, old_one in zip(now, before, strict=True)]
    faults, stop = _validate_deadline(spec, was)
    errors += faults
    if stop:
        return errors
    errors += _validate_tolerations(spec.get("tolerations") or [], was.get("tolerations") or [])
    errors += _validate_gates(spec.get("schedulingGates") or [], was.get("schedulingGates") or [])
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        _take_over(munged, was, field)
    if (was.get("terminationGracePeriodSeconds") or 0) < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = was["terminationGracePeriodSeconds"]
    if was.get("schedulingGates"):
        errors += validate_gated(munged, was)
    if munged != was:
        errors.append(forbidden("spec", f"{MUTABLE_TEXT}\n{difference(POD_SPEC, was, munged)}"))
    return errors


def _with(container: Object, field: str, other: Object) -> Object:
    return {**container, field: other[field]} if field in other else {k: v for k, v in container.items() if k != field}


def _take_over(spec: Object, old: Object, field: str) -> None:
    if field in old:
        spec[field] = old[field]
    else:
        spec.pop(field, None)


def _validate_deadline(spec: Object, old: Object) -> tuple[Errors, bool]:
    """A deadline may come closer; also whether upstream looks at nothing more."""
    now, before = spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds")
    path = "spec.activeDeadlineSeconds"
    if now is None:
        text = "must not update from a positive integer to nil value"
        return ([invalid(path, now, text)], False) if before is not None else ([], False)
    if not 0 <= now <= MAX_INT32:
        return [invalid(path, now, f"must be between 0 and {MAX_INT32}, inclusive")], True
    if before is not None and before < now:
        return [invalid(path, now, "must be less than or equal to previous value")], True
    return [], False


def _validate_tolerations(now: list[Object], before: list[Object]) -> Errors:
    """validateOnlyAddedTolerations: what was there stays, but for its tolerationSeconds."""
    kept = [_without_seconds(toleration) for toleration in now]
    if all(_without_seconds(toleration) in kept for toleration in before):
        return validate_tolerations(now, "spec.tolerations")
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


def validate_pod_status_update(new: Object, old: Object) -> Errors:
    """ValidatePodStatusUpdate."""
    status, was = section(new, "status"), section(old, "status")
    errors = validate_annotation_updates(new, old)
    for at, condition in each("status.conditions", status.get("conditions")):
        kind = condition.get("type", "")
        errors += _observed(condition, at)
        if kind not in SYSTEM_CONDITIONS:
            errors += [invalid(f"{at}.Type", kind, fault) for fault in names.is_qualified_name(kind)]
    if section(new, "spec").get("nodeName") != section(old, "spec").get("nodeName"):
        errors.append(forbidden("status.nodeName", "may not be changed directly"))
    nominated = status.get("nominatedNodeName")
    if nominated and nominated != was.get("nominatedNodeName"):
        at = "status.nominatedNodeName"
        errors += [invalid(at, nominated, fault) for fault in names.is_dns1123_subdomain(nominated)]
    if _is_nominated_after_binding(status, was, section(old, "spec")):
        at = "status.nominatedNodeName"
        errors.append(forbidden(at, "may not be set on pods that are already bound to a node"))
    errors += _observed(status, "status")
    errors += unchanged(status.get("qosClass", ""), was.get("qosClass", ""), "status.qosClass")
    errors += validate_transitions(status, was, section(old, "spec"))
    errors += validate_claim_statuses(status, section(new, "spec"))
    return errors + validate_status_ips(status, was) + validate_container_statuses(status, section(new, "spec"))


def _observed(status: Object, path: str) -> Errors:
    generation = status.get("observedGeneration") or 0
    at = f"{path}.observedGeneration"
    return [invalid(at, generation, "must be a non-negative integer")] if generation < 0 else []


def _is_nominated_after_binding(status: Object, was: Object, spec: Object) -> bool:
    """Whether a pod that has its node is promised another one."""
    nominated = status.get("nominatedNodeName")
    if not nominated or nominated == was.get("nominatedNodeName") or not spec.get("nodeName"):
        return False
    return feature_gates.enabled("ClearingNominatedNodeNameAfterBinding")


SYSTEM_CONDITIONS = frozenset(("PodScheduled", "Ready", "Initialized"))


def validate_ephemeral_containers_update(new: Object, old: Object) -> Errors:
    """ValidatePodEphemeralContainersUpdate: containers may be added, never changed or removed."""
    if is_static(old):
        return [forbidden(NOWHERE, "static pods do not support ephemeral containers")]
    errors = _validate_whole(new) + validate_annotation_updates(new, old)
    path = "spec.ephemeralContainers"
    now = {c.get("name", ""): c for c in section(new, "spec").get("ephemeralContainers") or ()}
    for container in section(old, "spec").get("ephemeralContainers") or ():
        name = container["name"]
        if name not in now:
            errors.append(forbidden(path, f'existing ephemeral containers "{name}" may not be removed\n'))
        elif now[name] != container:
            changes = difference(EPHEMERAL, container, now[name])
            errors.append(forbidden(path, f'existing ephemeral containers "{name}" may not be changed\n{changes}'))
    return errors


def validate_resize(new: Object, old: Object) -> Errors:
    """ValidatePodResize: only cpu and memory may change, and not the pod's QoS class."""
    if refused := refuse_resize(old):
        return refused
    errors = _validate_whole(new)
    if qos_class(new) != qos_class(old):
        text = "Pod QOS Class may not change as a result of resizing"
        errors.append(invalid("spec", qos_class(old), text))
    return validate_changes(new, old, errors)


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
