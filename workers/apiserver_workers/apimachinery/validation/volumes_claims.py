"""PersistentVolumes and PersistentVolumeClaims (pkg/apis/core/validation)."""

from __future__ import annotations

import posixpath
from typing import Any

from apiserver_workers.apimachinery.quantity import parse
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    forbidden,
    invalid,
    key,
    not_supported,
    one_of,
    required,
    section,
    unchanged,
)
from apiserver_workers.apimachinery.validation.internal import unchanged_internal
from apiserver_workers.apimachinery.validation.meta import validate_template_meta
from apiserver_workers.apimachinery.validation.resource_lists import is_native
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.scheduling import validate_node_selector
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector
from apiserver_workers.apimachinery.validation.volume_sources import (
    SHARED,
    Check,
    Source,
    needs,
    validate_cinder,
    validate_driver_name,
    validate_iscsi,
    validate_iscsi_length,
    validate_no_backsteps,
    validate_one_source,
    validate_storage_os,
)

Object = dict[str, Any]

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
VOLUME_MODES = ("Block", "Filesystem")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
INLINE = "may not be specified in the context of inline volumes"


def validate_volume(obj: Object) -> Errors:
    """ValidatePersistentVolume."""
    return validate_volume_spec(section(obj, "spec"), "spec", name=obj["metadata"].get("name", ""))


def validate_volume_spec(spec: Object, path: str, *, name: str = "", inline: bool = False) -> Errors:
    """ValidatePersistentVolumeSpec; `inline` is one within a VolumeAttachment, which says no more than where data are."""
    errors = _validate_inline(spec, path) if inline else []
    errors += _validate_access_modes(spec, path) + ([] if inline else _validate_capacity(spec.get("capacity"), path))
    errors += _validate_reclaim_policy(spec, path, inline)
    affinity = spec.get("nodeAffinity")
    if affinity is not None and inline:
        errors.append(forbidden(f"{path}.nodeAffinity", INLINE))
    elif affinity is not None:
        errors += _validate_volume_affinity(affinity, f"{path}.nodeAffinity")
    errors += validate_one_source(spec, SOURCES, path)
    if "iscsi" in spec:
        portal = (spec["iscsi"] or {}).get("targetPortal", "")
        errors += validate_iscsi_length(spec["iscsi"] or {}, name, portal, f"{path}.iscsi.targetportal")
    if "local" in spec and next(iter(n for n in SOURCES if n in spec)) == "local" and affinity is None:
        errors.append(required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
    root = section(spec, "hostPath").get("path", "")
    if root and posixpath.normpath(root) == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden(f"{path}.persistentVolumeReclaimPolicy", text))
    return errors + _validate_volume_rest(spec, path, inline)


def _validate_inline(spec: Object, path: str) -> Errors:
    errors: Errors = [forbidden(f"{path}.{field}", INLINE) for field in ("claimRef", "capacity") if spec.get(field)]
    if spec.get("csi") is None:
        errors.append(required(f"{path}.csi", "has to be specified in the context of inline volumes"))
    return errors


def _validate_reclaim_policy(spec: Object, path: str, inline: bool) -> Errors:
    policy, at = spec.get("persistentVolumeReclaimPolicy"), f"{path}.persistentVolumeReclaimPolicy"
    if not inline:
        return one_of(policy, RECLAIM_POLICIES, at)
    if policy in (None, "", "Retain"):
        return []
    return [forbidden(at, "may only be Retain in the context of inline volumes")]


def _validate_volume_affinity(affinity: Object, path: str) -> Errors:
    if affinity.get("required") is None:
        return [required(f"{path}.required", "must specify required node constraints")]
    return validate_node_selector(affinity["required"], f"{path}.required")


