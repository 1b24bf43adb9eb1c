"""autoscaling: HorizontalPodAutoscaler, in its stored version v2 (pkg/apis/autoscaling/validation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery import feature_gates, quantity
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
)
from apiserver_workers.apimachinery.validation.resource_lists import validate_container_resource_name
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

TARGET_TYPES = ("Utilization", "Value", "AverageValue")
SELECT_POLICIES = ("Disabled", "Max", "Min")
POLICY_TYPES = ("Percent", "Pods")
LONGEST_STABILIZATION, LONGEST_PERIOD = 3600, 1800
NO_TARGET = "must set either a target value for metric or a per-pod target"


def validate_autoscaler(obj: Object) -> Errors:
    """ValidateHorizontalPodAutoscaler."""
    return _validate_spec(section(obj, "spec"), None)


def _autoscaler_update(new: Object, old: Object) -> Errors:
    return _validate_spec(section(new, "spec"), section(old, "spec"))


def _lowest(was: Object) -> int:
    return 0 if was.get("minReplicas") == 0 or feature_gates.enabled("HPAScaleToZero") else 1


def _autoscaler_status_update(new: Object, old: Object) -> Errors:
    status = section(new, "status")
    errors: Errors = []
    for field in ("currentReplicas", "desiredReplicas"):
        errors += at_least_zero(status.get(field), f"status.{field}")
    return errors


def _validate_spec(spec: Object, was: Object | None) -> Errors:
    """validateHorizontalPodAutoscalerSpec; what the replaced spec `was` got away with, the new one may keep."""
    errors: Errors = []
    lowest = _lowest(was or {})
    low, high = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if low is not None and low < lowest:
        errors.append(invalid("spec.minReplicas", low, f"must be greater than or equal to {lowest}"))
    if high == 0:
        errors.append(required("spec.maxReplicas", "must be set and greater than 0"))
    elif high < 0:
        errors.append(invalid("spec.maxReplicas", high, "must be greater than or equal to 1"))
    if low is not None and high < low:
        errors.append(invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`"))
    target = section(spec, "scaleTargetRef")
    errors += _validate_reference(target, "spec.scaleTargetRef", _target_version_fault(target, was))
    metrics = spec.get("metrics") or []
    lenient = any(_described_fault(metric) for metric in (was or {}).get("metrics") or ())
    for path, metric in each("spec.metrics", metrics):
        errors += _validate_metric(metric, path, "" if lenient else _described_fault(metric))
    if low == 0 and not any(metric.get("type") in ("Object", "External") for metric in metrics):
        text = "must specify at least one Object or External metric to support scaling to zero replicas"
        errors.append(forbidden("spec.metrics", text))
    for direction in ("scaleUp", "scaleDown"):
        if (rules := section(spec, "behavior").get(direction)) is not None:
            errors += _validate_rules(rules, f"spec.behavior.{direction}")
    return errors


def _target_version_fault(target: Object, was: Object | None) -> str:
    """What is wrong with the version of what is scaled; a reference that stays is not looked at."""
    if was is not None:
        before = section(was, "scaleTargetRef")
        if all(before.get(field, "") == target.get(field, "") for field in ("apiVersion", "kind")):
            return ""
    return _version_fault(target, group_needed=target.get("kind") != "ReplicationController")


def _described_fault(metric: Object) -> str:
    """What is wrong with the version of an object that a metric describes."""
    if metric.get("object") is None:
        return ""
    return _version_fault(section(metric, "object", "describedObject"), group_needed=False)


def _validate_reference(reference: Object, path: str, version_fault: str) -> Errors:
    """ValidateCrossVersionObjectReference."""
    errors: Errors = []
    for field in ("kind", "name"):
        value = reference.get(field)
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += [invalid(f"{path}.{field}", value, fault) for fault in names.is_path_segment(value)]
    if version_fault:
        errors.append(invalid(f"{path}.apiVersion", reference.get("apiVersion", ""), version_fault))
    return errors


def _version_fault(reference: Object, *, group_needed: bool) -> str:
    version = reference.get("apiVersion", "")
    if version.count("/") > 1:
        return f"unexpected GroupVersion string: {version}"
    grouped = bool(version.rpartition("/")[0])
    return "apiVersion must specify API group" if group_needed and not grouped else ""


# metrics


def _validate_metric(metric: Object, path: str, version_fault: str) -> Errors:
    errors: Errors = []
    kind, at = metric.get("type", ""), f"{path}.type"
    if not kind:
        errors.append(required(at, "must specify a metric source type"))
    unknown = [] if kind in SOURCE_OF_TYPE else [not_supported(at, kind, SOURCE_OF_TYPE)]
    errors += unknown
    present = [field for field in SOURCES if metric.get(field) is not None]
    if present and present[0] == "object":
        described = section(metric, "object", "describedObject")
        errors += _validate_reference(described, f"{path}.object.describedObject", version_fault)
    if present:
        errors += SOURCES[present[0]](metric[present[0]], f"{path}.{present[0]}")
    expected = SOURCE_OF_TYPE.get(kind, "")
    if expected and expected not in present:
        errors.append(required(f"{path}.{expected}", "must populate information for the given metric source"))
    errors += unknown  # upstream tells it twice
    if len(present) != 1:
        for field in present:
            if field != expected:
                errors.append(forbidden(f"{path}.{field}", "must populate the given metric source only"))
    return errors


def _object(source: Object, path: str) -> Errors:
    errors = _validate_named_target(source, path)
    target = section(source, "target")
    if target.get("value") is None and target.get("averageValue") is None:
        errors.append(required(f"{path}.target.averageValue", "must set either a target value or averageValue"))
    return errors


def _external(source: Object, path: str) -> Errors:
    errors = _validate_named_target(source, path)
    target = section(source, "target")
    if target.get("value") is None and target.get("averageValue") is None:
        errors.append(required(f"{path}.target.averageValue", NO_TARGET))
    if target.get("value") is not None and target.get("averageValue") is not None:
        text = "may not set both a target value for metric and a per-pod target"
        errors.append(forbidden(f"{path}.target.value", text))
    return errors


def _pods(source: Object, path: str) -> Errors:
    errors = _validate_named_target(source, path)
    if section(source, "target").get("averageValue") is None:
        errors.append(required(f"{path}.target.averageValue", "must specify a positive target averageValue"))
    return errors


def _resource(source: Object, path: str) -> Errors:
    errors = [] if source.get("name") else [required(f"{path}.name", "must specify a resource name")]
    return errors + _validate_utilization(section(source, "target"), f"{path}.target")


def _container_resource(source: Object, path: str) -> Errors:
    name, container = source.get("name"), source.get("container")
    errors: Errors = []
    if name:
        errors += validate_container_resource_name(name, f"{path}.name")
    else:
        errors.append(required(f"{path}.name", "must specify a resource name"))
    if container:
        errors += [invalid(f"{path}.container", container, fault) for fault in names.is_dns1123_label(container)]
    else:
        errors.append(required(f"{path}.container", "must specify a container"))
    return errors + _validate_utilization(section(source, "target"), f"{path}.target")


def _validate_named_target(source: Object, path: str) -> Errors:
    name = section(source, "metric").get("name")
    at = f"{path}.metric.name"
    if name:
        errors = [invalid(at, name, fault) for fault in names.is_path_segment(name)]
    else:
        errors = [required(at, "must specify a metric name")]
    return errors + _validate_target(section(source, "target"), f"{path}.target")


def _validate_utilization(target: Object, path: str) -> Errors:
    errors = _validate_target(target, path)
    share, value = target.get("averageUtilization"), target.get("averageValue")
    if share is None and value is None:
        text = "must set either a target raw value or a target utilization"
        errors.append(required(f"{path}.averageUtilization", text))
    if share is not None and value is not None:
        text = "may not set both a target raw value and a target utilization"
        errors.append(forbidden(f"{path}.averageValue", text))
    return errors


def _validate_target(target: Object, path: str) -> Errors:
    errors: Errors = []
    kind = target.get("type", "")
    if not kind:
        errors.append(required(f"{path}.type", "must specify a metric target type"))
    if kind not in TARGET_TYPES:
        errors.append(invalid(f"{path}.type", kind, "must be either Utilization, Value, or AverageValue"))
    for field in ("value", "averageValue"):
        if (value := target.get(field)) is not None and not _positive(value):
            errors.append(invalid(f"{path}.{field}", value, "must be positive"))
    share = target.get("averageUtilization")
    if share is not None and share < 1:
        errors.append(invalid(f"{path}.averageUtilization", share, "must be greater than 0"))
    return errors


def _positive(value: str) -> bool:
    return quantity.parse(value).nano > 0


# behavior


def _validate_rules(rules: Object, path: str) -> Errors:
    errors: Errors = []
    window, at = rules.get("stabilizationWindowSeconds"), f"{path}.stabilizationWindowSeconds"
    if window is not None and window < 0:
        errors.append(invalid(at, window, "must be greater than or equal to zero"))
    if window is not None and window > LONGEST_STABILIZATION:
        errors.append(invalid(at, window, f"must be less than or equal to {LONGEST_STABILIZATION}"))
    select = rules.get("selectPolicy")
    if select is not None and select not in SELECT_POLICIES:
        errors.append(not_supported(f"{path}.selectPolicy", select, SELECT_POLICIES))
    if not rules.get("policies"):
        errors.append(required(f"{path}.policies", "must specify at least one Policy"))
    for place, policy in each(f"{path}.policies", rules.get("policies")):
        errors += _validate_policy(policy, place)
    tolerance = rules.get("tolerance")
    if tolerance is not None and quantity.parse(tolerance).nano < 0:
        errors.append(invalid(f"{path}.tolerance", tolerance, "must be greater than or equal to 0"))
    return errors


def _validate_policy(policy: Object, path: str) -> Errors:
    errors: Errors = []
    kind, period = policy.get("type", ""), policy.get("periodSeconds") or 0
    if kind not in POLICY_TYPES:
        errors.append(not_supported(f"{path}.type", kind, POLICY_TYPES))
    for field in ("value", "periodSeconds"):
        if (number := policy.get(field) or 0) <= 0:
            errors.append(invalid(f"{path}.{field}", number, "must be greater than zero"))
    if period > LONGEST_PERIOD:
        errors.append(invalid(f"{path}.periodSeconds", period, f"must be less than or equal to {LONGEST_PERIOD}"))
    return errors


# A metric's source by its field, in the order in which upstream looks at them.
SOURCES: dict[str, Callable[[Object, str], Errors]] = {
    "object": _object,
    "external": _external,
    "pods": _pods,
    "resource": _resource,
    "containerResource": _container_resource,
}
SOURCE_OF_TYPE = {
    "ContainerResource": "containerResource",
    "External": "external",
    "Object": "object",
    "Pods": "pods",
    "Resource": "resource",
}

KINDS = {
    ("autoscaling", "HorizontalPodAutoscaler"): KindValidation(
        create=validate_autoscaler, updates={"": _autoscaler_update, "status": _autoscaler_status_update}
    ),
}
