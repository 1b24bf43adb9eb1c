"""Nodes (pkg/apis/core/validation ValidateNode)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.addresses import parse_cidr
from apiserver_workers.apimachinery.types import model
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.addresses import validate_cidr
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    repeated,
    required,
    section,
)
from apiserver_workers.apimachinery.validation.internal import internal
from apiserver_workers.apimachinery.validation.resource_lists import validate_quantity
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
TAINTS = "metadata.taints"  # where upstream blames them
ONCE = 'node updates may not change {} except from "" to valid'


def validate_node(node: Object) -> Errors:
    spec = section(node, "spec")
    return _validate_taints(spec.get("taints"), TAINTS) + _validate_resources(node) + _validate_pod_cidrs(spec)


def _validate_taints(taints: list[Object] | None, path: str) -> Errors:
    errors: Errors = []
    seen: set[tuple[str, str]] = set()
    for at, taint in each(path, taints):
        name, value, effect = taint.get("key", ""), taint.get("value", ""), taint.get("effect", "")
        errors += [invalid(f"{at}.key", name, fault) for fault in names.is_qualified_name(name)]
        if faults := names.is_label_value(value):
            errors.append(invalid(f"{at}.value", value, ";".join(faults)))
        if not effect:
            errors.append(required(f"{at}.effect"))
        elif effect not in TAINT_EFFECTS:
            errors.append(not_supported(f"{at}.effect", effect, TAINT_EFFECTS))
        if (name, effect) in seen:
            error = duplicate(at, internal(model().type("io.k8s.api.core.v1.Taint"), taint))
            error.body += ": taints must be unique by key and effect pair"
            errors.append(error)
        seen.add((name, effect))
    return errors


def _validate_resources(node: Object) -> Errors:
    """What a kubelet says that the node has."""
    return [
        error
        for field in ("capacity", "allocatable")
        for name, value in sorted((section(node, "status").get(field) or {}).items())
        for error in validate_quantity(name, value, f"status.{field}.{name}")
    ]


def _validate_pod_cidrs(spec: Object) -> Errors:
    cidrs, path = spec.get("podCIDRs") or [], "spec.podCIDRs"
    errors = [error for at, cidr in each(path, cidrs) for error in validate_cidr(cidr, at)]
    if errors or len(cidrs) < 2:
        return errors
    families = {found.network.version for found in map(parse_cidr, cidrs) if found}
    if len(cidrs) > 2 or len(families) < 2:
        errors.append(invalid(path, cidrs, "may specify no more than one CIDR for each IP family"))
    return errors + [duplicate(at, cidr) for i, (at, cidr) in enumerate(each(path, cidrs)) if cidr in cidrs[:i]]


def _node_update(new: Object, old: Object) -> Errors:
    spec, was = section(new, "spec"), section(old, "spec")
    errors = _validate_resources(new)
    addresses = section(new, "status").get("addresses") or []
    again = repeated(addresses)
    for index, (at, address) in enumerate(each("status.addresses", addresses)):
        if index in again:
            errors.append(duplicate(at, {"Type": address.get("type", ""), "Address": address.get("address", "")}))
    held, now = was.get("podCIDRs") or [], spec.get("podCIDRs") or []
    changed = 1 if len(held) != len(now) else sum(a != b for a, b in zip(held, now, strict=True))
    errors += [forbidden("spec.podCIDRs", ONCE.format("podCIDR"))] * (changed if held else 0)
    if was.get("providerID") and spec.get("providerID") != was["providerID"]:
        errors.append(forbidden("spec.providerID", ONCE.format("providerID")))
    errors += _validate_taints(spec.get("taints"), TAINTS)
    if spec.get("externalID", "") != was.get("externalID", ""):
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors


KINDS = {
    ("", "Node"): KindValidation(create=validate_node, updates={"": _node_update, "status": _node_update}),
}
