"""apps: DaemonSet, Deployment, ReplicaSet, StatefulSet, ControllerRevision (pkg/apis/apps/validation)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.integers import whole
from apiserver_workers.apimachinery.label_selectors import label_selector_matches
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
    section,
    unchanged,
)
from apiserver_workers.apimachinery.validation.meta import validate_annotations, validate_labels
from apiserver_workers.apimachinery.validation.pod_annotations import validate_pod_annotations
from apiserver_workers.apimachinery.validation.pod_spec import validate_pod_template
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.selectors import is_empty, validate_label_selector
from apiserver_workers.apimachinery.validation.volumes_claims import validate_claim_spec

GROUP = "apps"
RETENTION = ("Retain", "Delete")
STATEFUL_SET_MUTABLE = (
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
)
STATEFUL_SET_FORBIDDEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)
STATUS_COUNTS = {
    "ReplicaSet": (
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ),
    "Deployment": (
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
    ),
    "DaemonSet": (
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
    ),
    "StatefulSet": ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"),
}


def validate_selected_template(spec: dict[str, Any]) -> Errors:
    """ValidatePodTemplateSpecForReplicaSet: labels are selected, the pod spec is valid and restarts always."""
    template, path = spec.get("template") or {}, "spec.template"
    errors = validate_template_labels(template, spec.get("selector"), path)
    errors += validate_pod_template(template, path)
    return errors + validate_restarting_pod(template, path, "ReplicaSet")


def validate_template_labels(template: dict[str, Any], selector: dict[str, Any] | None, path: str) -> Errors:
    """A workload selects its own pods; `selector` is one without faults."""
    labels = section(template, "metadata").get("labels")
    if label_selector_matches(selector, labels or {}):
        return []
    return [invalid(f"{path}.metadata.labels", labels, "`selector` does not match template `labels`")]


def validate_restarting_pod(template: dict[str, Any], path: str, kind: str) -> Errors:
    """Pods that are replaced when they end: always restarted, without a deadline."""
    pod = template.get("spec") or {}
    errors: Errors = []
    if pod.get("restartPolicy") != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", pod.get("restartPolicy", ""), ["Always"]))
    if pod.get("activeDeadlineSeconds") is not None:
        errors.append(
            forbidden(f"{path}.spec.activeDeadlineSeconds", f"activeDeadlineSeconds in {kind} is not Supported")
        )
    return errors


def _validate_selector(spec: dict[str, Any], *, empty: str, broken: str | None) -> tuple[Errors, bool]:
    """The faults of spec.selector, and whether it can be compared with labels."""
    selector = spec.get("selector")
    if selector is None:
        return [required("spec.selector")], True
    errors = validate_label_selector(selector, "spec.selector")
    usable = not errors
    if is_empty(selector):
        errors.append(invalid("spec.selector", selector, empty))
    if not usable and broken is not None:
        errors.append(invalid("spec.selector", selector, broken) if broken else _bare(selector))
    return errors, usable


def _bare(selector: dict[str, Any]) -> Any:
    error = invalid("spec.selector", selector, "")
    error.body = error.body.removesuffix(": ")
    return error


def _rolling(update: dict[str, Any] | None) -> tuple[Any, Any]:
    return (update or {}).get("maxUnavailable"), (update or {}).get("maxSurge")


def _is_zero(value: int | str | None) -> bool:
    """getIntOrPercentValue is 0; so it is of what is no number."""
    if not isinstance(value, str):
        return not value
    if not names.is_valid_percent(value):
        value = value[:-1]
    return not (value.isascii() and value.removeprefix("-").isdigit() and whole(value))


# Deployment


def validate_deployment(obj: dict[str, Any]) -> Errors:
    spec = section(obj, "spec")
    errors = at_least_zero(spec.get("replicas"), "spec.replicas")
    empty = "empty selector is invalid for deployment"
    faults, usable = _validate_selector(spec, empty=empty, broken="invalid label selector")
    errors += faults
    if usable:
        errors += validate_selected_template(spec)
    errors += _validate_deployment_strategy(spec.get("strategy") or {})
    ready, deadline = spec.get("minReadySeconds") or 0, spec.get("progressDeadlineSeconds")
    errors += at_least_zero(ready, "spec.minReadySeconds")
    errors += at_least_zero(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")
    if deadline is not None:
        errors += at_least_zero(deadline, "spec.progressDeadlineSeconds")
        if deadline <= ready:
            text = "must be greater than minReadySeconds"
            errors.append(invalid("spec.progressDeadlineSeconds", deadline, text))
    return errors


def _validate_deployment_strategy(strategy: dict[str, Any]) -> Errors:
    path, kind, update = "spec.strategy", strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "Recreate":
        if update is None:
            return []
        text = "may not be specified when strategy `type` is 'Recreate'"
        return [forbidden(f"{path}.rollingUpdate", text)]
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": update}
        return [not_supported(path, shown, ("Recreate", "RollingUpdate"))]
    if update is None:
        return [required(f"{path}.rollingUpdate", "this should be defaulted and never be nil")]
    unavailable, surge = _rolling(update)
    at = f"{path}.rollingUpdate.maxUnavailable"
    errors = validate_positive_int_or_percent(unavailable, at)
    errors += validate_positive_int_or_percent(surge, f"{path}.rollingUpdate.maxSurge")
    if _is_zero(unavailable) and _is_zero(surge):
        errors.append(invalid(at, unavailable, "may not be 0 when `maxSurge` is 0"))
    return errors + _not_more_than_all(unavailable, at)


def validate_positive_int_or_percent(value: int | str | None, path: str) -> Errors:
    """ValidatePositiveIntOrPercent: a percentage of any size, or a number that is not negative."""
    if isinstance(value, str):
        return [invalid(path, value, fault) for fault in names.is_valid_percent(value)]
    return at_least_zero(value, path)


def _not_more_than_all(value: int | str | None, path: str) -> Errors:
    """IsNotMoreThan100Percent."""
    if isinstance(value, str) and not names.is_valid_percent(value) and whole(value[:-1]) > 100:
        return [invalid(path, value, "must not be greater than 100%")]
    return []


def _deployment_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    selectors = section(new, "spec").get("selector"), section(old, "spec").get("selector")
    return validate_deployment(new) + unchanged(*selectors, "spec.selector")


def _deployment_status(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    errors = _status_counts(new, "Deployment")
    status = section(new, "status")
    errors += at_least_zero(status.get("collisionCount"), "status.collisionCount")
    errors += not_above(status, "Deployment")
    return errors + _not_decremented(new, old)


def _not_decremented(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    """The count of collisions never goes back, not even to nothing."""
    was, now = (section(obj, "status").get("collisionCount") for obj in (old, new))
    if was is None or (now is not None and now >= was):
        return []
    return [invalid("status.collisionCount", now or 0, "cannot be decremented")]


def _status_counts(obj: dict[str, Any], kind: str) -> Errors:
    status = section(obj, "status")
    return [e for field in STATUS_COUNTS[kind] for e in at_least_zero(status.get(field), f"status.{field}")]


# Pairs of status fields of which the first may not exceed the second, by kind.
ORDERED = {
    "Deployment": (
        ("updatedReplicas", "replicas"),
        ("readyReplicas", "replicas"),
        ("availableReplicas", "replicas"),
        ("availableReplicas", "readyReplicas"),
    ),
    "ReplicaSet": (
        ("fullyLabeledReplicas", "replicas"),
        ("readyReplicas", "replicas"),
        ("availableReplicas", "replicas"),
        ("availableReplicas", "readyReplicas"),
    ),
    "StatefulSet": (
        ("readyReplicas", "replicas"),
        ("currentReplicas", "replicas"),
        ("updatedReplicas", "replicas"),
        ("availableReplicas", "replicas"),
        ("availableReplicas", "readyReplicas"),
    ),
}


def not_above(status: dict[str, Any], kind: str) -> Errors:
    errors: Errors = []
    for field, bound in ORDERED[kind]:
        value = status.get(field) or 0
        if value > (status.get(bound) or 0):
            errors.append(invalid(f"status.{field}", value, f"cannot be greater than {_bound_text(kind, bound)}"))
    return errors


def _bound_text(kind: str, bound: str) -> str:
    return f"status.{bound}" if bound == "replicas" or kind == "StatefulSet" else bound


# ReplicaSet


def validate_replica_set(obj: dict[str, Any]) -> Errors:
    spec = section(obj, "spec")
    errors = at_least_zero(spec.get("replicas"), "spec.replicas")
    errors += at_least_zero(spec.get("minReadySeconds"), "spec.minReadySeconds")
    empty = "empty selector is invalid for deployment"
    faults, usable = _validate_selector(spec, empty=empty, broken="invalid label selector")
    errors += faults
    if usable:
        errors += validate_selected_template(spec)
    return errors


def _replica_set_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    selectors = section(new, "spec").get("selector"), section(old, "spec").get("selector")
    return validate_replica_set(new) + unchanged(*selectors, "spec.selector")


def _replica_set_status(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    return _status_counts(new, "ReplicaSet") + not_above(section(new, "status"), "ReplicaSet")


# DaemonSet


def validate_daemon_set(obj: dict[str, Any]) -> Errors:
    spec = section(obj, "spec")
    selector = spec.get("selector")
    errors = validate_label_selector(selector, "spec.selector")
    template = spec.get("template") or {}
    if not errors:
        errors += validate_template_labels(template, selector, "spec.template")
    if selector is not None and is_empty(selector):
        errors.append(invalid("spec.selector", selector, "empty selector is invalid for daemonset"))
    errors += validate_pod_template(template, "spec.template")
    errors += validate_restarting_pod(template, "spec.template", "DaemonSet")
    errors += at_least_zero(spec.get("minReadySeconds"), "spec.minReadySeconds")
    errors += _validate_daemon_strategy(spec.get("updateStrategy") or {})
    return errors + at_least_zero(spec.get("revisionHistoryLimit"), "spec.revisionHistoryLimit")


def _validate_daemon_strategy(strategy: dict[str, Any]) -> Errors:
    path, kind, update = "spec.updateStrategy", strategy.get("type", ""), strategy.get("rollingUpdate")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        return [not_supported(path, {"Type": kind, "RollingUpdate": update}, ("RollingUpdate", "OnDelete"))]
    if update is None:
        return [required(f"{path}.rollingUpdate")]
    unavailable, surge = _rolling(update)
    at = f"{path}.rollingUpdate"
    errors = validate_positive_int_or_percent(unavailable, f"{at}.maxUnavailable")
    errors += validate_positive_int_or_percent(surge, f"{at}.maxSurge")
    errors += _not_more_than_all(unavailable, f"{at}.maxUnavailable")
    errors += _not_more_than_all(surge, f"{at}.maxSurge")
    if not _is_zero(unavailable) and not _is_zero(surge):
        errors.append(invalid(f"{at}.maxSurge", surge, "may not be set when maxUnavailable is non-zero"))
    elif _is_zero(unavailable) and _is_zero(surge):
        errors.append(required(f"{at}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors


def _daemon_set_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    selectors = section(new, "spec").get("selector"), section(old, "spec").get("selector")
    return unchanged(*selectors, "spec.selector") + validate_daemon_set(new)


def _daemon_set_status(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    collisions = at_least_zero(section(new, "status").get("collisionCount"), "status.collisionCount")
    return _status_counts(new, "DaemonSet") + collisions + _not_decremented(new, old)


# StatefulSet


def validate_stateful_set(obj: dict[str, Any]) -> Errors:
    """ValidateStatefulSet."""
    return _validate_stateful_spec(section(obj, "spec"), new=True, check_template=True)


def _validate_stateful_spec(spec: dict[str, Any], *, new: bool, check_template: bool) -> Errors:
    """ValidateStatefulSetSpec; what can never change is checked in a `new` set only."""
    errors: Errors = []
    policy, path = spec.get("podManagementPolicy", ""), "spec.podManagementPolicy"
    if not policy:
        errors.append(required(path))
    elif policy not in ("OrderedReady", "Parallel"):
        errors.append(invalid(path, policy, "must be 'OrderedReady' or 'Parallel'"))
    errors += _validate_stateful_strategy(spec.get("updateStrategy") or {})
    errors += _validate_retention(spec.get("persistentVolumeClaimRetentionPolicy"))
    for at, claim in each("spec.volumeClaimTemplates", spec.get("volumeClaimTemplates") if new else ()):
        errors += validate_claim_spec(section(claim, "spec"), f"{at}.spec")
    for field in ("replicas", "minReadySeconds"):
        errors += at_least_zero(spec.get(field), f"spec.{field}")
    errors += at_least_zero(section(spec, "ordinals").get("start"), "spec.ordinals.start")
    if (name := spec.get("serviceName")) and new:
        errors += [invalid("spec.serviceName", name, fault) for fault in names.is_dns1123_label(name)]
    empty = "empty selector is invalid for statefulset"
    faults, usable = _validate_selector(spec, empty=empty, broken="")
    errors += faults
    if usable:
        errors += _validate_stateful_template(spec, "spec.template", check_pod=check_template)
    return errors + validate_restarting_pod(spec.get("template") or {}, "spec.template", "StatefulSet")


def _validate_stateful_template(spec: dict[str, Any], path: str, *, check_pod: bool) -> Errors:
    """ValidatePodTemplateSpecForStatefulSet, of the template as the controller completes it for each pod.

    Labels and annotations are looked at twice, as upstream does, so that clients see the same causes.
    """
    template = spec.get("template") or {}
    errors = validate_template_labels(template, spec.get("selector"), path)
    pod = _completed_pod(section(template, "spec"), spec.get("volumeClaimTemplates") or [])
    if check_pod:
        errors += validate_pod_template(template | {"spec": pod}, path)
    meta = section(template, "metadata")
    annotations = meta.get("annotations")
    errors += validate_labels(meta.get("labels"), f"{path}.labels")
    errors += validate_annotations(annotations, f"{path}.annotations")
    if annotations:
        errors += validate_pod_annotations(annotations, pod, f"{path}.annotations")
    return errors


def _completed_pod(pod: dict[str, Any], claims: list[dict[str, Any]]) -> dict[str, Any]:
    """The pod spec without the names that the controller replaces, with a volume for each claim that it makes."""
    pod = {name: value for name, value in pod.items() if name not in ("hostname", "subdomain")}
    made = {section(claim, "metadata").get("name", "") for claim in claims}
    if made:
        volumes = [_claimed(name) for name in sorted(made)]
        pod["volumes"] = volumes + [volume for volume in pod.get("volumes") or () if volume.get("name") not in made]
    return pod


def _claimed(name: str) -> dict[str, Any]:
    return {"name": name, "persistentVolumeClaim": {"claimName": name}}


def _validate_stateful_strategy(strategy: dict[str, Any]) -> Errors:
    path, kind, update = "spec.updateStrategy", strategy.get("type", ""), strategy.get("rollingUpdate")
    if not kind:
        return [required(path)]
    if kind == "OnDelete":
        if update is None:
            return []
        return [invalid(f"{path}.rollingUpdate", update, "only allowed for updateStrategy 'RollingUpdate'")]
    if kind != "RollingUpdate":
        shown = {"Type": kind, "RollingUpdate": update}
        return [invalid(path, shown, "must be 'RollingUpdate' or 'OnDelete'")]
    at = f"{path}.rollingUpdate"
    errors = at_least_zero((update or {}).get("partition"), f"{at}.partition")
    unavailable = (update or {}).get("maxUnavailable")
    if unavailable is not None:
        errors += validate_positive_int_or_percent(unavailable, f"{at}.maxUnavailable")
        if _is_zero(unavailable):
            errors.append(invalid(f"{at}.maxUnavailable", unavailable, "cannot be 0"))
        errors += _not_more_than_all(unavailable, f"{at}.maxUnavailable")
    return errors


def _validate_retention(policy: dict[str, Any] | None) -> Errors:
    errors: Errors = []
    for field in ("whenDeleted", "whenScaled") if policy is not None else ():
        path = f"spec.persistentVolumeClaimRetentionPolicy.{field}"
        choice = (policy or {}).get(field, "")
        errors += [] if choice in RETENTION else [not_supported(path, choice, RETENTION)]
    return errors


def _stateful_set_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    """ValidateStatefulSetUpdate: the template of a set that was not valid before is not looked at."""
    was_valid = not _validate_stateful_spec(section(old, "spec"), new=False, check_template=True)
    errors = _validate_stateful_spec(section(new, "spec"), new=False, check_template=was_valid)
    fields = section(new, "spec").keys() | section(old, "spec").keys()
    fixed = fields - set(STATEFUL_SET_MUTABLE)
    if any(section(new, "spec").get(field) != section(old, "spec").get(field) for field in fixed):
        errors.append(forbidden("spec", STATEFUL_SET_FORBIDDEN))
    return errors


def _stateful_set_status(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    status = section(new, "status")
    errors = _status_counts(new, "StatefulSet")
    for field in ("observedGeneration", "collisionCount"):
        errors += at_least_zero(status.get(field), f"status.{field}")
    return errors + not_above(status, "StatefulSet") + _not_decremented(new, old)


# ControllerRevision


def validate_controller_revision(obj: dict[str, Any]) -> Errors:
    """ValidateControllerRevisionCreate."""
    errors = at_least_zero(obj.get("revision"), "revision")
    data = obj.get("data")
    if data is None:
        errors.append(required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        errors.append(required("data", "data must be a valid JSON object"))
    return errors


def _controller_revision_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    return at_least_zero(new.get("revision"), "revision") + unchanged(new.get("data"), old.get("data"), "data")


def _scaled(update: Any, status: Any, create: Any, name: names.Checker = names.is_dns1123_subdomain) -> KindValidation:
    """The rules of a kind with a scale subresource, whose update is one of the object's spec."""
    return KindValidation(name=name, create=create, updates={"": update, "status": status, "scale": update})


KINDS = {
    (GROUP, "Deployment"): _scaled(_deployment_update, _deployment_status, validate_deployment),
    (GROUP, "ReplicaSet"): _scaled(_replica_set_update, _replica_set_status, validate_replica_set),
    (GROUP, "DaemonSet"): KindValidation(
        create=validate_daemon_set,
        updates={"": _daemon_set_update, "status": _daemon_set_status},
    ),
    (GROUP, "StatefulSet"): _scaled(
        _stateful_set_update, _stateful_set_status, validate_stateful_set, name=names.is_dns1123_label
    ),
    (GROUP, "ControllerRevision"): KindValidation(
        metadata="UM*", create=validate_controller_revision, updates={"": _controller_revision_update}
    ),
}
