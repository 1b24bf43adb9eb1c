"""resource.k8s.io: ResourceClaim, ResourceClaimTemplate and DeviceClass (pkg/apis/resource/validation)."""

from __future__ import annotations

from functools import partial
from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.addresses import validate_interface_address
from apiserver_workers.apimachinery.validation.collections import itself, one_name, validate_set, validate_slice
from apiserver_workers.apimachinery.validation.conditions import validate_conditions
from apiserver_workers.apimachinery.validation.devices import (
    MOST_ALTERNATIVES,
    MOST_CONFIGS,
    MOST_CONSTRAINTS,
    MOST_REQUESTS,
    RequestNames,
    label,
    request_names,
    validate_binding,
    validate_configuration,
    validate_fully_qualified_name,
    validate_pool_name,
    validate_raw,
    validate_request_ref,
    validate_request_refs,
    validate_selectors,
    validate_toleration,
    validate_uid,
)
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
    section,
    too_long,
    too_many,
)
from apiserver_workers.apimachinery.validation.internal import unchanged_internal
from apiserver_workers.apimachinery.validation.meta import validate_template_meta
from apiserver_workers.apimachinery.validation.resource_lists import is_extended
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.scheduling import validate_node_selector
from apiserver_workers.apimachinery.validation.volume_sources import validate_driver_name

Object = dict[str, Any]
GROUP = "resource.k8s.io"

MODES = ("All", "ExactCount")
MOST_CONSUMERS, MOST_RESULTS, MOST_CONDITIONS, MOST_IPS = 256, 32, 8, 16
LONGEST_INTERFACE, LONGEST_HARDWARE_ADDRESS = 256, 128
ONE_REQUEST = "exactly one of `exactly` or `firstAvailable` is required"
ONE_CONSTRAINT = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
NEW_RESERVATION = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"


def validate_claim(obj: Object) -> Errors:
    return validate_claim_spec(section(obj, "spec"), "spec")


def validate_claim_spec(spec: Object, path: str) -> Errors:
    """The devices that a claim asks for, with constraints between them and configuration for their drivers."""
    devices, at = section(spec, "devices"), f"{path}.devices"
    known = request_names(devices)
    errors = validate_set(devices.get("requests"), MOST_REQUESTS, _validate_request, f"{at}.requests", by=one_name)
    errors += validate_slice(
        devices.get("constraints"),
        MOST_CONSTRAINTS,
        lambda constraint, place: _validate_constraint(constraint, place, known),
        f"{at}.constraints",
    )
    return errors + validate_slice(
        devices.get("config"),
        MOST_CONFIGS,
        lambda config, place: (
            validate_request_refs(config.get("requests"), f"{place}.requests", known)
            + validate_configuration(config, place)
        ),
        f"{at}.config",
    )


def _validate_request(request: Object, path: str) -> Errors:
    errors = label(request.get("name", ""), f"{path}.name")
    exactly, alternatives = request.get("exactly"), request.get("firstAvailable")
    if alternatives and exactly is not None:
        return [*errors, invalid(path, None, f"{ONE_REQUEST}, but multiple fields are set")]
    if alternatives:
        at = f"{path}.firstAvailable"
        return errors + validate_set(alternatives, MOST_ALTERNATIVES, _validate_alternative, at, by=one_name)
    if exactly is None:
        return [*errors, required(path, ONE_REQUEST)]
    return errors + _validate_exact(exactly, f"{path}.exactly")


def _validate_alternative(request: Object, path: str) -> Errors:
    return label(request.get("name", ""), f"{path}.name") + _validate_exact(request, path)


