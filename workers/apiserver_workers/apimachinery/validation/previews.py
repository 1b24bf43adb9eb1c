"""Kinds that have no stable version yet: coordination, device taints, pod groups, migrations, storage versions."""

from __future__ import annotations

import re
from typing import Any

from apiserver_workers.apimachinery.integers import whole
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.collections import one_name, validate_set
from apiserver_workers.apimachinery.validation.conditions import validate_conditions
from apiserver_workers.apimachinery.validation.devices import label, validate_pool_name, validate_taint
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    invalid,
    not_supported,
    required,
    section,
    too_many,
    unchanged,
)
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.volume_sources import validate_driver_name

Object = dict[str, Any]

OLDEST = "OldestEmulationVersion"
MOST_POD_GROUPS = MOST_CONDITIONS = 8
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
NOT_A_VERSION = "must be a valid semantic version"


# --- coordination.k8s.io: LeaseCandidate


def validate_lease_candidate(obj: Object) -> Errors:
    """pkg/apis/coordination/validation."""
    spec = section(obj, "spec")
    emulated, binary, strategy = (spec.get(field, "") for field in ("emulationVersion", "binaryVersion", "strategy"))
    errors: Errors = [] if spec.get("leaseName") else [required("spec.leaseName")]
    if emulated and not _version(emulated):
        errors.append(invalid("spec.emulationVersion", emulated, NOT_A_VERSION))
    if not binary:
        errors.append(required("spec.binaryVersion"))
    elif not _version(binary):
        errors.append(invalid("spec.binaryVersion", binary, NOT_A_VERSION))
    if binary and emulated and (_version(binary) or (0, 0, 0)) < (_version(emulated) or (0, 0, 0)):
        errors.append(invalid("spec.binaryVersion", binary, "must be greater than or equal to `emulationVersion`"))
    if not strategy:
        return [*errors, required("spec.strategy")]
    if strategy == OLDEST and (_version(emulated) or (0, 0, 0)) == (0, 0, 0):
        text = f"must be specified when `strategy` is '{OLDEST}'"
        errors.append(required("spec.emulationVersion", text))
    return errors + validate_strategy(strategy, "spec.strategy.strategy")


def validate_strategy(strategy: str, path: str) -> Errors:
    """ValidateCoordinatedLeaseStrategy: Kubernetes' own, or a qualified name."""
    if "/" in strategy:
        return [invalid(path, strategy, fault) for fault in names.is_qualified_name(strategy)]
    return [] if strategy == OLDEST else [not_supported(path, strategy, (OLDEST,))]


def _lease_candidate_update(new: Object, old: Object) -> Errors:
    after, before = (section(obj, "spec").get("leaseName") for obj in (new, old))
    return validate_lease_candidate(new) + unchanged(after, before, "spec.leaseName")


def _version(text: str) -> tuple[int, int, int] | None:
    match = _VERSION.fullmatch(text)
    return (whole(match[1]), whole(match[2]), whole(match[3])) if match else None


# --- resource.k8s.io: DeviceTaintRule, ResourcePoolStatusRequest


def validate_taint_rule(obj: Object, old: Object | None = None) -> Errors:
    """ValidateDeviceTaintRule; an update's effect is looked at if it is another than that of `old`."""
    spec = section(obj, "spec")
    selector = spec.get("deviceSelector") or {}
    errors: Errors = []
    for field, check in (("driver", validate_driver_name), ("pool", validate_pool_name), ("device", label)):
        if selector.get(field) is not None:
            errors += check(selector[field], f"spec.deviceSelector.{field}")
    return errors + validate_taint(
        section(spec, "taint"), "spec.taint", section(old, "spec", "taint") if old is not None else None
    )


def _taint_rule_status(new: Object, old: Object) -> Errors:
    conditions = section(new, "status").get("conditions") or []
    errors = validate_conditions(conditions, "status.conditions")
    if len(conditions) > MOST_CONDITIONS:
        errors.append(too_many("status.conditions", len(conditions), MOST_CONDITIONS))
    return errors


def validate_pool_request(obj: Object) -> Errors:
    """A ResourcePoolStatusRequest names a driver, and may name a pool and a limit."""
    spec = section(obj, "spec")
    errors = validate_driver_name(spec.get("driver", ""), "spec.driver")
    if spec.get("poolName") is not None:
        errors += validate_pool_name(spec["poolName"], "spec.poolName")
    limit = spec.get("limit")
    if limit is not None and limit < 1:
        errors.append(invalid("spec.limit", limit, "must be greater than or equal to 1"))
    return errors


