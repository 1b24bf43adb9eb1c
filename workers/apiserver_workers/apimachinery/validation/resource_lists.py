"""Resource requests and limits (pkg/apis/core/validation ValidateResourceRequirements)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from apiserver_workers.apimachinery.quantity import parse, write
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    NOT_NEGATIVE,
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    key,
    not_found,
    not_supported,
    required,
)

CONTAINER_RESOURCES = frozenset(("cpu", "memory", "ephemeral-storage"))
STANDARD_RESOURCES = CONTAINER_RESOURCES | frozenset(
    [
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "storage",
        "services.nodeports",
        "services.loadbalancers",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
    ]
)
INTEGER_RESOURCES = frozenset(
    [
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    ]
)
NATIVE_PREFIX = "kubernetes.io/"
POD_LEVEL_RESOURCES = ("cpu", "memory")
CLAIM_NAMES = "must be one of the names in pod.spec.resourceClaims"


NANO = 10**9


def _nano(value: str) -> int:
    return parse(value).nano


def is_hugepages(name: str) -> bool:
    return name.startswith("hugepages-")


def is_quota_hugepages(name: str) -> bool:
    return name.startswith(("hugepages-", "requests.hugepages-"))


def is_native(name: str) -> bool:
    """A resource without a domain, or in Kubernetes' own."""
    return "/" not in name or NATIVE_PREFIX in name


def is_extended(name: str) -> bool:
    """A resource of somebody's own domain, requested in whole units that cannot be overcommitted."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.is_qualified_name(f"requests.{name}")


def overcommit_allowed(name: str) -> bool:
    """Whether limits may exceed requests."""
    return is_native(name) and not is_hugepages(name)


def validate_resource_name(name: str, path: str) -> Errors:
    """ValidateResourceName: any resource."""
    if faults := names.is_qualified_name(name):
        return [invalid(path, name, fault) for fault in faults]
    if "/" not in name and name not in STANDARD_RESOURCES and not is_quota_hugepages(name):
        return [invalid(path, name, "must be a standard resource type or fully qualified")]
    return []


def validate_container_resource_name(name: str, path: str) -> Errors:
    errors = validate_resource_name(name, path)
    if "/" not in name:
        if name not in CONTAINER_RESOURCES and not is_hugepages(name):
            errors.append(invalid(path, name, "must be a standard resource for containers"))
    elif not is_native(name) and not is_extended(name):
        errors.append(invalid(path, name, "doesn't follow extended resource name standard"))
    return errors


def validate_quantity(name: str, value: str, path: str) -> Errors:
    """ValidateResourceQuantityValue: not negative, whole where the resource counts things."""
    quantity = parse(value)
    errors = [invalid(path, value, NOT_NEGATIVE)] if quantity.nano < 0 else []
    if quantity.nano % NANO and (name in INTEGER_RESOURCES or is_extended(name)):
        errors.append(invalid(path, write(quantity.nano, quantity.format), "must be an integer"))
    return errors


def validate_requirements(resources: dict[str, Any], path: str, *, claims: frozenset[str] = frozenset()) -> Errors:
    """A container's resources: names, amounts, requests within limits, claims that the pod has."""
    return _validate_requirements(resources, path, validate_container_resource_name, claims)


def _validate_requirements(
    resources: dict[str, Any], path: str, check_name: Callable[[str, str], Errors], claims: frozenset[str]
) -> Errors:
    errors: Errors = []
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for name, value in sorted(limits.items()):
        at = key(f"{path}.limits", name)
        errors += check_name(name, at) + validate_quantity(name, value, at) + _validate_pages(name, value, at)
    for name, value in sorted(requests.items()):
        at = key(f"{path}.requests", name)
        errors += check_name(name, at) + validate_quantity(name, value, at)
        errors += _validate_within_limit(name, value, limits.get(name), path)
        errors += _validate_pages(name, value, at)
    huge = any(map(is_hugepages, (*limits, *requests)))
    if huge and not {"cpu", "memory"} & {*limits, *requests}:
        errors.append(forbidden(path, "HugePages require cpu or memory"))
    seen: set[str] = set()
    for at, claim in each(f"{path}.claims", resources.get("claims")):
        errors += _validate_claim(claim, at, claims, seen)
    return errors


