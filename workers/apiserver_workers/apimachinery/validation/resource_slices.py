"""resource.k8s.io: ResourceSlice, the devices that a driver offers (pkg/apis/resource/validation)."""

from __future__ import annotations

import re
from typing import Any

from apiserver_workers.apimachinery.quantity import parse, write
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.collections import (
    Check,
    one_name,
    validate_map,
    validate_set,
    validate_slice,
)
from apiserver_workers.apimachinery.validation.devices import (
    label,
    validate_binding,
    validate_pool_name,
    validate_qualified_name,
    validate_taint,
)
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    each,
    forbidden,
    invalid,
    key,
    not_found,
    required,
    section,
    too_long,
    unchanged,
)
from apiserver_workers.apimachinery.validation.internal import invalid_internal
from apiserver_workers.apimachinery.validation.resource_lists import is_native
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.scheduling import validate_node_selector
from apiserver_workers.apimachinery.validation.volume_sources import validate_driver_name

Object = dict[str, Any]

MOST_DEVICES, MOST_ADVANCED_DEVICES = 128, 64
MOST_COUNTER_SETS, MOST_COUNTERS, MOST_CONSUMED_SETS = 8, 32, 2
MOST_ATTRIBUTES, MOST_VALUES, MOST_TAINTS, MOST_OPTIONS = 32, 48, 16, 10
LONGEST_VALUE, LONGEST_NAME = 64, 96
PLACES = "`nodeName`, `nodeSelector`, `allNodes`"
ONE_PLACE = f"exactly one of {PLACES}, `perDeviceNodeSelection` is required"
DEVICE_PLACE = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec"  # fmt: skip
NO_DEVICE_PLACE = f"`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"  # fmt: skip # noqa: F541
DEVICE_ATTRIBUTE = "io.k8s.api.resource.v1.DeviceAttribute"
VALUES, LISTS = ("bool", "int", "string", "version"), ("bools", "ints", "strings", "versions")
_number, _word = r"(0|[1-9]\d*)", "[0-9a-zA-Z-]+"
_release = r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_semver = re.compile(rf"{_number}\.{_number}\.{_number}(-{_release}(\.{_release})*)?(\+{_word}(\.{_word})*)?")


