"""The smaller kinds of the core group (pkg/apis/core/validation)."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from workers.apimachinery.quantity import parse, write
from workers.apimachinery.validation import names
from workers.apimachinery.validation.apps import not_above, validate_restarting_pod
from workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    duplicate,
    each,
    forbidden,
    invalid,
    key,
    required,
    section,
    too_long,
    unchanged,
)
from workers.apimachinery.validation.meta import STANDARD_FINALIZERS
from workers.apimachinery.validation.pod_spec import validate_pod_template
from workers.apimachinery.validation.resource_lists import (
    STANDARD_RESOURCES,
    validate_quantity,
    validate_resource_name,
)
from workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

MAX_SECRET_SIZE = 1024 * 1024
IMMUTABLE_SET = "field is immutable when `immutable` is set"


# ConfigMap


def validate_config_map(obj: Object) -> Errors:
    errors: Errors = []
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    size = 0
    for name, value in sorted(data.items()):
        errors += [invalid(key("data", name), name, fault) for fault in names.is_config_map_key(name)]
        if name in binary:
            errors.append(invalid(key("data", name), name, "duplicate of key present in binaryData"))
        size += len(value.encode())
    for name, value in sorted(binary.items()):
        errors += [invalid(key("binaryData", name), name, fault) for fault in names.is_config_map_key(name)]
        size += len(value) * 3 // 4
    if size > MAX_SECRET_SIZE:
        errors.append(too_long("[]", MAX_SECRET_SIZE))
    return errors


def _config_map_update(new: Object, old: Object) -> Errors:
    return _keep_immutable(new, old, ("data", "binaryData")) + validate_config_map(new)


def _keep_immutable(new: Object, old: Object, fields: tuple[str, ...]) -> Errors:
    if not old.get("immutable"):
        return []
    errors: Errors = [] if new.get("immutable") else [forbidden("immutable", IMMUTABLE_SET)]
    return errors + [forbidden(f, IMMUTABLE_SET) for f in fields if (new.get(f) or {}) != (old.get(f) or {})]


# Secret

SECRET_KEYS = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}
JSON_KEYS = frozenset((".dockercfg", ".dockerconfigjson"))
ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"


def validate_secret(obj: Object) -> Errors:
    errors: Errors = []
    data, kind = obj.get("data") or {}, obj.get("type", "")
    size = 0
    for name, value in sorted(data.items()):
        errors += [invalid(key("data", name), name, fault) for fault in names.is_config_map_key(name)]
        size += len(value) * 3 // 4
    if size > MAX_SECRET_SIZE:
        errors.append(too_long("data", MAX_SECRET_SIZE))
    if kind == "kubernetes.io/service-account-token":
        if not (obj["metadata"].get("annotations") or {}).get(ACCOUNT_ANNOTATION):
            errors.append(required(key("metadata.annotations", ACCOUNT_ANNOTATION)))
    elif kind == "kubernetes.io/basic-auth":
        if not {"username", "password"} & data.keys():
            errors += [required(key("data", "username")), required(key("data", "password"))]
    for name in SECRET_KEYS.get(kind, ()):
        if name not in data:
            errors.append(required(key("data", name)))
        elif name in JSON_KEYS:
            errors += _validate_json(data[name], key("data", name))
    return errors


def _validate_json(encoded: str, path: str) -> Errors:
    text = base64.b64decode(encoded)
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        first = text.lstrip()[:1].decode(errors="replace")
        fault = (
            f"invalid character '{first}' looking for beginning of value" if first else "unexpected end of JSON input"
        )
        return [invalid(path, "<secret contents redacted>", fault)]
    return []


def _secret_update(new: Object, old: Object) -> Errors:
    errors = unchanged(new.get("type", ""), old.get("type", ""), "type")
    return errors + _keep_immutable(new, old, ("data",)) + validate_secret(new)


# Namespace


def validate_finalizer_name(name: str, path: str) -> Errors:
    """ValidateFinalizerName of the core group: qualified, or one that Kubernetes knows."""
    errors = [invalid(path, name, fault) for fault in names.is_qualified_name(name)]
    if "/" not in name and name not in STANDARD_FINALIZERS:
        errors.append(invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
    return errors


def validate_namespace(obj: Object) -> Errors:
    return [
        e
        for name in section(obj, "spec").get("finalizers") or ()
        for e in validate_finalizer_name(name, "spec.finalizers")
    ]


def _namespace_finalize(new: Object, old: Object) -> Errors:
    errors: Errors = []
    for at, name in each("spec.finalizers", section(new, "spec").get("finalizers")):
        errors += validate_finalizer_name(name, at)
    return errors


def _namespace_status(new: Object, old: Object) -> Errors:
    phase, path = section(new, "status").get("phase", ""), "status.Phase"
    expected = "Terminating" if new["metadata"].get("deletionTimestamp") else "Active"
    if phase == expected:
        return []
    given = "not empty" if expected == "Terminating" else "empty"
    return [invalid(path, phase, f"may only be '{expected}' if `deletionTimestamp` is {given}")]


# LimitRange

LIMIT_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")


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
    mentioned: dict[str, None] = {}
    for field in LIMIT_FIELDS:
        if field in ("default", "defaultRequest") and kind == "Pod":
            if limit.get(field):
                errors.append(forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'"))
            continue
        for name, value in sorted((limit.get(field) or {}).items()):
            mentioned[name] = None
            at = key(f"{path}.{field}", name)
            errors += validate_resource_name(name, at) + validate_quantity(name, value, at)
    if kind == "PersistentVolumeClaim" and not any("storage" in (limit.get(f) or {}) for f in ("min", "max")):
        text = "either minimum or maximum storage value is required, but neither was provided"
        errors.append(required(f"{path}.limits", text))
    for name in mentioned:
        errors += _validate_limit_order(limit, name, kind, path)
    return errors


def _validate_limit_order(limit: Object, name: str, kind: str, path: str) -> Errors:
    errors: Errors = []
    given = {field: (limit.get(field) or {}).get(name) for field in LIMIT_FIELDS}
    if kind == "Pod":
        given["default"] = given["defaultRequest"] = None
    for low, high, at, text in LIMIT_ORDER:
        smaller, larger = given[low], given[high]
        if smaller is not None and larger is not None and parse(smaller).nano > parse(larger).nano:
            values = {"low": smaller, "high": larger}
            shown = larger if at in ("default",) and high == "max" else values["high" if at == high else "low"]
            errors.append(invalid(key(f"{path}.{at}", name), shown, text.format(**values)))
    ratio = given["maxLimitRequestRatio"]
    if ratio is not None and parse(ratio).nano < 10**9:
        errors.append(invalid(key(f"{path}.maxLimitRequestRatio", name), ratio, f"ratio {ratio} is less than 1"))
    return errors


# (what may not exceed, what, the field blamed, the message), in upstream's order.
LIMIT_ORDER = (
    ("min", "max", "min", "min value {low} is greater than max value {high}"),
    ("min", "defaultRequest", "defaultRequest", "min value {low} is greater than default request value {high}"),
    ("defaultRequest", "max", "defaultRequest", "default request value {low} is greater than max value {high}"),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "default request value {low} is greater than default limit value {high}",
    ),
    ("min", "default", "default", "min value {low} is greater than default value {high}"),
    ("default", "max", "default", "default value {low} is greater than max value {high}"),
)


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
POD_QUOTAS = frozenset(
    [
        "cpu",
        "memory",
        "ephemeral-storage",
        "pods",
        "requests.cpu",
        "requests.memory",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
    ]
)


def validate_resource_quota(obj: Object) -> Errors:
    spec = section(obj, "spec")
    errors: Errors = []
    for name, value in sorted((spec.get("hard") or {}).items()):
        at = key("spec.hard", name)
        errors += _validate_quota_name(name, at) + _validate_quota_amount(name, value, at)
    return errors + _validate_scopes(spec) + _validate_scope_selector(spec)


def _validate_quota_name(name: str, path: str) -> Errors:
    if faults := names.is_qualified_name(name):
        return [invalid(path, name, fault) for fault in faults]
    known = name in STANDARD_RESOURCES or "hugepages-" in name
    if "/" not in name and not known:
        return [invalid(path, name, "must be a standard resource type or fully qualified")]
    return []


def _validate_quota_amount(name: str, value: str, path: str) -> Errors:
    quantity = parse(value)
    if quantity.nano >= 0 and name in ("pods", "services") and quantity.nano % 10**9:
        return [invalid(path, write(quantity.nano, quantity.format), "must be an integer")]
    return validate_quantity(name, value, path)


def _validate_scopes(spec: Object) -> Errors:
    errors: Errors = []
    scopes = spec.get("scopes") or []
    for scope in scopes:
        if scope not in SCOPES:
            return [*errors, invalid("spec.scopes", scopes, "unsupported scope")]
        for name in sorted(spec.get("hard") or ()):
            if not _scope_fits(scope, name):
                errors.append(invalid("spec.scopes", scopes, "unsupported scope applied to resource"))
    for pair in (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")):
        if set(pair) <= set(scopes):
            errors.append(invalid("spec.scopes", scopes, "conflicting scopes"))
    return errors


def _scope_fits(scope: str, name: str) -> bool:
    if name not in STANDARD_RESOURCES:
        return True
    if scope == "BestEffort":
        return name == "pods"
    if scope == "VolumeAttributesClass":
        return name in ("persistentvolumeclaims", "requests.storage")
    return name in POD_QUOTAS


def _validate_scope_selector(spec: Object) -> Errors:
    errors: Errors = []
    path = "spec.scopeSelector.matchExpressions"
    for requirement in section(spec, "scopeSelector").get("matchExpressions") or ():
        scope, operator, values = (
            requirement.get("scopeName", ""),
            requirement.get("operator", ""),
            requirement.get("values"),
        )
        if scope not in SCOPES:
            errors.append(invalid(f"{path}.scopeName", scope, "unsupported scope"))
        if scope in ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"):
            if operator != "Exists":
                text = "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
                errors.append(invalid(f"{path}.operator", operator, text))
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(required(f"{path}.values", text))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.append(invalid(f"{path}.values", values, text))
        else:
            errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    return errors


def _resource_quota_update(new: Object, old: Object) -> Errors:
    scopes = section(new, "spec").get("scopes"), section(old, "spec").get("scopes")
    errors = validate_resource_quota(new)
    if sorted(scopes[0] or ()) != sorted(scopes[1] or ()):
        errors.append(invalid("spec.scopes", scopes[0], "field is immutable"))
    return errors


# ReplicationController, PodTemplate


def validate_replication_controller(obj: Object) -> Errors:
    spec = section(obj, "spec")
    errors = at_least_zero(spec.get("minReadySeconds"), "spec.minReadySeconds")
    selector = spec.get("selector")
    if not selector:
        errors.append(required("spec.selector"))
    errors += at_least_zero(spec.get("replicas"), "spec.replicas")
    template = spec.get("template")
    if template is None:
        return [*errors, required("spec.template")]
    labels = section(template, "metadata").get("labels") or {}
    if selector and any(labels.get(name) != value for name, value in selector.items()):
        text = "`selector` does not match template `labels`"
        errors.append(invalid("spec.template.metadata.labels", labels, text))
    errors += validate_pod_template(template, "spec.template")
    return errors + validate_restarting_pod(template, "spec.template", "ReplicationController")


def _controller_status(new: Object, old: Object) -> Errors:
    """ValidateReplicationControllerStatus."""
    status = section(new, "status")
    counts = ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")
    errors = [e for field in counts for e in at_least_zero(status.get(field), f"status.{field}")]
    return errors + not_above(status, "ReplicaSet")


def validate_template_object(obj: Object) -> Errors:
    return validate_pod_template(section(obj, "template"), "template")


def _always(check: Any) -> Any:
    return lambda new, old: check(new)


KINDS = {
    ("", "ServiceAccount"): KindValidation(metadata="UM*"),
    ("", "ConfigMap"): KindValidation(metadata="UM*", create=validate_config_map, updates={"": _config_map_update}),
    ("", "Secret"): KindValidation(metadata="UM*", create=validate_secret, updates={"": _secret_update}),
    ("", "Namespace"): KindValidation(
        name=names.is_dns1123_label,
        metadata="M*U",
        create=validate_namespace,
        updates={"finalize": _namespace_finalize, "status": _namespace_status},
    ),
    ("", "LimitRange"): KindValidation(
        metadata="M*", create=validate_limit_range, updates={"": _always(validate_limit_range)}
    ),
    ("", "ResourceQuota"): KindValidation(create=validate_resource_quota, updates={"": _resource_quota_update}),
    ("", "ReplicationController"): KindValidation(
        create=validate_replication_controller,
        updates={
            "": _always(validate_replication_controller),
            "scale": _always(validate_replication_controller),
            "status": _controller_status,
        },
    ),
    ("", "PodTemplate"): KindValidation(
        create=validate_template_object, updates={"": _always(validate_template_object)}
    ),
}