def _validate_pages(name: str, value: str, path: str) -> Errors:
    """Huge pages come whole."""
    if not is_hugepages(name):
        return []
    try:
        size = _nano(name.removeprefix("hugepages-"))
    except ValueError:
        size = 0
    if size > 0 and size % NANO == 0 and -(-_nano(value) // NANO) % (size // NANO) == 0:
        return []
    return [invalid(path, value, f"{value} is not positive integer multiple of {name}")]


def _validate_within_limit(name: str, request: str, limit: str | None, path: str) -> Errors:
    overcommit = overcommit_allowed(name)
    if limit is None:
        if not overcommit:
            return [required(f"{path}.limits", "Limit must be set for non overcommitable resources")]
        return []
    if not overcommit and _nano(request) != _nano(limit):
        return [invalid(f"{path}.requests", request, f"must be equal to {name} limit of {limit}")]
    if overcommit and _nano(request) > _nano(limit):
        return [invalid(f"{path}.requests", request, f"must be less than or equal to {name} limit of {limit}")]
    return []


def _validate_claim(claim: dict[str, Any], path: str, known: frozenset[str], seen: set[str]) -> Errors:
    name, request = claim.get("name", ""), claim.get("request", "")
    if not name:
        return [required(path)]
    errors: Errors = []
    if name in seen:
        errors.append(duplicate(path, name))
    else:
        whole = f"{name}/{request}" if request else name
        if request:
            errors += [invalid(f"{path}.request", request, fault) for fault in names.is_dns1123_label(request)]
        if whole in seen:
            errors.append(duplicate(path, whole))
        elif not request:
            errors += [duplicate(path, name) for other in seen if other.startswith(f"{name}/")]
        seen.add(whole)
    if name not in known:
        listed = f": {', '.join(sorted(known))}" if known else " which is empty"
        missing = not_found(path, name)
        errors.append(replace(missing, body=f"{missing.body}: {CLAIM_NAMES}{listed}"))
    return errors


def validate_pod_resources(spec: dict[str, Any], path: str, *, claims: frozenset[str]) -> Errors:
    """Pod-level resources: of a few names, and not below what the containers ask for together."""

    def check_name(name: str, at: str) -> Errors:
        errors = validate_resource_name(name, at)
        if not errors and name not in POD_LEVEL_RESOURCES and not is_hugepages(name):
            errors.append(not_supported(at, name, POD_LEVEL_RESOURCES))
        return errors

    resources = spec["resources"]
    errors = _validate_requirements(resources, path, check_name, claims)
    if resources.get("claims"):
        errors.append(forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level"))
    containers = [container.get("resources") or {} for container in spec.get("containers") or ()]
    for name, value in sorted((resources.get("requests") or {}).items()):
        amounts = [_nano((each_one.get("requests") or {}).get(name, "0")) for each_one in containers]
        if sum(amounts) > _nano(value):
            total = _shown_sum(containers, "requests", name)
            text = f"must be greater than or equal to aggregate container requests of {total}"
            errors.append(invalid(key(f"{path}.requests", name), value, text))
    for name, value in sorted((resources.get("limits") or {}).items()):
        for index, each_one in enumerate(containers):
            limit = (each_one.get("limits") or {}).get(name)
            if limit is not None and _nano(limit) > _nano(value):
                at = key(f"{path.removesuffix('.resources')}.containers[{index}].resources.limits", name)
                errors.append(invalid(at, limit, f"must be less than or equal to pod limits of {value}"))
    return errors


def _shown_sum(containers: list[dict[str, Any]], field: str, name: str) -> str:
    values = [each_one[field][name] for each_one in containers if name in (each_one.get(field) or {})]
    return values[0] if len(values) == 1 else write(sum(map(_nano, values)), parse(values[0]).format)


def validate_overhead(overhead: dict[str, str], path: str) -> Errors:
    errors: Errors = []
    for name, value in sorted(overhead.items()):
        at = key(path, name)
        errors += validate_container_resource_name(name, at) + validate_quantity(name, value, at)
    return errors