def _validate_volume_rest(spec: Object, path: str, inline: bool) -> Errors:
    errors: Errors = []
    name, mode, attributes = (spec.get(f) for f in ("storageClassName", "volumeMode", "volumeAttributesClassName"))
    if name and inline:
        errors.append(forbidden(f"{path}.storageClassName", INLINE))
    elif name:
        errors += _class_name(name, f"{path}.storageClassName")
    if inline and mode not in (None, "Filesystem"):
        text = "may not specify volumeMode other than Filesystem in the context of inline volumes"
        errors.append(forbidden(f"{path}.volumeMode", text))
    elif mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))
    if attributes is None:
        return errors
    at = f"{path}.volumeAttributesClassName"
    errors += _class_name(attributes, at) if attributes else [required(at, "an empty string is disallowed")]
    if spec.get("csi") is None:
        errors.append(required(f"{path}.csi", "has to be specified when using volumeAttributesClassName"))
    return errors


def _class_name(name: str, path: str) -> Errors:
    return [invalid(path, name, fault) for fault in names.is_dns1123_subdomain(name)]


def _validate_access_modes(spec: Object, path: str, absent: str = "") -> Errors:
    at, modes = f"{path}.accessModes", spec.get("accessModes") or []
    errors: Errors = [] if modes else [required(at, absent)]
    errors += [not_supported(at, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and set(modes) & set(ACCESS_MODES) != {"ReadWriteOncePod"}:
        errors.append(forbidden(at, "may not use ReadWriteOncePod with other access modes"))
    return errors


def _validate_capacity(capacity: Object | None, path: str) -> Errors:
    at = f"{path}.capacity"
    errors: Errors = [] if capacity else [required(at)]
    if capacity is None or set(capacity) != {"storage"}:
        shown = None if capacity is None else dict(sorted(capacity.items()))
        errors.append(not_supported(at, shown, ["storage"]))
    for name, value in sorted((capacity or {}).items()):
        errors += validate_basic_resource(value, key(at, name)) + _positive(value, key(at, name))
    return errors


def _positive(value: str, path: str) -> Errors:
    return [] if parse(value).nano > 0 else [invalid(path, value, "must be greater than zero")]


def validate_basic_resource(value: str, path: str) -> Errors:
    return [] if parse(value).nano >= 0 else [invalid(path, value, "must be a valid resource quantity")]


def _csi(source: Source, path: str) -> Errors:
    errors = validate_driver_name(source.get("driver", ""), f"{path}.driver") + needs("volumeHandle")(source, path)
    for field in SECRET_REFS:
        if (reference := source.get(field)) is not None:
            errors += _secret_reference(reference, f"{path}.{field}")
    return errors


def _secret_reference(reference: Source, path: str) -> Errors:
    errors: Errors = []
    for field, check in (("name", names.is_dns1123_subdomain), ("namespace", names.is_dns1123_label)):
        if value := reference.get(field):
            errors += [invalid(f"{path}.{field}", value, fault) for fault in check(value)]
        else:
            errors.append(required(f"{path}.{field}"))
    return errors


def _iscsi(source: Source, path: str) -> Errors:
    errors = validate_iscsi(source, path, start="must be valid format")
    reference = source.get("secretRef")
    return errors if reference is None else errors + needs("name")(reference, f"{path}.secretRef")


def _glusterfs(source: Source, path: str) -> Errors:
    errors = needs("endpoints", "path")(source, path)
    namespace, at = source.get("endpointsNamespace"), f"{path}.endpointsNamespace"
    if namespace == "":
        text = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.append(invalid(at, namespace, text))
    elif namespace is not None:
        errors += [invalid(at, namespace, fault) for fault in names.is_dns1123_label(namespace)]
    return errors


def _azure_file(source: Source, path: str) -> Errors:
    errors = needs("secretName", "shareName")(source, path)
    return errors if source.get("secretNamespace") != "" else [*errors, required(f"{path}.secretNamespace")]


def _local(source: Source, path: str) -> Errors:
    value = source.get("path", "")
    return validate_no_backsteps(value, f"{path}.path") if value else [required(f"{path}.path")]


SECRET_REFS = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")

# Volume sources in the order in which upstream looks at them.
ORDER = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
]
_CHECKS: dict[str, Check] = {
    **SHARED,
    "glusterfs": _glusterfs,
    "iscsi": _iscsi,
    "cinder": validate_cinder(persistent=True),
    "azureFile": _azure_file,
    "local": _local,
    "storageos": validate_storage_os(persistent=True),
    "csi": _csi,
}
SOURCES: dict[str, Check] = {name: _CHECKS[name] for name in ORDER}


def _volume_update(new: Object, old: Object) -> Errors:
    """The strategy validates the volume before ValidatePersistentVolumeUpdate does it again: its faults are there twice."""
    errors = 2 * validate_volume(new)
    spec, was = section(new, "spec"), section(old, "spec")
    csi, held = spec.get("csi") or {}, was.get("csi")
    if held is not None and held.get("controllerExpandSecretRef") is None:
        csi = {name: value for name, value in csi.items() if name != "controllerExpandSecretRef"}
    if any((csi if name == "csi" and held is not None else spec.get(name)) != was.get(name) for name in SOURCES):
        text = "spec.persistentvolumesource is immutable after creation"
        errors.append(forbidden("spec.persistentvolumesource", text))
    errors += unchanged(spec.get("volumeMode"), was.get("volumeMode"), "volumeMode")
    if was.get("nodeAffinity") is not None:
        affinity = spec.get("nodeAffinity"), was["nodeAffinity"]
        errors += unchanged_internal(*affinity, "nodeAffinity", "io.k8s.api.core.v1.VolumeNodeAffinity")
    if was.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        errors.append(forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))
    return errors


