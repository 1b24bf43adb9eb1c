"""Groups whose kinds have few rules: coordination, scheduling, storage classes, policy."""

from __future__ import annotations

from collections import Counter
from typing import Any

from apiserver_workers.apimachinery.integers import whole
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.conditions import validate_conditions
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    one_of,
    repeated,
    required,
    section,
    too_long,
    unchanged,
)
from apiserver_workers.apimachinery.validation.previews import validate_strategy
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector

HIGHEST_USER_PRIORITY = 1_000_000_000
SYSTEM_PRIORITIES = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
PREEMPTION_POLICIES = ("PreemptLowerPriority", "Never")
EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


def validate_lease(obj: dict[str, Any]) -> Errors:
    """pkg/apis/coordination/validation."""
    spec = section(obj, "spec")
    errors: Errors = []
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", duration, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    strategy, holder = spec.get("strategy"), spec.get("preferredHolder")
    if strategy is not None:
        errors += validate_strategy(strategy, "spec.strategy.strategy")
    if holder and not strategy:
        errors.append(forbidden("spec.preferredHolder", "may only be specified if `strategy` is defined"))
    return errors


def validate_priority_class(obj: dict[str, Any]) -> Errors:
    """pkg/apis/scheduling/validation."""
    name, value = obj["metadata"].get("name", ""), obj.get("value") or 0
    errors: Errors = []
    if name.startswith("system-"):
        known = SYSTEM_PRIORITIES.get(name)
        problem = ""
        if known is None:
            problem = f"{name} is not a known system priority class"
        elif known != value:
            problem = f"value of {name} PriorityClass must be {known}"
        elif obj.get("globalDefault"):
            problem = f"globalDefault of {name} PriorityClass must be false"
        if problem:
            text = "priority class names with 'system-' prefix are reserved for system use only. error: "
            errors.append(forbidden("metadata.name", text + problem))
    elif value > HIGHEST_USER_PRIORITY:
        text = f"maximum allowed value of a user defined priority is {HIGHEST_USER_PRIORITY}"
        errors.append(forbidden("value", text))
    policy = obj.get("preemptionPolicy")
    if policy is None:
        return errors
    return errors + one_of(policy, PREEMPTION_POLICIES, "preemptionPolicy", needed=True)


def _priority_class_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    errors: Errors = []
    if (new.get("value") or 0) != (old.get("value") or 0):
        errors.append(forbidden("value", "may not be changed in an update."))
    return errors + unchanged(new.get("preemptionPolicy"), old.get("preemptionPolicy"), "preemptionPolicy")