def _same_spec(new: Object, old: Object) -> Errors:
    return unchanged(new.get("spec"), old.get("spec"), "spec")


# --- scheduling.k8s.io: Workload, PodGroup


def validate_workload(obj: Object) -> Errors:
    """ValidateWorkload."""
    spec = section(obj, "spec")
    errors = _validate_controller(spec.get("controllerRef"), "spec.controllerRef")
    templates, path = spec.get("podGroupTemplates") or [], "spec.podGroupTemplates"
    if not templates:
        return [*errors, required(path, "must have at least one item")]
    return errors + validate_set(templates, MOST_POD_GROUPS, _validate_template, path, by=one_name)


def _validate_controller(reference: Object | None, path: str) -> Errors:
    if reference is None:
        return []
    errors: Errors = []
    if group := reference.get("apiGroup"):
        errors += [invalid(f"{path}.apiGroup", group, fault) for fault in names.is_dns1123_subdomain(group)]
    for field in ("kind", "name"):
        value = reference.get(field, "")
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += [invalid(f"{path}.{field}", value, fault) for fault in names.is_path_segment(value)]
    return errors


def _validate_template(template: Object, path: str) -> Errors:
    name = template.get("name", "")
    errors = label(name, f"{path}.name") if name else [required(f"{path}.name")]
    return errors + _validate_policy(section(template, "schedulingPolicy"), f"{path}.schedulingPolicy")


def _validate_policy(policy: Object, path: str) -> Errors:
    """Exactly one of the two; a gang has a size."""
    present = [f"`{name}`" for name in ("basic", "gang") if policy.get(name) is not None]
    if not present:
        return [invalid(path, "", "must specify one of: `basic`, `gang`")]
    if len(present) > 1:
        text = "exactly one of `basic`, `gang` is required, but multiple fields are set"
        return [invalid(path, "{" + ", ".join(present) + "}", text)]
    if policy.get("gang") is None:
        return []
    least = policy["gang"].get("minCount") or 0
    if not least:
        return [required(f"{path}.gang.minCount")]
    return [] if least > 0 else [invalid(f"{path}.gang.minCount", least, "must be greater than 0")]


def _workload_update(new: Object, old: Object) -> Errors:
    after, before = section(new, "spec"), section(old, "spec")
    path = "spec.controllerRef"
    if before.get("controllerRef") is not None:
        errors = unchanged(after.get("controllerRef"), before["controllerRef"], path)
    else:
        errors = _validate_controller(after.get("controllerRef"), path)
    return errors + unchanged(after.get("podGroupTemplates"), before.get("podGroupTemplates"), "spec.podGroupTemplates")


def validate_pod_group(obj: Object) -> Errors:
    """A PodGroup has a policy; the template it comes from is named in full."""
    spec = section(obj, "spec")
    errors: Errors = []
    reference, path = spec.get("podGroupTemplateRef"), "spec.podGroupTemplateRef"
    if reference is not None:
        workload = reference.get("workload")
        if workload is None:
            errors.append(invalid(path, "", "must specify one of: `workload`"))
        else:
            missing = (name for name in ("workloadName", "podGroupTemplateName") if not workload.get(name))
            errors += [required(f"{path}.workload.{name}") for name in missing]
    return errors + _validate_policy(section(spec, "schedulingPolicy"), "spec.schedulingPolicy")


# --- storagemigration.k8s.io: StorageVersionMigration


def validate_migration(obj: Object) -> Errors:
    """pkg/apis/storagemigration/validation."""
    resource = section(obj, "spec", "resource")
    return [] if resource.get("resource") else [required("spec.resource.resource", "resource is required")]


def _migration_update(new: Object, old: Object) -> Errors:
    after, before = (section(obj, "spec", "resource") for obj in (new, old))
    changed = [name for name in ("group", "resource") if after.get(name, "") != before.get(name, "")]
    return validate_migration(new) + [invalid(name, after.get(name, ""), "field is immutable") for name in changed]