def _volume_status(new: Object, old: Object) -> Errors:
    return [] if new["metadata"].get("resourceVersion") else [required("resourceVersion")]


# PersistentVolumeClaim


def validate_claim(obj: Object) -> Errors:
    """ValidatePersistentVolumeClaim."""
    return validate_claim_spec(section(obj, "spec"), "spec")


def validate_claim_template(template: Object, path: str) -> Errors:
    """ValidatePersistentVolumeClaimTemplate: of its metadata only labels and annotations are used."""
    errors = validate_template_meta(section(template, "metadata"), f"{path}.metadata")
    return errors + validate_claim_spec(section(template, "spec"), f"{path}.spec")


def validate_claim_spec(spec: Object, path: str) -> Errors:
    modes = _validate_access_modes(spec, path, "at least 1 access mode is required")
    selector = validate_label_selector(spec.get("selector"), f"{path}.selector")
    errors = modes + selector if not spec.get("accessModes") else selector + modes
    storage, at = section(spec, "resources", "requests").get("storage"), f"{path}.resources[storage]"
    if storage is None:
        errors.append(required(at))
    else:
        errors += _positive(storage, at)
    if name := spec.get("storageClassName"):
        errors += _class_name(name, f"{path}.storageClassName")
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))
    errors += _validate_data_sources(spec, path)
    if attributes := spec.get("volumeAttributesClassName"):
        errors += _class_name(attributes, f"{path}.volumeAttributesClassName")
    return errors


def _validate_data_sources(spec: Object, path: str) -> Errors:
    errors: Errors = []
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    for field, given in (("dataSource", source), ("dataSourceRef", reference)):
        if given is not None:
            errors += _validate_data_source(given, f"{path}.{field}")
    if source is None or reference is None:
        return errors
    # Upstream shows the path of the field instead of its value.
    if reference.get("namespace"):
        text = "may not be specified when dataSourceRef.namespace is specified"
        errors.append(invalid(path, f"{path}.dataSource", text))
    elif any(source.get(part) != reference.get(part) for part in ("apiGroup", "kind", "name")):
        errors.append(invalid(path, f"{path}.dataSource", "must match dataSourceRef"))
    return errors


def _validate_data_source(source: Object, path: str) -> Errors:
    errors = needs("name", "kind")(source, path)
    group, namespace = source.get("apiGroup"), source.get("namespace")
    if not group and source.get("kind") != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid(path, source.get("kind", ""), text))
    if group:
        errors += [invalid(f"{path}.apiGroup", group, fault) for fault in names.is_dns1123_subdomain(group)]
    if namespace:
        errors += [invalid(f"{path}.namespace", namespace, fault) for fault in names.is_dns1123_label(namespace)]
    return errors


