"""Validation of every built-in kind: all of an object's faults at once, in upstream's order.

One entry of `KINDS` (kinds.py) says how a kind's name must look and which functions check the rest; the functions live in
one module per API group (pkg/apis/*/validation upstream). Everything here is pure: objects in, field errors out.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.validation.field import Errors
from apiserver_workers.apimachinery.validation.kinds import DEFAULT, kind_validation
from apiserver_workers.apimachinery.validation.meta import (
    validate_contents,
    validate_finalizers,
    validate_object_meta,
    validate_object_meta_update,
    validate_standard_finalizers,
)
from apiserver_workers.apimachinery.validation.names import is_path_segment
from apiserver_workers.apimachinery.validation.rules import KindValidation


def validate_create(info: ResourceInfo, obj: dict[str, Any]) -> Errors:
    """The faults of a new, defaulted object; empty when it may be stored."""
    rules = _rules(info)
    metadata = obj["metadata"]
    errors: Errors = []
    if rules.name is not None:
        errors += validate_object_meta(metadata, namespaced=info.namespaced, check_name=rules.name)
        if not rules.any_finalizer:
            errors += validate_standard_finalizers(metadata.get("finalizers"), "metadata.finalizers")
    if rules.create is not None:
        errors += rules.create(obj)
    if rules.name is None and not errors:
        errors = validate_object_meta(metadata, namespaced=info.namespaced, check_name=is_path_segment)
    return errors


def validate_update(info: ResourceInfo, new: dict[str, Any], old: dict[str, Any], subresource: str = "") -> Errors:
    """The faults of replacing `old` by `new` (`subresource`: status, scale, ... or the object itself).

    rest.BeforeUpdate looks at the metadata once as a new object's and once as an update's; then the kind's rules do, in
    steps of their own (`KindValidation`). The name cannot differ from the stored one, so it is not looked at.
    """
    rules = _rules(info)
    metadata = new["metadata"]
    contents = validate_contents(metadata)
    created = contents + validate_finalizers(metadata.get("finalizers"), "metadata.finalizers")
    updated = validate_object_meta_update(metadata, old["metadata"]) + contents
    finalizers = validate_standard_finalizers(metadata.get("finalizers"), "metadata.finalizers")
    found = {"m": created, "M": created + finalizers, "u": updated, "U": updated + finalizers}
    errors = created + updated
    check = rules.updates.get(subresource)
    for step in rules.status if subresource and subresource != "scale" else rules.metadata:
        if step in found:
            errors += found[step]
        elif step == "*" and check is not None:
            errors += check(new, old)
        elif step == "C" and rules.create is not None:
            errors += rules.create(new)
    return errors


def _rules(info: ResourceInfo) -> KindValidation:
    return DEFAULT if info.plain else kind_validation(info.group, info.kind)
