"""Validation of APIServices (k8s.io/kube-aggregator/pkg/apis/apiregistration/validation)."""

from __future__ import annotations

import base64
from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import Errors, each, invalid, not_supported, required, section
from apiserver_workers.apimachinery.validation.rules import KindValidation

STATUSES = ("True", "False", "Unknown")
MAX_GROUP_PRIORITY, MAX_VERSION_PRIORITY = 20000, 1000


def validate_api_service(obj: dict[str, Any]) -> Errors:
    """ValidateAPIService: names, priorities, and the service it leads to (none: it is served here)."""
    spec = obj["spec"]
    group, version = spec.get("group", ""), spec.get("version", "")
    errors = _validate_name(obj["metadata"]["name"], f"{version}.{group}")
    if not group and version != "v1":
        errors.append(required("spec.group", "only v1 may have an empty group and it better be legacy kube"))
    if group:
        errors += [invalid("spec.group", group, fault) for fault in names.is_dns1123_subdomain(group)]
    errors += [invalid("spec.version", version, fault) for fault in names.is_dns1035_label(version)]
    for field, limit in (("groupPriorityMinimum", MAX_GROUP_PRIORITY), ("versionPriority", MAX_VERSION_PRIORITY)):
        priority = spec.get(field, 0)
        if not 0 < priority <= limit:
            errors.append(invalid(f"spec.{field}", priority, f"must be positive and less than {limit}"))
    return errors + (_validate_remote(spec) if spec.get("service") is not None else _validate_local(spec))


def _validate_name(name: str, expected: str) -> Errors:
    if name == expected or names.is_path_segment(name):
        return []
    return [invalid("metadata.name", name, f'must be `spec.version+"."+spec.group`: "{expected}"')]


def _validate_local(spec: dict[str, Any]) -> Errors:
    errors: Errors = []
    if spec.get("caBundle"):
        size = len(base64.b64decode(spec["caBundle"]))
        errors.append(invalid("spec.caBundle", f"{size} bytes", "local APIServices may not have a caBundle"))
    if spec.get("insecureSkipTLSVerify"):
        why = "local APIServices may not have insecureSkipTLSVerify"
        errors.append(invalid("spec.insecureSkipTLSVerify", True, why))
    return errors


def _validate_remote(spec: dict[str, Any]) -> Errors:
    service = spec["service"]
    errors = [required(f"spec.service.{field}") for field in ("namespace", "name") if not service.get(field)]
    port = service.get("port", 0)
    errors += [
        invalid("spec.service.port", port, f"port is not valid: {fault}") for fault in names.is_port_number(port)
    ]
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        errors.append(invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present"))
    return errors


def _status_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    return [
        not_supported(f"{at}.status", condition.get("status", ""), STATUSES)
        for at, condition in each("status.conditions", section(new, "status").get("conditions"))
        if condition.get("status") not in STATUSES
    ]


KINDS = {
    ("apiregistration.k8s.io", "APIService"): KindValidation(
        name=names.is_path_segment,
        metadata="umC",
        status="u*",
        any_finalizer=True,
        create=validate_api_service,
        updates={"status": _status_update},
    ),
}
