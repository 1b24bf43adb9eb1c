"""storage.k8s.io: CSIDriver, CSINode and VolumeAttachment (pkg/apis/storage/validation)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    IMMUTABLE,
    Errors,
    at_least_zero,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    repeated,
    required,
    section,
    too_long,
    unchanged,
)
from apiserver_workers.apimachinery.validation.internal import invalid_internal, unchanged_internal
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.volume_sources import validate_driver_name
from apiserver_workers.apimachinery.validation.volumes_claims import validate_volume_spec

Object = dict[str, Any]
GROUP = "storage.k8s.io"

GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES = ("Persistent", "Ephemeral")
SHORTEST_TOKEN, LONGEST_TOKEN = 600, 2**32
SHORTEST_PERIOD = 10
LONGEST_NODE_ID = 256
LONGEST_MESSAGE, MOST_METADATA = 1024, 256 * 1024
LARGEST_CODE = 2**31 - 1


# CSIDriver


def validate_driver(obj: Object) -> Errors:
    spec = section(obj, "spec")
    errors: Errors = [] if spec.get("attachRequired") is not None else [required("spec.attachedRequired")]
    for field in ("podInfoOnMount", "storageCapacity"):
        if spec.get(field) is None:
            errors.append(required(f"spec.{field}"))
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in GROUP_POLICIES:
        errors.append(not_supported("spec.fsGroupPolicy", policy, GROUP_POLICIES))
    errors += _validate_token_requests(spec)
    for mode in spec.get("volumeLifecycleModes") or ():
        if mode not in LIFECYCLE_MODES:
            errors.append(not_supported("spec.volumeLifecycleModes", mode, LIFECYCLE_MODES))
    if spec.get("seLinuxMount") is None and feature_gates.enabled("SELinuxMountReadWriteOncePod"):
        errors.append(required("spec.seLinuxMount"))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < SHORTEST_PERIOD:
        text = f"must be greater than or equal to {SHORTEST_PERIOD} seconds"
        errors.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, text))
    in_secrets = spec.get("serviceAccountTokenInSecrets")
    if in_secrets is not None and not spec.get("tokenRequests"):
        text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        errors.append(invalid("spec.serviceAccountTokenInSecrets", in_secrets, text))
    if spec.get("preventPodSchedulingIfMissing") is None and feature_gates.enabled("VolumeLimitScaling"):
        errors.append(required("spec.preventPodSchedulingIfMissing"))
    return errors


def _validate_token_requests(spec: Object) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for at, request in each("spec.tokenRequests", spec.get("tokenRequests")):
        audience, seconds = request.get("audience", ""), request.get("expirationSeconds")
        if audience in seen:
            errors.append(duplicate(f"{at}.audience", audience))
            continue
        seen.add(audience)
        if seconds is None:
            continue
        if seconds < SHORTEST_TOKEN:
            text = "may not specify a duration less than 10 minutes"
            errors.append(invalid(f"{at}.expirationSeconds", seconds, text))
        if seconds > LONGEST_TOKEN:
            text = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(f"{at}.expirationSeconds", seconds, text))
    return errors


def _driver_update(new: Object, old: Object) -> Errors:
    spec, was = section(new, "spec"), section(old, "spec")
    errors = unchanged(spec.get("attachRequired"), was.get("attachRequired"), "spec.attachedRequired")
    modes = spec.get("volumeLifecycleModes") or [], was.get("volumeLifecycleModes") or []
    return errors + unchanged(*modes, "spec.volumeLifecycleModes")


# CSINode


def validate_node(obj: Object) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for at, driver in each("spec.drivers", section(obj, "spec").get("drivers")):
        errors += _validate_node_driver(driver, at)
        name = driver.get("name", "")
        if name in seen:
            errors.append(duplicate(f"{at}.name", name))
        seen.add(name)
        errors += _validate_topology_keys(driver.get("topologyKeys") or [], at)
    return errors


def _validate_node_driver(driver: Object, path: str) -> Errors:
    errors = validate_driver_name(driver.get("name", ""), f"{path}.name")
    node, at = driver.get("nodeID", ""), f"{path}.nodeID"
    if not node:
        errors.append(required(at))
    if names.byte_length(node) > LONGEST_NODE_ID:
        errors.append(invalid(at, node, f"must be {LONGEST_NODE_ID} characters or less"))
    count = section(driver, "allocatable").get("count")
    return errors + at_least_zero(count, f"{path}.allocatable.count")


def _validate_topology_keys(keys: list[str], path: str) -> Errors:
    """The keys, which are blamed on the driver."""
    errors: Errors = []
    again = repeated(keys)
    for index, name in enumerate(keys):
        if not name:
            errors.append(required(path))
        if index in again:
            errors.append(duplicate(path, name))
        errors += [invalid(path, name, fault) for fault in names.is_qualified_name(name)]
    return errors


def _node_update(new: Object, old: Object) -> Errors:
    """An entry of a driver never changes, but for how many volumes fit."""
    errors: Errors = []
    drivers: dict[str, list[Object]] = {}
    for driver in section(new, "spec").get("drivers") or ():
        drivers.setdefault(driver.get("name", ""), []).append(driver)
    held = {driver.get("name", ""): driver for driver in section(old, "spec").get("drivers") or ()}
    for name, before in held.items():
        for driver in drivers.get(name, ()):
            if not _only_count_differs(driver, before):
                definition = "io.k8s.api.storage.v1.CSINodeDriver"
                errors.append(invalid_internal("spec.drivers", definition, driver, IMMUTABLE))
    return errors


def _only_count_differs(new: Object, old: Object) -> bool:
    """MutableCSINodeAllocatableCount: how many volumes fit may be found out later."""
    if feature_gates.enabled("MutableCSINodeAllocatableCount"):
        new = {name: value for name, value in new.items() if name != "allocatable"}
        old = {name: value for name, value in old.items() if name != "allocatable"}
    return new == old


# VolumeAttachment


def validate_attachment(obj: Object) -> Errors:
    spec, status = section(obj, "spec"), section(obj, "status")
    errors = validate_driver_name(spec.get("attacher", ""), "spec.attacher")
    errors += _validate_attached(section(spec, "source"), "spec.source")
    node = spec.get("nodeName", "")
    errors += [invalid("spec.nodeName", node, fault) for fault in names.is_dns1123_subdomain(node)]
    errors += _validate_metadata(status.get("attachmentMetadata"), "status.attachmentMetadata")
    for field in ("attachError", "detachError"):
        errors += _validate_volume_error(section(status, field), f"status.{field}")
    name = section(spec, "source").get("persistentVolumeName")
    if name is not None:
        at = "spec.source.persistentVolumeName"
        errors += [invalid(at, name, fault) for fault in names.is_dns1123_subdomain(name)]
    return errors


def _validate_volume_error(error: Object, path: str) -> Errors:
    """validateVolumeError, whose message names the limit of the metadata."""
    errors: Errors = []
    if names.byte_length(error.get("message") or "") > LONGEST_MESSAGE:
        errors.append(too_long(f"{path}.message", MOST_METADATA))
    code = error.get("errorCode")
    if code is not None and code < 0:
        errors.append(invalid(f"{path}.errorCode", code, f"must be between 0 and {LARGEST_CODE}, inclusive"))
    return errors


def _validate_attached(source: Object, path: str) -> Errors:
    inline, name = source.get("inlineVolumeSpec"), source.get("persistentVolumeName")
    if inline is None and name is None:
        return [required(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")]
    if inline is not None and name is not None:
        text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        return [forbidden(path, text)]
    if inline is not None:
        return validate_volume_spec(inline, f"{path}.inlineVolumeSpec", inline=True)
    at = f"{path}.persistentVolumeName"
    return [] if name else [required(at, "must specify non empty persistentVolumeName")]


def _validate_metadata(metadata: dict[str, str] | None, path: str) -> Errors:
    size = sum(names.byte_length(name) + names.byte_length(value) for name, value in (metadata or {}).items())
    return [too_long(path, MOST_METADATA)] if size > MOST_METADATA else []


def _attachment_update(new: Object, old: Object) -> Errors:
    definition = "io.k8s.api.storage.v1.VolumeAttachmentSpec"
    return unchanged_internal(section(new, "spec"), section(old, "spec"), "spec", definition)


KINDS = {
    (GROUP, "CSIDriver"): KindValidation(metadata="UC*", create=validate_driver, updates={"": _driver_update}),
    (GROUP, "CSINode"): KindValidation(metadata="MC*", create=validate_node, updates={"": _node_update}),
    (GROUP, "VolumeAttachment"): KindValidation(
        metadata="MC*",
        status="MC*",
        create=validate_attachment,
        updates={"": _attachment_update, "status": _attachment_update},
    ),
}