def _migration_status(new: Object, old: Object) -> Errors:
    after, before = section(new, "status"), section(old, "status")
    version, path = after.get("resourceVersion", ""), "status.resourceVersion"
    errors: Errors = []
    if version and not re.fullmatch(r"[+-]?\d+", version):
        text = f'failed to parse resource version "{version}": strconv.ParseInt: parsing "{version}": invalid syntax'
        errors.append(invalid(path, version, text))
    elif version and whole(version) < 0:
        errors.append(invalid(path, whole(version), "must be greater than or equal to 0"))
    conditions = after.get("conditions") or []
    errors += validate_conditions(conditions, "status.conditions")
    if before.get("resourceVersion") and before["resourceVersion"] != version:
        errors.append(invalid(path, version, "cannot be updated"))
    is_true, was_true = _true_types(after), _true_types(before)
    for broken, text in (
        ({"Succeeded", "Failed"} <= is_true, "Both success and failed conditions cannot be true at the same time"),
        ({"Succeeded", "Running"} <= is_true, "Running condition cannot be true when success condition is true"),
        ({"Failed", "Running"} <= is_true, "Running condition cannot be true when failed condition is true"),
        ("Succeeded" in was_true - is_true, "Success condition cannot be set to false once it is true"),
        ("Failed" in was_true - is_true, "Failed condition cannot be set to false once it is true"),
    ):
        if broken:
            errors.append(invalid("status.conditions", conditions, text))
    return errors


def _true_types(status: Object) -> set[str]:
    return {found["type"] for found in status.get("conditions") or () if found.get("status") == "True"}


# --- internal.apiserver.k8s.io: StorageVersion


def validate_storage_version_name(name: str) -> list[str]:
    """ValidateStorageVersionName: group.resource, both as labels would have them."""
    group, dot, resource = name.rpartition(".")
    if not dot:
        return ["name must be in the form of <group>.<resource>"]
    faults = names.is_dns1035_label(resource) if resource else ["resource name must not be empty"]
    return faults + ([] if group == "core" else names.is_dns1123_subdomain(group))


def _storage_version_status(new: Object, old: Object) -> Errors:
    """ValidateStorageVersionStatus: servers are told apart, and decode what they encode."""
    status = section(new, "status")
    errors: Errors = []
    seen: set[str] = set()
    for path, server in each("status.storageVersions", status.get("storageVersions")):
        name = server.get("apiServerID", "")
        errors += [invalid(f"{path}.apiServerID", name, fault) for fault in names.is_dns1123_subdomain(name)]
        if name in seen:
            errors.append(duplicate(f"{path}.apiServerID", name))
        seen.add(name)
        encoding, decodable = server.get("encodingVersion", ""), server.get("decodableVersions") or []
        if encoding not in decodable:
            text = f"decodableVersions must include encodingVersion {encoding}"
            errors.append(invalid(f"{path}.decodableVersions", decodable, text))
    common, encodings = (
        status.get("commonEncodingVersion"),
        {server.get("encodingVersion") for server in status.get("storageVersions") or ()},
    )
    path = "status.commonEncodingVersion"
    if len(encodings) == 1 and common not in encodings:
        found = next(iter(encodings))
        errors.append(invalid(path, common, f"commonEncodingVersion must be {found}"))
    elif len(encodings) != 1 and common is not None:
        errors.append(
            invalid(
                path,
                common,
                "should be nil if servers do not agree on encoding version, or if there is no server reporting the supported versions yet",
            )
        )
    return errors


KINDS = {
    ("coordination.k8s.io", "LeaseCandidate"): KindValidation(
        name=names.is_config_map_key,
        metadata="u*",
        any_finalizer=True,
        create=validate_lease_candidate,
        updates={"": _lease_candidate_update},
    ),
    ("resource.k8s.io", "DeviceTaintRule"): KindValidation(
        create=validate_taint_rule,
        updates={"": validate_taint_rule, "status": _taint_rule_status},
    ),
    ("resource.k8s.io", "ResourcePoolStatusRequest"): KindValidation(
        create=validate_pool_request, updates={"": _same_spec}
    ),
    ("scheduling.k8s.io", "Workload"): KindValidation(create=validate_workload, updates={"": _workload_update}),
    ("scheduling.k8s.io", "PodGroup"): KindValidation(create=validate_pod_group, updates={"": _same_spec}),
    ("storagemigration.k8s.io", "StorageVersionMigration"): KindValidation(
        metadata="M*U", create=validate_migration, updates={"": _migration_update, "status": _migration_status}
    ),
    ("internal.apiserver.k8s.io", "StorageVersion"): KindValidation(
        name=validate_storage_version_name, updates={"status": _storage_version_status}
    ),
}