def validate_pod_disruption_budget(obj: dict[str, Any]) -> Errors:
    """pkg/apis/policy/validation."""
    spec = section(obj, "spec")
    low, high = spec.get("minAvailable"), spec.get("maxUnavailable")
    errors: Errors = []
    if low is not None and high is not None:
        shown = {
            "MinAvailable": low,
            "Selector": spec.get("selector"),
            "MaxUnavailable": high,
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        errors.append(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"))
    for field, value in (("minAvailable", low), ("maxUnavailable", high)):
        errors += validate_int_or_percent(value, f"spec.{field}")
    errors += validate_label_selector(spec.get("selector"), "spec.selector")
    policy = spec.get("unhealthyPodEvictionPolicy")
    if policy is not None and policy not in EVICTION_POLICIES:
        errors.append(not_supported("spec.unhealthyPodEvictionPolicy", policy, EVICTION_POLICIES))
    return errors


def validate_int_or_percent(value: int | str | None, path: str) -> Errors:
    """ValidatePositiveIntOrPercent and IsNotMoreThan100Percent."""
    if isinstance(value, str):
        if faults := names.is_valid_percent(value):
            return [invalid(path, value, fault) for fault in faults]
        return [] if whole(value[:-1]) <= 100 else [invalid(path, value, "must not be greater than 100%")]
    return at_least_zero(value, path)


def _budget_status_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    errors = validate_conditions(section(new, "status").get("conditions"), "status.conditions")
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        errors += at_least_zero(section(new, "status").get(field), f"status.{field}")
    return errors


def validate_storage_class(obj: dict[str, Any]) -> Errors:
    """pkg/apis/storage/validation."""
    errors = validate_provisioner(obj.get("provisioner") or "", "provisioner")
    errors += validate_parameters(obj.get("parameters"))
    errors += one_of(obj.get("reclaimPolicy"), ("Delete", "Retain"), "reclaimPolicy")
    if obj.get("volumeBindingMode") is None:
        errors.append(required("volumeBindingMode"))
    else:
        errors += one_of(obj["volumeBindingMode"], ("Immediate", "WaitForFirstConsumer"), "volumeBindingMode")
    return errors + _validate_topologies(obj.get("allowedTopologies"))


def validate_provisioner(name: str, path: str) -> Errors:
    """The driver of a class: a qualified name in whatever case; messages show it in lower case."""
    if not name:
        return [required(path)]
    lowered = name.lower()
    return [invalid(path, lowered, fault) for fault in names.is_qualified_name(lowered)]


MOST_PARAMETERS, LONGEST_PARAMETERS = 512, 256 * 1024
MOST_ALIKE = 100  # repetitions that are told of one term of a storage class


def validate_parameters(parameters: dict[str, str] | None, *, needed: bool = False) -> Errors:
    """What a class tells its driver."""
    given = parameters or {}
    if len(given) > MOST_PARAMETERS:
        return [too_long("parameters", MOST_PARAMETERS)]
    errors: Errors = [invalid("parameters", "", "field can not be empty.")] if "" in given else []
    if sum(len(name.encode()) + len(value.encode()) for name, value in given.items()) > LONGEST_PARAMETERS:
        errors.append(too_long("parameters", LONGEST_PARAMETERS))
    if needed and not given:
        errors.append(required("parameters", "must contain at least one key/value pair"))
    return errors


def _validate_topologies(terms: list[dict[str, Any]] | None) -> Errors:
    """validateAllowedTopologies, where a term without expressions equals as many empty ones as there are terms."""
    errors: Errors = []
    before = Counter({frozenset[Any](): len(terms or ())})
    for path, term in each("allowedTopologies", terms):
        found: dict[str, frozenset[str]] = {}
        for at, expression in each(f"{path}.matchLabelExpressions", term.get("matchLabelExpressions")):
            values, name = expression.get("values") or [], expression.get("key", "")
            errors += _validate_topology_expression(name, values, at)
            if name in found:
                errors.append(duplicate(f"{at}.key", name))
            found[name] = frozenset(values)
        term_as_key = frozenset(found.items())
        told = min(before[term_as_key], MOST_ALIKE)
        errors += [duplicate(f"{path}.matchLabelExpressions", "")] * told
        before[term_as_key] += 1
    return errors


def _validate_topology_expression(name: str, values: list[str], path: str) -> Errors:
    errors: Errors = [] if values else [required(f"{path}.values")]
    errors += [duplicate(f"{path}.values[{index}]", values[index]) for index in sorted(repeated(values))]
    return errors + [invalid(f"{path}.key", name, fault) for fault in names.is_qualified_name(name)]


def _storage_class_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    errors = unchanged(new.get("parameters") or {}, old.get("parameters") or {}, "parameters")
    for field in ("provisioner", "reclaimPolicy", "volumeBindingMode"):
        errors += unchanged(new.get(field), old.get(field), field)
    return errors


KINDS = {
    ("coordination.k8s.io", "Lease"): KindValidation(metadata="uC", any_finalizer=True, create=validate_lease),
    ("scheduling.k8s.io", "PriorityClass"): KindValidation(
        create=validate_priority_class, updates={"": _priority_class_update}
    ),
    ("policy", "PodDisruptionBudget"): KindValidation(
        name=None,
        metadata="C",
        status="*",
        create=validate_pod_disruption_budget,
        updates={"status": _budget_status_update},
    ),
    ("storage.k8s.io", "StorageClass"): KindValidation(
        metadata="MCU*", create=validate_storage_class, updates={"": _storage_class_update}
    ),
}
