"""LimitRange and ResourceQuota (pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.quantity import parse
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    IMMUTABLE,
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    key,
    required,
    section,
)
from apiserver_workers.apimachinery.validation.internal import invalid_internal
from apiserver_workers.apimachinery.validation.resource_lists import (
    is_quota_hugepages,
    overcommit_allowed,
    validate_container_resource_name,
    validate_quantity,
    validate_resource_name,
)
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

MOST_ALIKE = 100  # errors of scopes that are told: each shows all scopes
NANO = 10**9
MAX_MILLI = (2**63 - 1) // 1000


# LimitRange

CONTAINER_LIMITS = ("Container", "Pod")
# What a limit sets, in the order in which upstream looks at the names, without what a pod's may not set.
LIMIT_FIELDS = ("max", "min", "default", "defaultRequest")
# (what may not exceed, what, the field blamed, whose value is shown, the message), in upstream's order.
LIMIT_ORDER = (
    ("min", "max", "min", "min", "min value {low} is greater than max value {high}"),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "defaultRequest",
        "min value {low} is greater than default request value {high}",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "defaultRequest",
        "default request value {low} is greater than max value {high}",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "defaultRequest",
        "default request value {low} is greater than default limit value {high}",
    ),
    ("min", "default", "default", "min", "min value {low} is greater than default value {high}"),
    ("default", "max", "default", "max", "default value {low} is greater than max value {high}"),
)


def validate_limit_range(obj: Object) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for path, limit in each("spec.limits", section(obj, "spec").get("limits")):
        kind = limit.get("type", "")
        faults = [invalid(f"{path}.type", kind, fault) for fault in names.is_qualified_name(kind)]
        if not faults and "/" not in kind and kind not in ("Container", "Pod", "PersistentVolumeClaim"):
            faults.append(invalid(f"{path}.type", kind, "must be a standard limit type or fully qualified"))
        errors += faults
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        errors += _validate_limit(limit, kind, path)
    return errors


def _validate_limit(limit: Object, kind: str, path: str) -> Errors:
    errors: Errors = []
    check_name = validate_container_resource_name if kind in CONTAINER_LIMITS else validate_resource_name
    given: dict[str, dict[str, str]] = {}
    for field in LIMIT_FIELDS:
        values = limit.get(field) or {}
        if kind == "Pod" and field in ("default", "defaultRequest"):
            if values:
                errors.append(forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'"))
            continue
        given[field] = values
        errors += [error for name in sorted(values) for error in check_name(name, key(f"{path}.{field}", name))]
    if kind == "PersistentVolumeClaim" and "storage" not in given["min"] and "storage" not in given["max"]:
        text = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", text))
    field = "maxLimitRequestRatio"
    given[field] = limit.get(field) or {}
    errors += [error for name in sorted(given[field]) for error in check_name(name, key(f"{path}.{field}", name))]
    for name in sorted({name for values in given.values() for name in values}):
        errors += _validate_amounts({f: values[name] for f, values in given.items() if name in values}, name, path)
    return errors


def _validate_amounts(given: dict[str, str], name: str, path: str) -> Errors:
    """One resource's limits against one another."""
    errors: Errors = []
    for low, high, at, whose, text in LIMIT_ORDER:
        if low in given and high in given and parse(given[low]).nano > parse(given[high]).nano:
            detail = text.format(low=given[low], high=given[high])
            errors.append(invalid(key(f"{path}.{at}", name), given[whose], detail))
    if ratio := given.get("maxLimitRequestRatio"):
        errors += _validate_ratio(ratio, given, key(f"{path}.maxLimitRequestRatio", name))
    default, request = given.get("default"), given.get("defaultRequest")
    if default and request and not overcommit_allowed(name) and parse(default).nano != parse(request).nano:
        detail = f"default value {default} must equal to defaultRequest value {request} in {name}"
        errors.append(invalid(key(f"{path}.defaultRequest", name), request, detail))
    return errors


def _validate_ratio(ratio: str, given: dict[str, str], path: str) -> Errors:
    errors: Errors = []
    nano = parse(ratio).nano
    if nano < NANO:
        errors.append(invalid(path, ratio, f"ratio {ratio} is less than 1"))
    if "min" in given and "max" in given:
        low, high = parse(given["min"]).nano, parse(given["max"]).nano
        unit = NANO // 1000 if all(-(-value // NANO) < MAX_MILLI for value in (nano, low, high)) else NANO
        # Values are rounded up to the unit, as Value() and MilliValue() do.
        share = -(-nano // unit) / (NANO // unit)
        bottom, top = -(-low // unit), -(-high // unit)
        limit = top / bottom if bottom else float("inf")
        if share > limit:
            errors.append(invalid(path, ratio, f"ratio {ratio} is greater than max/min = {limit:f}"))
    return errors


# ResourceQuota

SCOPES = (
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
)
EXISTING_SCOPES = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
CONFLICTING_SCOPES = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))
COMPUTE_QUOTAS = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
QUOTAS = frozenset(
    [
        *COMPUTE_QUOTAS,
        "ephemeral-storage",
        "requests.ephemeral-storage",
        "limits.ephemeral-storage",
        "requests.storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
    ]
)
_POD_QUOTAS = frozenset(["pods", *COMPUTE_QUOTAS])
# What each scope can be applied to.
SCOPE_QUOTAS = {
    "Terminating": _POD_QUOTAS,
    "NotTerminating": _POD_QUOTAS,
    "NotBestEffort": _POD_QUOTAS,
    "PriorityClass": _POD_QUOTAS,
    "CrossNamespacePodAffinity": _POD_QUOTAS,
    "BestEffort": frozenset(["pods"]),
    "VolumeAttributesClass": frozenset(["persistentvolumeclaims", "requests.storage"]),
}
EXISTS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
SCOPE_SELECTOR = "io.k8s.api.core.v1.ScopeSelector"