CLAIM_FORBIDDEN = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
SHRUNK = "field can not be less than status.capacity"


def _claim_update(new: Object, old: Object) -> Errors:
    """As with volumes, the claim's own faults are there twice."""
    errors = 2 * validate_claim(new)
    spec, was = dict(section(new, "spec")), section(old, "spec")
    if not was.get("volumeName"):
        # Binding sets the volume's name once.
        _take_over(spec, was, "volumeName")
    annotation, held = (section(o, "metadata", "annotations").get(CLASS_ANNOTATION, "") for o in (new, old))
    if was.get("storageClassName") is None and (not held or spec.get("storageClassName") == held):
        _take_over(spec, was, "storageClassName")
    errors += unchanged(annotation, held, f"metadata.annotations.{CLASS_ANNOTATION}")
    if section(new, "status").get("phase") == "Bound":
        for field in ("resources", "volumeAttributesClassName"):
            _take_over(spec, was, field)
    if spec != was:
        changed = [field for field in sorted(spec.keys() | was.keys()) if spec.get(field) != was.get(field)]
        errors.append(forbidden("spec", f"{CLAIM_FORBIDDEN}\nchanged: {', '.join(changed)}"))
    errors += _validate_growth(new, old)
    mode = section(new, "spec").get("volumeMode"), was.get("volumeMode")
    errors += unchanged(*mode, "volumeMode")
    attributes, before = (section(o, "spec").get("volumeAttributesClassName") for o in (new, old))
    if before is not None and not attributes:
        value = "nil" if attributes is None else "an empty string"
        text = f"update from non-nil value to {value} is forbidden"
        errors.append(forbidden("spec.volumeAttributesClassName", text))
    return errors


def _validate_growth(new: Object, old: Object) -> Errors:
    now, before = (section(o, "spec", "resources", "requests").get("storage", "0") for o in (new, old))
    capacity = section(old, "status", "capacity").get("storage", "0")
    if parse(now).nano < parse(before).nano and parse(now).nano <= parse(capacity).nano:
        return [forbidden("spec.resources.requests.storage", SHRUNK)]
    return []


def _take_over(spec: Object, old: Object, field: str) -> None:
    if field in old:
        spec[field] = old[field]
    else:
        spec.pop(field, None)


RESIZE_STATES = (
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
)


def _claim_status(new: Object, old: Object) -> Errors:
    errors: Errors = [] if new["metadata"].get("resourceVersion") else [required("resourceVersion")]
    if not section(new, "spec").get("accessModes"):
        errors.append(required("Spec.accessModes"))
    status = section(new, "status")
    for name, value in sorted((status.get("capacity") or {}).items()):
        errors += validate_basic_resource(value, key("status.capacity", name))
    for name, state in sorted((status.get("allocatedResourceStatuses") or {}).items()):
        errors += _validate_resource_key(name, "status.allocatedResourceStatus")
        if state not in RESIZE_STATES:
            errors.append(not_supported("status.allocatedResourceStatus", name, RESIZE_STATES))
    for name, value in sorted((status.get("allocatedResources") or {}).items()):
        at = key("status.allocatedResources", name)
        errors += _validate_resource_key(name, "status.allocatedResources") or validate_basic_resource(value, at)
    return errors


def _validate_resource_key(name: str, path: str) -> Errors:
    if faults := names.is_qualified_name(name):
        return [invalid(path, name, fault) for fault in faults]
    return [not_supported(path, name, ["storage"])] if is_native(name) and name != "storage" else []


KINDS = {
    ("", "PersistentVolume"): KindValidation(
        metadata="MM*", create=validate_volume, updates={"": _volume_update, "status": _volume_status}
    ),
    ("", "PersistentVolumeClaim"): KindValidation(
        metadata="MUM*", create=validate_claim, updates={"": _claim_update, "status": _claim_status}
    ),
}
