"""Nodes (pkg/apis/core/validation ValidateNode)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from apiserver_workers.apimachinery.addresses import parse_cidr
from apiserver_workers.apimachinery.codec.jsontext import syntax_error
from apiserver_workers.apimachinery.types import model
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.addresses import validate_cidr
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    internal_error,
    invalid,
    join,
    not_supported,
    repeated,
    required,
    section,
    shown,
)
from apiserver_workers.apimachinery.validation.internal import internal, invalid_internal
from apiserver_workers.apimachinery.validation.resource_lists import validate_quantity
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
ANNOTATIONS = "metadata.annotations"
TAINTS_ANNOTATION = "scheduler.alpha.kubernetes.io/taints"
AVOID_ANNOTATION = "scheduler.alpha.kubernetes.io/preferAvoidPods"
FEATURE_NAME = re.compile("[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*")
FEATURE_NAME_TEXT = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' "
    "(e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)
TAINTS = "metadata.taints"  # where upstream blames them
ONCE = 'node updates may not change {} except from "" to valid'


def validate_node(node: Object) -> Errors:
    """ValidateNode."""
    spec, status = section(node, "spec"), section(node, "status")
    errors = _validate_annotations(node) + _validate_taints(spec.get("taints"), TAINTS) + _validate_resources(node)
    capacity = section(status, "nodeInfo", "swap").get("capacity")
    if capacity is not None and capacity <= 0:
        errors.append(invalid("metadata.nodeSwapStatus.capacity", capacity, "must be greater than zero"))
    errors += _validate_declared_features(status.get("declaredFeatures") or [], "status.declaredFeatures")
    return errors + _validate_pod_cidrs(spec)


def _validate_annotations(node: Object) -> Errors:
    """ValidateNodeSpecificAnnotations: taints and pods to avoid, as they were given before there were fields for them."""
    annotations = section(node, "metadata", "annotations")
    errors: Errors = []
    if text := annotations.get(TAINTS_ANNOTATION):
        taints, fault = _parsed(text, [])
        if fault:
            return [invalid(ANNOTATIONS, TAINTS_ANNOTATION, fault)]
        lowered = [{name[:1].lower() + name[1:]: value for name, value in taint.items()} for taint in taints]
        errors += _validate_taints(lowered, join(ANNOTATIONS, TAINTS_ANNOTATION))
    if text := annotations.get(AVOID_ANNOTATION):
        avoid, fault = _parsed(text, {})
        if fault:
            return [*errors, invalid(f"{ANNOTATIONS}.AvoidPods", AVOID_ANNOTATION, fault)]
        for at, entry in each(join(ANNOTATIONS, AVOID_ANNOTATION), avoid.get("preferAvoidPods")):
            owner = section(entry, "podSignature").get("podController")
            if owner is None:
                errors.append(required(f"{at}.PodSignature"))
            elif not owner.get("controller"):
                place = f"{at}.PodSignature.PodController.Controller"
                errors.append(invalid(place, False, "must point to a controller"))
    return errors


def _parsed(text: str, shape: Any) -> tuple[Any, str]:
    """The JSON value of an annotation, empty if it is none of the shape, and what is wrong with it."""
    if fault := syntax_error(text):
        return shape, fault
    value = orjson.loads(text)
    return (value if isinstance(value, type(shape)) else shape), ""


def _validate_declared_features(features: list[str], path: str) -> Errors:
    errors: Errors = []
    for index, (at, feature) in enumerate(each(path, features)):
        before = features[index - 1] if index else None
        if feature == before:
            errors.append(duplicate(at, feature))
        elif before is not None and before.encode() > feature.encode():
            errors.append(invalid(at, feature, "list must be sorted alphabetically"))
        if fault := _feature_name_fault(feature):
            errors.append(invalid(at, feature, f"invalid feature name {shown(feature)}: {fault}"))
    return errors


def _feature_name_fault(feature: str) -> str:
    if len(feature) > 253:
        return "must be no more than 253 characters"
    return "" if FEATURE_NAME.fullmatch(feature) else FEATURE_NAME_TEXT


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
    if len(cidrs) < 2:
        return errors
    parsed = [parse_cidr(cidr) for cidr in cidrs]
    if None in parsed:
        index = parsed.index(None)
        text = f"invalid CIDR[{index}]: <nil> (invalid CIDR address: {cidrs[index]})"
        errors.append(internal_error(path, f"invalid PodCIDRs. failed to check with dual stack with error:{text}"))
    families = {found.network.version for found in parsed if found}
    if None in parsed or len(cidrs) > 2 or len(families) < 2:
        errors.append(invalid(path, cidrs, "may specify no more than one CIDR for each IP family"))
    return errors


def _node_update(new: Object, old: Object) -> Errors:
    """ValidateNodeUpdate."""
    spec, was = section(new, "spec"), section(old, "spec")
    errors = _validate_annotations(new) + _validate_resources(new)
    features = section(new, "status").get("declaredFeatures") or []
    errors += _validate_declared_features(features, "status.declaredFeatures")
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
    errors += _validate_config_sources(new)
    errors += _validate_taints(spec.get("taints"), TAINTS)
    if spec.get("externalID", "") != was.get("externalID", ""):
        errors.append(forbidden("spec.externalID", "may not be updated"))
    return errors


def _validate_config_sources(node: Object) -> Errors:
    """Sources of the kubelet's configuration, which is no longer taken from there; nodes of old still name them."""
    errors: Errors = []
    spec, config = section(node, "spec"), section(node, "status", "config")
    if (source := spec.get("configSource")) is not None:
        errors += _validate_config_source(source, "spec.configSource", _in_spec)
    for field in ("assigned", "active", "lastKnownGood"):
        if (source := config.get(field)) is not None:
            errors += _validate_config_source(source, f"status.config.{field}", _in_status)
    return errors


def _validate_config_source(source: Object, path: str, check: Callable[[Object, str], Errors]) -> Errors:
    config_map = source.get("configMap")
    if config_map is None:
        text = "exactly one reference subfield must be non-nil"
        return [invalid_internal(path, "io.k8s.api.core.v1.NodeConfigSource", source, text)]
    at = f"{path}.configMap"
    errors = check(config_map, at)
    for field, fault_of in CONFIG_MAP_FIELDS:
        value = config_map.get(field, "")
        if value:
            errors += [invalid(f"{at}.{field}", value, fault) for fault in fault_of(value)]
        else:
            errors.append(required(f"{at}.{field}"))
    return errors


def _in_spec(config_map: Object, path: str) -> Errors:
    fields = ("uid", "resourceVersion")
    return [
        forbidden(f"{path}.{field}", f"{field} must not be set in spec") for field in fields if config_map.get(field)
    ]


def _in_status(config_map: Object, path: str) -> Errors:
    return [required(f"{path}.{field}") for field in ("uid", "resourceVersion") if not config_map.get(field)]


CONFIG_MAP_FIELDS = (
    ("namespace", names.is_dns1123_label),
    ("name", names.is_dns1123_subdomain),
    ("kubeletConfigKey", names.is_config_map_key),
)


KINDS = {
    ("", "Node"): KindValidation(
        metadata="MCU*", create=validate_node, updates={"": _node_update, "status": _node_update}
    ),
}