def validate_resource_quota(obj: Object) -> Errors:
    spec = section(obj, "spec")
    errors = _validate_amounts_of(spec.get("hard"), "spec.hard")
    return errors + _validate_scopes(spec) + _validate_scope_selector(spec)


def _validate_amounts_of(amounts: dict[str, str] | None, path: str) -> Errors:
    errors: Errors = []
    for name, value in sorted((amounts or {}).items()):
        at = key(path, name)
        errors += _validate_quota_name(name, at) + validate_quantity(name, value, at)
    return errors


def _standard(name: str) -> bool:
    return name in QUOTAS or is_quota_hugepages(name)


def _validate_quota_name(name: str, path: str) -> Errors:
    errors = validate_resource_name(name, path)
    if "/" not in name and not _standard(name):
        errors.append(invalid(path, name, "must be a standard resource for quota"))
    return errors


def _misapplied(scope: str, spec: Object) -> int:
    """For how many of the quota's resources the scope means nothing."""
    fitting = SCOPE_QUOTAS.get(scope)
    return sum(_standard(name) and name not in fitting for name in spec.get("hard") or ()) if fitting else 0


def _validate_scopes(spec: Object) -> Errors:
    scopes = spec.get("scopes")
    if not scopes:
        return []
    unsupported = invalid("spec.scopes", scopes, "unsupported scope")
    misapplied = invalid("spec.scopes", scopes, "unsupported scope applied to resource")
    found = set(scopes)
    times = {scope: _misapplied(scope, spec) for scope in found}
    errors: Errors = []
    for scope in scopes:
        if scope not in SCOPES:
            errors.append(unsupported)
        errors += [misapplied] * times[scope]
        if len(errors) > MOST_ALIKE:
            break
    return errors + _conflicts(found, "spec.scopes", scopes)


def _conflicts(scopes: set[str], path: str, shown: list[str] | None) -> Errors:
    return [invalid(path, shown, "conflicting scopes") for pair in CONFLICTING_SCOPES if scopes.issuperset(pair)]


def _validate_scope_selector(spec: Object) -> Errors:
    errors: Errors = []
    selector, path = spec.get("scopeSelector"), "spec.scopeSelector.matchExpressions"
    requirements = (selector or {}).get("matchExpressions") or ()
    for requirement in requirements:
        scope, operator = requirement.get("scopeName", ""), requirement.get("operator", "")
        if scope not in SCOPES:
            errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        if misapplied := _misapplied(scope, spec):
            text = "unsupported scope applied to resource"
            errors += [invalid_internal(path, SCOPE_SELECTOR, selector, text)] * misapplied
        if scope in EXISTING_SCOPES and operator != "Exists":
            errors.append(invalid(f"{path}.operator", operator, EXISTS))
        errors += _validate_operator(operator, requirement.get("values"), path)
    scopes = {requirement.get("scopeName", "") for requirement in requirements}
    return errors + _conflicts(scopes, path, spec.get("scopes"))


def _validate_operator(operator: str, values: list[str] | None, path: str) -> list[FieldError]:
    if operator in ("In", "NotIn"):
        text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
        return [] if values else [required(f"{path}.values", text)]
    if operator in ("Exists", "DoesNotExist"):
        text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
        return [invalid(f"{path}.values", values, text)] if values else []
    return [invalid(f"{path}.operator", operator, "not a valid selector operator")]


def _quota_update(new: Object, old: Object) -> Errors:
    scopes = section(new, "spec").get("scopes"), section(old, "spec").get("scopes")
    errors = validate_resource_quota(new)
    if set(scopes[0] or ()) != set(scopes[1] or ()):
        errors.append(invalid("spec.scopes", scopes[0], IMMUTABLE))
    return errors


def _quota_status(new: Object, old: Object) -> Errors:
    status = section(new, "status")
    return _validate_amounts_of(status.get("hard"), "status.hard") + _validate_amounts_of(
        status.get("used"), "status.used"
    )


KINDS = {
    ("", "LimitRange"): KindValidation(
        metadata="M*", create=validate_limit_range, updates={"": lambda new, old: validate_limit_range(new)}
    ),
    ("", "ResourceQuota"): KindValidation(
        create=validate_resource_quota, updates={"": _quota_update, "status": _quota_status}
    ),
}