def validate_slice_object(obj: Object, old: Object | None = None) -> Errors:
    """A slice, or (with `old`) an update of one: its driver, pool and node stay."""
    spec, before = section(obj, "spec"), section(old, "spec") if old is not None else None
    errors = validate_driver_name(spec.get("driver", ""), "spec.driver") + _validate_pool(section(spec, "pool"))
    if before is not None:
        errors += unchanged(section(spec, "pool").get("name"), section(before, "pool").get("name"), "spec.pool.name")
        for field in ("driver", "nodeName"):
            errors += unchanged(spec.get(field), before.get(field), f"spec.{field}")
    errors += _validate_place(spec)
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        errors.append(invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    devices = spec.get("devices")
    advanced = any(map(_is_advanced, devices or ()))
    held = {one_name(device): device for device in (before or {}).get("devices") or ()}
    errors += validate_set(
        devices,
        MOST_ADVANCED_DEVICES if advanced else MOST_DEVICES,
        lambda device, at: _validate_device(device, at, held.get(one_name(device)), spec),
        "spec.devices",
        by=one_name,
    )
    return errors + validate_set(
        spec.get("sharedCounters"), MOST_COUNTER_SETS, _validate_counter_set, "spec.sharedCounters", by=one_name
    )


def _is_advanced(device: Object) -> bool:
    """Whether a device has what fewer devices of a slice may have."""
    if device.get("taints") or device.get("consumesCounters"):
        return True
    attributes = (device.get("attributes") or {}).values()
    return any(attribute.get(field) is not None for attribute in attributes for field in LISTS)


def _validate_pool(pool: Object) -> Errors:
    path = "spec.pool"
    errors = validate_pool_name(pool.get("name", ""), f"{path}.name")
    count, generation = pool.get("resourceSliceCount") or 0, pool.get("generation") or 0
    if count <= 0:
        errors.append(invalid(f"{path}.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        errors.append(invalid(f"{path}.generation", generation, "must be greater than or equal to zero"))
    return errors


def _validate_place(spec: Object) -> Errors:
    """Where the devices are: on one node, on some, on all, or each where it says itself."""
    errors, given = _places(spec, "spec", "must be either unset or set to a non-empty string")
    selector = spec.get("nodeSelector")
    if selector is not None:
        terms = selector.get("nodeSelectorTerms")
        if len(terms or ()) != 1:
            at = "spec.nodeSelector.nodeSelectorTerms"
            errors.append(invalid(at, terms, "must have exactly one node selector term"))
    each_its_own = spec.get("perDeviceNodeSelection")
    if each_its_own:
        given.append("`perDeviceNodeSelection`")
    elif each_its_own is not None:
        errors.append(invalid("spec.perDeviceNodeSelection", False, "must be either unset or set to true"))
    if not given:
        errors.append(required("spec", ONE_PLACE))
    elif len(given) > 1:
        shown = "{" + ", ".join(given) + "}"
        errors.append(invalid("spec", shown, f"{ONE_PLACE}, but multiple fields are set"))
    return errors


def _places(holder: Object, path: str, empty: str) -> tuple[Errors, list[str]]:
    """The faults of the fields that say where devices are, and which of those are set."""
    errors: Errors = []
    given: list[str] = []
    node, selector, everywhere = (holder.get(field) for field in ("nodeName", "nodeSelector", "allNodes"))
    if node:
        given.append("`nodeName`")
        errors += [invalid(f"{path}.nodeName", node, fault) for fault in names.is_dns1123_subdomain(node)]
    elif node is not None:
        errors.append(invalid(f"{path}.nodeName", node, empty))
    if selector is not None:
        given.append("`nodeSelector`")
        errors += validate_node_selector(selector, f"{path}.nodeSelector")
    if everywhere:
        given.append("`allNodes`")
    elif everywhere is not None:
        errors.append(invalid(f"{path}.allNodes", False, "must be either unset or set to true"))
    return errors, given


def _validate_device(device: Object, path: str, old: Object | None, spec: Object) -> Errors:
    errors = label(device.get("name", ""), f"{path}.name")
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    count = len(attributes) + len(capacity)
    if count > MOST_ATTRIBUTES:
        text = f"the total number of attributes and capacities must not exceed {MOST_ATTRIBUTES}"
        errors.append(invalid(path, count, text))
    values = sum(map(_count_values, attributes.values()))
    if values > MOST_VALUES:
        text = f"the total number of attribute values must not exceed {MOST_VALUES}"
        errors.append(invalid(path, values, text))
    errors += _validate_named(attributes, _validate_attribute, f"{path}.attributes")
    check = _validate_shared_capacity if device.get("allowMultipleAllocations") else _validate_capacity
    errors += _validate_named(capacity, check, f"{path}.capacity")
    if old is None or old.get("taints") != device.get("taints"):
        errors += validate_slice(device.get("taints"), MOST_TAINTS, validate_taint, f"{path}.taints")
    errors += validate_set(
        device.get("consumesCounters"),
        MOST_CONSUMED_SETS,
        lambda one, at: _validate_counters(one, "counterSet", at),
        f"{path}.consumesCounters",
        by=lambda one: one.get("counterSet", ""),
    )
    errors += _validate_device_place(device, path, spec) + validate_binding(device, path)
    return errors + _validate_mappings(device, f"{path}.nodeAllocatableResourceMappings")


def _validate_named(entries: Object, check: Check, path: str) -> Errors:
    """Attributes or capacities: entries with qualified names."""
    return validate_map(entries, -1, validate_qualified_name, check, path, longest_name=LONGEST_NAME)


def _count_values(attribute: Object) -> int:
    """How many values an attribute counts for: one, or as many as its lists have."""
    return sum(len(attribute.get(field) or ()) for field in LISTS) or 1


def _validate_mappings(device: Object, path: str) -> Errors:
    """What of a node's resources a device stands for, by a factor or by one of its capacities."""
    errors: Errors = []
    capacity = device.get("capacity") or {}
    for name, mapping in sorted((device.get("nodeAllocatableResourceMappings") or {}).items()):
        at = key(path, name)
        factor, wanted = mapping.get("allocationMultiplier"), mapping.get("capacityKey")
        if not is_native(name):
            errors.append(invalid(at, name, "must be a node allocatable resource name"))
        if factor is None and wanted is None:
            errors.append(invalid(at, "", "at least one of allocationMultiplier or capacityKey must be set"))
        if factor is not None and _nano(factor) <= 0:
            errors.append(invalid(f"{at}.allocationMultiplier", factor, "must be positive"))
        if wanted == "":
            errors.append(invalid(f"{at}.capacityKey", "", "capacityKey must not be an empty string"))
        elif wanted is not None and wanted not in capacity:
            errors.append(not_found(f"{at}.capacityKey", wanted))
    return errors


def _validate_device_place(device: Object, path: str, spec: Object) -> Errors:
    if not spec.get("perDeviceNodeSelection"):
        placed = any(device.get(field) is not None for field in ("nodeName", "nodeSelector", "allNodes"))
        return [invalid(path, None, NO_DEVICE_PLACE)] if placed else []
    errors, given = _places(device, path, "must not be empty")
    if not given:
        errors.append(required(path, DEVICE_PLACE))
    elif len(given) > 1:
        errors.append(invalid(path, "{" + ", ".join(given) + "}", DEVICE_PLACE))
    return errors


def _validate_attribute(attribute: Object, path: str) -> Errors:
    errors: Errors = []
    given = [field for field in (*VALUES, *LISTS) if attribute.get(field) is not None]
    for field, check in (("string", _validate_text), ("version", _validate_version)):
        if (value := attribute.get(field)) is not None:
            errors += check(value, f"{path}.{field}")
    for field, check in (("strings", _validate_text), ("versions", _validate_version)):
        for at, value in each(f"{path}.{field}", attribute.get(field)):
            errors += check(value, at)
    text = "exactly one value must be specified"
    if not given:
        errors.append(invalid(path, "", text))
    elif len(given) > 1:
        errors.append(invalid_internal(path, DEVICE_ATTRIBUTE, attribute, text))
    return errors


def _validate_text(value: str, path: str) -> Errors:
    return [too_long(path, LONGEST_VALUE)] if names.byte_length(value) > LONGEST_VALUE else []


def _validate_version(value: str, path: str) -> Errors:
    text = "must be a string compatible with semver.org spec 2.0.0"
    errors: Errors = [] if _semver.fullmatch(value) else [invalid(path, value, text)]
    return errors + _validate_text(value, path)


def _validate_capacity(capacity: Object, path: str) -> Errors:
    if capacity.get("requestPolicy") is None:
        return []
    return [forbidden(f"{path}.requestPolicy", "allowMultipleAllocations must be true")]


def _validate_shared_capacity(capacity: Object, path: str) -> Errors:
    """How much of a capacity that several claims share each of them may ask for."""
    policy, at, most = capacity.get("requestPolicy"), f"{path}.requestPolicy", capacity.get("value") or "0"
    if policy is None:
        return []
    values, span, default = policy.get("validValues"), policy.get("validRange"), policy.get("default")
    if values and span is not None:
        text = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        return [forbidden(at, text)]
    for field, given in (("validValues", values), ("validRange", span)):
        if given and default is None:
            return [required(f"{at}.default", f"required when {field} is defined")]
    if values:
        return _validate_options(values, default, most, f"{at}.validValues")
    return _validate_range(span, default, most, f"{at}.validRange") if span is not None else []


def _nano(value: str) -> int:
    return parse(value).nano


def _validate_options(values: list[str], default: str, most: str, path: str) -> Errors:
    errors = [
        invalid(f"{path}[{index}]", value, "values must be sorted in ascending order")
        for index, value in enumerate(values)
        if index and _nano(values[index - 1]) > _nano(value)
    ]

    def check(value: str, at: str) -> Errors:
        text = f"option is larger than capacity value: {most}"
        return [invalid(at, value, text)] if _nano(value) > _nano(most) else []

    errors += validate_set(values, MOST_OPTIONS, check, path, by=lambda value: str(_whole(value)))
    if _nano(default) not in map(_nano, values):
        errors.append(invalid(path, default, "default value is not valid according to the requestPolicy"))
    return errors


def _validate_range(span: Object, default: str, most: str, path: str) -> Errors:
    low, high, step = span.get("min"), span.get("max"), span.get("step")
    if low is None:
        return [required(f"{path}.min", "required when validRange is defined")]
    errors: Errors = []
    if _nano(low) > _nano(most):
        errors.append(invalid(f"{path}.min", low, f"min is larger than capacity value: {most}"))
    if _nano(default) < _nano(low):
        errors.append(invalid(f"{path}.min", default, f"default is less than min: {low}"))
    if high is not None:
        if _nano(low) > _nano(high):
            errors.append(invalid(f"{path}.max", low, f"min is larger than max: {high}"))
        if _nano(high) > _nano(most):
            errors.append(invalid(f"{path}.max", high, f"max is larger than capacity value: {most}"))
        if _nano(default) > _nano(high):
            errors.append(invalid(f"{path}.max", default, f"default is more than max: {high}"))
    if step is not None:
        errors += _validate_step(span, default, most, f"{path}.step")
    return errors


def _validate_step(span: Object, default: str, most: str, path: str) -> Errors:
    """Values lie whole steps above the least one; they are counted in whole units."""
    low, high, step = span["min"], span.get("max"), span["step"]
    if _whole(step) <= 0:
        return [invalid(path, step, "must be greater than zero")]
    errors: Errors = []
    if _nano(low) + _nano(step) > _nano(most):
        added = write(_nano(low) + _nano(step), parse(low).format)
        errors.append(invalid(path, step, f"one step {added} is larger than capacity value: {most}"))
    for value in (default, high):
        if value is not None and (_whole(value) - _whole(low)) % _whole(step):
            text = f"value is not a multiple of a given step ({step}) from ({low})"
            errors.append(invalid(path, value, text))
    return errors


def _whole(value: str) -> int:
    """Quantity.Value: rounded up."""
    return -(-_nano(value) // 10**9)


def _validate_counter_set(counter_set: Object, path: str) -> Errors:
    return _validate_counters(counter_set, "name", path)


def _validate_counters(holder: Object, name_field: str, path: str) -> Errors:
    errors: Errors = []
    if name := holder.get(name_field):
        errors += label(name, f"{path}.{name_field}")
    else:
        errors.append(required(f"{path}.{name_field}"))
    if not holder.get("counters"):
        return [*errors, required(f"{path}.counters")]
    at = f"{path}.counters"
    return errors + validate_map(
        holder["counters"], MOST_COUNTERS, label, lambda counter, place: [], at, longest_name=63
    )


KINDS = {
    ("resource.k8s.io", "ResourceSlice"): KindValidation(
        create=validate_slice_object, updates={"": validate_slice_object}
    ),
}