def _validate_exact(request: Object, path: str) -> Errors:
    if class_name := request.get("deviceClassName"):
        at = f"{path}.deviceClassName"
        errors = [invalid(at, class_name, fault) for fault in names.is_dns1123_subdomain(class_name)]
    else:
        errors = [required(f"{path}.deviceClassName")]
    errors += validate_selectors(request.get("selectors"), f"{path}.selectors")
    mode, count = request.get("allocationMode", ""), request.get("count") or 0
    if mode == "All":
        if count:
            text = "must not be specified when allocationMode is 'All'"
            errors.append(invalid(f"{path}.count", count, text))
    elif mode == "ExactCount":
        if count <= 0:
            errors.append(invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        errors.append(not_supported(f"{path}.allocationMode", mode, MODES))
    for at, toleration in each(f"{path}.tolerations", request.get("tolerations")):
        errors += validate_toleration(toleration, at)
    return errors


def _validate_constraint(constraint: Object, path: str, known: RequestNames) -> Errors:
    errors = validate_request_refs(constraint.get("requests"), f"{path}.requests", known)
    for field in ("matchAttribute", "distinctAttribute"):
        if (name := constraint.get(field)) is not None:
            return errors + validate_fully_qualified_name(name, f"{path}.{field}")
    if feature_gates.enabled("DRAConsumableCapacity"):
        return [*errors, required(path, ONE_CONSTRAINT)]
    return [*errors, required(f"{path}.matchAttribute")]


def _claim_update(new: Object, old: Object) -> Errors:
    definition = "io.k8s.api.resource.v1.ResourceClaimSpec"
    return unchanged_internal(section(new, "spec"), section(old, "spec"), "spec", definition)


# A claim's status


def _claim_status(new: Object, old: Object) -> Errors:
    status, before = section(new, "status"), section(old, "status")
    allocation, held = status.get("allocation"), before.get("allocation")
    reserved = status.get("reservedFor") or []
    errors = validate_set(
        reserved, MOST_CONSUMERS, _validate_consumer, "status.reservedFor", by=lambda consumer: consumer.get("uid", "")
    )
    allocated = {_device_id(result) for result in section(status, "allocation", "devices").get("results") or ()}
    errors += validate_set(
        status.get("devices"),
        -1,
        lambda device, at: _validate_device_status(device, at, allocated),
        "status.devices",
        by=_device_id,
        shown=_shown_id,
    )
    if reserved and allocation is None:
        errors.append(forbidden("status.reservedFor", "may not be specified when `allocated` is not set"))
    elif reserved and new["metadata"].get("deletionTimestamp"):
        if any(consumer not in (before.get("reservedFor") or ()) for consumer in reserved):
            errors.append(forbidden("status.reservedFor", NEW_RESERVATION))
    if allocation is not None and held is not None:
        definition = "io.k8s.api.resource.v1.AllocationResult"
        return errors + unchanged_internal(allocation, held, "status.allocation", definition)
    if allocation is not None:
        errors += _validate_allocation(allocation, request_names(section(new, "spec", "devices")))
    return errors


def _validate_consumer(consumer: Object, path: str) -> Errors:
    return [required(f"{path}.{field}") for field in ("resource", "name", "uid") if not consumer.get(field)]


def _device_id(device: Object) -> tuple[str, str, str, str]:
    return device.get("driver", ""), device.get("pool", ""), device.get("device", ""), device.get("shareID") or ""


def _shown_id(device: tuple[str, str, str, str]) -> Object:
    driver, pool, name, share = device
    return {"Driver": driver, "Pool": pool, "Device": name, "ShareID": share}


def _validate_device_status(device: Object, path: str, allocated: set[tuple[str, str, str, str]]) -> Errors:
    errors = _validate_device_ref(device, path)
    if (share := device.get("shareID")) is not None:
        errors += validate_uid(share, f"{path}.shareID")
    if (found := _device_id(device)) not in allocated:
        errors.append(invalid(path, _shown_id(found), "must be an allocated device in the claim"))
    conditions = device.get("conditions") or []
    if len(conditions) > MOST_CONDITIONS:
        errors.append(too_many(f"{path}.conditions", len(conditions), MOST_CONDITIONS))
    errors += validate_conditions(conditions, f"{path}.conditions")
    if device.get("data") is not None:
        errors += validate_raw(device["data"], f"{path}.data")
    network = section(device, "networkData")
    for field, limit in (("interfaceName", LONGEST_INTERFACE), ("hardwareAddress", LONGEST_HARDWARE_ADDRESS)):
        if names.byte_length(network.get(field) or "") > limit:
            errors.append(too_long(f"{path}.networkData.{field}", limit))
    at = f"{path}.networkData.ips"
    return errors + validate_set(network.get("ips"), MOST_IPS, validate_interface_address, at, by=itself)


def _validate_device_ref(device: Object, path: str) -> Errors:
    errors = validate_driver_name(device.get("driver", ""), f"{path}.driver")
    errors += validate_pool_name(device.get("pool", ""), f"{path}.pool")
    return errors + label(device.get("device", ""), f"{path}.device")


def _validate_allocation(allocation: Object, known: RequestNames) -> Errors:
    path = "status.allocation"
    devices = section(allocation, "devices")
    errors = validate_slice(
        devices.get("results"),
        MOST_RESULTS,
        lambda result, at: _validate_result(result, at, known),
        f"{path}.devices.results",
    )
    errors += validate_slice(
        devices.get("config"),
        2 * MOST_CONFIGS,
        lambda config, at: _validate_allocated_config(config, at, known),
        f"{path}.devices.config",
    )
    if (selector := allocation.get("nodeSelector")) is not None:
        errors += validate_node_selector(selector, f"{path}.nodeSelector")
    return errors


def _validate_result(result: Object, path: str, known: RequestNames) -> Errors:
    errors = validate_request_ref(result.get("request", ""), f"{path}.request", known)
    errors += _validate_device_ref(result, path) + validate_binding(result, path)
    if (share := result.get("shareID")) is not None:
        errors += validate_uid(share, f"{path}.shareID")
    return errors


def _validate_allocated_config(config: Object, path: str, known: RequestNames) -> Errors:
    source, at = config.get("source", ""), f"{path}.source"
    errors: Errors = []
    if not source:
        errors.append(required(at))
    elif source not in ("FromClaim", "FromClass"):
        errors.append(not_supported(at, source, ("FromClaim", "FromClass")))
    errors += validate_request_refs(config.get("requests"), f"{path}.requests", known)
    return errors + validate_configuration(config, path)


# ResourceClaimTemplate, DeviceClass


def validate_template(obj: Object) -> Errors:
    errors = validate_template_meta(section(obj, "spec", "metadata"), "spec.metadata")
    return errors + validate_claim_spec(section(obj, "spec", "spec"), "spec.spec")


def _template_update(new: Object, old: Object) -> Errors:
    definition = "io.k8s.api.resource.v1.ResourceClaimTemplateSpec"
    return unchanged_internal(section(new, "spec"), section(old, "spec"), "spec", definition)


def validate_device_class(obj: Object, old: Object | None = None) -> Errors:
    """A class, or (with `old`) an update of one, whose selectors and configuration may stay as they were stored."""
    spec, before = section(obj, "spec"), section(old or {}, "spec")
    stored = old is not None and (spec.get("selectors") or []) == (before.get("selectors") or [])
    errors = validate_selectors(spec.get("selectors"), "spec.selectors", stored=stored)
    stored = old is not None and spec.get("config") == before.get("config")
    check = partial(validate_configuration, stored=stored)
    errors += validate_slice(spec.get("config"), MOST_CONFIGS, check, "spec.config")
    name = spec.get("extendedResourceName")
    if name is not None and not is_extended(name):
        errors.append(invalid("spec.extendedResourceName", name, "must be a valid extended resource name"))
    return errors


KINDS = {
    (GROUP, "ResourceClaim"): KindValidation(
        metadata="MU*", create=validate_claim, updates={"": _claim_update, "status": _claim_status}
    ),
    (GROUP, "ResourceClaimTemplate"): KindValidation(
        metadata="MCU*", create=validate_template, updates={"": _template_update}
    ),
    (GROUP, "DeviceClass"): KindValidation(
        metadata="MU*", create=validate_device_class, updates={"": validate_device_class}
    ),
}
