"""The smaller kinds of the core group (pkg/apis/core/validation)."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.apps import not_above, validate_restarting_pod
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    each,
    forbidden,
    invalid,
    key,
    required,
    section,
    too_long,
    unchanged,
)
from apiserver_workers.apimachinery.validation.meta import STANDARD_FINALIZERS
from apiserver_workers.apimachinery.validation.pod_spec import validate_pod_template
from apiserver_workers.apimachinery.validation.rules import KindValidation

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
        size += _decoded_size(value)
    if size > MAX_SECRET_SIZE:
        errors.append(too_long("[]", MAX_SECRET_SIZE))
    return errors


def _decoded_size(encoded: str) -> int:
    """How many bytes the base64 text stands for."""
    return len(encoded) * 3 // 4 - encoded.count("=", -2)


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
        size += _decoded_size(value)
    if size > MAX_SECRET_SIZE:
        errors.append(too_long("data", MAX_SECRET_SIZE))
    if kind == "kubernetes.io/service-account-token":
        if not (obj["metadata"].get("annotations") or {}).get(ACCOUNT_ANNOTATION):
            errors.append(required(key("metadata.annotations", ACCOUNT_ANNOTATION)))
    elif kind == "kubernetes.io/basic-auth":
        if not {"username", "password"} & data.keys():
            errors += [required(key("data", "username")), required(key("data", "password"))]
    for name in SECRET_KEYS.get(kind, ()):
        if name not in data or (not data[name] and name == "ssh-privatekey"):
            errors.append(required(key("data", name)))
        elif name in JSON_KEYS:
            errors += _validate_json(data[name], key("data", name))
    return errors


def _go_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "array" if isinstance(value, list) else "string" if isinstance(value, str) else "number"


def _validate_json(encoded: str, path: str) -> Errors:
    text = base64.b64decode(encoded)
    try:
        value = orjson.loads(text)
        if value is not None and not isinstance(value, dict):
            fault = f"json: cannot unmarshal {_go_kind(value)} into Go value of type map[string]interface {{}}"
            return [invalid(path, "<secret contents redacted>", fault)]
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
    labels = section(template, "metadata").get("labels")
    if selector and any((labels or {}).get(name) != value for name, value in selector.items()):
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
