"""Validation of every built-in kind: all of an object's faults at once, in upstream's order.

One entry of `KINDS` (kinds.py) says how a kind's name must look and which functions check the rest; the functions live in
one module per API group (pkg/apis/*/validation upstream). Everything here is pure: objects in, field errors out.
"""

from __future__ import annotations

from typing import Any

from workers.apimachinery.resources import ResourceInfo
from workers.apimachinery.validation.field import Errors
from workers.apimachinery.validation.kinds import DEFAULT, kind_validation
from workers.apimachinery.validation.meta import validate_object_meta, validate_object_meta_update
from workers.apimachinery.validation.rules import KindValidation

__all__ = ["validate_create", "validate_update"]


def validate_create(info: ResourceInfo, obj: dict[str, Any]) -> Errors:
    """The faults of a new, defaulted object; empty when it may be stored."""
    rules = _rules(info)
    errors = validate_object_meta(obj["metadata"], namespaced=info.namespaced, check_name=rules.name)
    return errors + rules.create(obj) if rules.create else errors


def validate_update(info: ResourceInfo, new: dict[str, Any], old: dict[str, Any], subresource: str = "") -> Errors:
    """The faults of replacing `old` by `new` (`subresource`: status, scale, ... or the object itself).

    Faults of the metadata are there twice, as upstream finds them twice: in rest.BeforeUpdate and in the kind's rules.
    """
    rules = _rules(info)
    errors = 2 * validate_object_meta_update(new["metadata"], old["metadata"])
    check = rules.updates.get(subresource)
    return errors + check(new, old) if check else errors


def _rules(info: ResourceInfo) -> KindValidation:
    return DEFAULT if info.plain else kind_validation(info.group, info.kind)
