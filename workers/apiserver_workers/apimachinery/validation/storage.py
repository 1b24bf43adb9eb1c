"""storage.k8s.io besides StorageClass, and RuntimeClass (pkg/apis/storage/validation, pkg/apis/node/validation)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import quantity
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    NOT_NEGATIVE,
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    required,
    section,
    unchanged,
)
from apiserver_workers.apimachinery.validation.meta import validate_labels
from apiserver_workers.apimachinery.validation.resource_lists import validate_overhead
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.scheduling import validate_tolerations
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector
from apiserver_workers.apimachinery.validation.small_groups import validate_parameters, validate_provisioner

Object = dict[str, Any]
GROUP = "storage.k8s.io"


def validate_runtime_class(obj: Object) -> Errors:
    handler = obj.get("handler", "")
    errors: Errors = [] if handler else [required("handler")]
    if handler:
        errors += [invalid("handler", handler, fault) for fault in names.is_dns1123_label(handler)]
    if (overhead := obj.get("overhead")) is not None:
        errors += validate_overhead(overhead.get("podFixed") or {}, "overhead.limits")
    scheduling = section(obj, "scheduling")
    errors += validate_labels(scheduling.get("nodeSelector"), "scheduling.nodeSelector")
    return errors + _validate_tolerations(scheduling.get("tolerations"), "scheduling.tolerations")


def _validate_tolerations(tolerations: list[Object] | None, path: str) -> Errors:
    """As a pod's, and none twice, but for its seconds."""
    errors = validate_tolerations(tolerations, path)
    seen: set[tuple[str, ...]] = set()
    for at, toleration in each(path, tolerations):
        same = tuple(toleration.get(field) or "" for field in ("key", "operator", "value", "effect"))
        if same in seen:
            errors.append(duplicate(at, toleration))
        seen.add(same)
    return errors


def _runtime_class_update(new: Object, old: Object) -> Errors:
    return unchanged(new.get("handler"), old.get("handler"), "handler")


def validate_attributes_class(obj: Object) -> Errors:
    errors = validate_provisioner(obj.get("driverName", ""), "driverName")
    return errors + validate_parameters(obj.get("parameters"), needed=True)


def _attributes_class_update(new: Object, old: Object) -> Errors:
    errors: Errors = []
    if new.get("driverName") != old.get("driverName"):
        errors.append(forbidden("driverName", "updates to driverName are forbidden."))
    if (new.get("parameters") or {}) != (old.get("parameters") or {}):
        errors.append(forbidden("parameters", "updates to parameters are forbidden."))
    return errors


def validate_storage_capacity(obj: Object) -> Errors:
    errors = validate_label_selector(obj.get("nodeTopology"), "nodeTopology")
    name = obj.get("storageClassName", "")
    errors += [invalid("storageClassName", name, fault) for fault in names.is_dns1123_subdomain(name)]
    value = obj.get("capacity")
    if value is not None and quantity.parse(value).nano < 0:
        errors.append(invalid("capacity", value, NOT_NEGATIVE))
    return errors


def _storage_capacity_update(new: Object, old: Object) -> Errors:
    errors = unchanged(new.get("nodeTopology"), old.get("nodeTopology"), "nodeTopology")
    return errors + unchanged(new.get("storageClassName"), old.get("storageClassName"), "storageClassName")


KINDS = {
    ("node.k8s.io", "RuntimeClass"): KindValidation(
        metadata="mCu*",
        any_finalizer=True,
        create=validate_runtime_class,
        updates={"": _runtime_class_update},
    ),
    (GROUP, "VolumeAttributesClass"): KindValidation(
        metadata="U*MC", create=validate_attributes_class, updates={"": _attributes_class_update}
    ),
    (GROUP, "CSIStorageCapacity"): KindValidation(
        metadata="MCU*", create=validate_storage_capacity, updates={"": _storage_capacity_update}
    ),
}
