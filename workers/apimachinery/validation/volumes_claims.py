"""PersistentVolumes and PersistentVolumeClaims (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workers.apimachinery.quantity import parse
from workers.apimachinery.validation import names
from workers.apimachinery.validation.field import (
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
from workers.apimachinery.validation.resource_lists import validate_quantity, validate_resource_name
from workers.apimachinery.validation.rules import KindValidation
from workers.apimachinery.validation.scheduling import validate_node_selector
from workers.apimachinery.validation.selectors import validate_label_selector
from workers.apimachinery.validation.volumes import needs, validate_fibre_channel, validate_host_path, validate_iscsi

Object = dict[str, Any]

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
VOLUME_MODES = ("Block", "Filesystem")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def validate_volume(obj: Object) -> Errors:
    """ValidatePersistentVolume."""
    spec = section(obj, "spec")
    errors = _validate_access_modes(spec, "at least 1 access mode is required" if not spec.get("accessModes") else "")
    errors += _validate_capacity(spec.get("capacity"))
    errors += one_of(spec.get("persistentVolumeReclaimPolicy"), RECLAIM_POLICIES, "spec.persistentVolumeReclaimPolicy")
    affinity = section(spec, "nodeAffinity")
    if affinity:
        if affinity.get("required") is None:
            errors.append(required("spec.nodeAffinity.required", "must specify required node constraints"))
        else:
            errors += validate_node_selector(affinity["required"], "spec.nodeAffinity.required")
    errors += _validate_source(spec)
    if section(spec, "hostPath").get("path") == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        errors.append(forbidden("spec.persistentVolumeReclaimPolicy", text))
    errors += _validate_names(spec)
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported("spec.volumeMode", mode, VOLUME_MODES))
    return errors


def _validate_names(spec: Object) -> Errors:
    errors: Errors = []
    for field in ("storageClassName", "volumeAttributesClassName"):
        if name := spec.get(field):
            errors += [invalid(f"spec.{field}", name, fault) for fault in names.is_dns1123_subdomain(name)]
    return errors


def _validate_access_modes(spec: Object, absent: str) -> Errors:
    modes = spec.get("accessModes") or []
    if not modes:
        return [required("spec.accessModes", absent)]
    errors = [not_supported("spec.accessModes", m, ACCESS_MODES) for m in modes if m not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        text = "may not use ReadWriteOncePod with other access modes"
        errors.append(forbidden("spec.accessModes", text))
    return errors


def _validate_capacity(capacity: Object | None) -> Errors:
    errors: Errors = [] if capacity else [required("spec.capacity")]
    if capacity is None or set(capacity) != {"storage"}:
        shown = None if capacity is None else dict(sorted(capacity.items()))
        errors.append(not_supported("spec.capacity", shown, ["storage"]))
    for name, value in sorted((capacity or {}).items()):
        at = key("spec.capacity", name)
        if errors and name != "storage":
            continue
        errors += validate_resource_name(name, at) + validate_quantity(name, value, at)
        if parse(value).nano == 0:
            errors.append(invalid(at, value, "must be greater than zero"))
    return errors


def _nfs(source: Object, path: str) -> Errors:
    errors = needs("server", "path")(source, path)
    if (mount := source.get("path")) and not mount.startswith("/"):
        errors.append(invalid(f"{path}.path", mount, "must be an absolute path"))
    return errors


def _csi(source: Object, path: str) -> Errors:
    driver = source.get("driver", "")
    errors: Errors = [] if driver else [required(f"{path}.driver")]
    if len(driver) > 63:
        errors.append(invalid(f"{path}.driver", driver, names.too_long(63)))
    elif driver:
        errors += [invalid(f"{path}.driver", driver, fault) for fault in names.is_dns1123_subdomain(driver.lower())]
    if not source.get("volumeHandle"):
        errors.append(required(f"{path}.volumeHandle"))
    for field in SECRET_REFS:
        if (reference := source.get(field)) is not None:
            errors += needs("name", "namespace")(reference, f"{path}.{field}")
    return errors


SECRET_REFS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
    "nodeStageSecretRef",
)

# Volume sources in the order in which upstream looks at them.
SOURCES: dict[str, Callable[[Object, str], Errors]] = {
    "hostPath": validate_host_path,
    "gcePersistentDisk": needs("pdName"),
    "awsElasticBlockStore": needs("volumeID"),
    "glusterfs": needs("endpoints", "path"),
    "flocker": needs(),
    "nfs": _nfs,
    "rbd": needs("monitors", "image"),
    "quobyte": needs("registry", "volume"),
    "cephfs": needs("monitors"),
    "iscsi": validate_iscsi,
    "cinder": needs("volumeID"),
    "fc": validate_fibre_channel,
    "flexVolume": needs("driver"),
    "azureFile": needs("secretName", "shareName"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": needs("diskName", "diskURI"),
    "scaleIO": needs("gateway", "system", "secretRef", "volumeName"),
    "local": needs("path"),
    "storageos": needs(),
    "csi": _csi,
}


def _validate_source(spec: Object) -> Errors:
    given = [name for name in SOURCES if name in spec]
    if not given:
        return [required("spec", "must specify a volume type")]
    errors = SOURCES[given[0]](spec[given[0]] or {}, f"spec.{given[0]}")
    errors += [forbidden(f"spec.{name}", "may not specify more than 1 volume type") for name in given[1:]]
    if given[0] == "local" and not section(spec, "nodeAffinity"):
        errors.append(required("metadata.annotations", "Local volume requires node affinity"))
    return errors


def _volume_update(new: Object, old: Object) -> Errors:
    errors = validate_volume(new)
    spec, was = section(new, "spec"), section(old, "spec")
    if any(spec.get(source) != was.get(source) for source in SOURCES):
        text = "spec.persistentvolumesource is immutable after creation"
        errors.append(forbidden("spec.persistentvolumesource", text))
    errors += unchanged(spec.get("volumeMode"), was.get("volumeMode"), "spec.volumeMode")
    if was.get("nodeAffinity") is not None:
        errors += unchanged(spec.get("nodeAffinity"), was["nodeAffinity"], "spec.nodeAffinity")
    return errors


def _volume_status(new: Object, old: Object) -> Errors:
    return [] if new["metadata"].get("resourceVersion") else [required("resourceVersion")]


# PersistentVolumeClaim


def validate_claim(obj: Object) -> Errors:
    """ValidatePersistentVolumeClaim."""
    return validate_claim_spec(section(obj, "spec"), "spec")


def validate_claim_spec(spec: Object, path: str) -> Errors:
    errors = _validate_access_modes(spec, "at least 1 access mode is required")
    errors += validate_label_selector(spec.get("selector"), f"{path}.selector")
    storage, at = section(spec, "resources", "requests").get("storage"), f"{path}.resources[storage]"
    if storage is None:
        errors.append(required(at))
    else:
        errors += validate_quantity("storage", storage, at)
        if parse(storage).nano == 0:
            errors.append(invalid(at, storage, "must be greater than zero"))
    if name := spec.get("storageClassName"):
        errors += [invalid(f"{path}.storageClassName", name, fault) for fault in names.is_dns1123_subdomain(name)]
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))
    errors += _validate_data_sources(spec, path)
    if attributes := spec.get("volumeAttributesClassName"):
        at = f"{path}.volumeAttributesClassName"
        errors += [invalid(at, attributes, fault) for fault in names.is_dns1123_subdomain(attributes)]
    return errors


def _validate_data_sources(spec: Object, path: str) -> Errors:
    errors: Errors = []
    for field in ("dataSource", "dataSourceRef"):
        source = spec.get(field)
        if source is None:
            continue
        at = f"{path}.{field}"
        for part in ("name", "kind"):
            if not source.get(part):
                errors.append(required(f"{at}.{part}"))
        if not source.get("apiGroup") and source.get("kind") != "PersistentVolumeClaim":
            text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            errors.append(invalid(f"{at}.kind", source.get("kind", ""), text))
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is not None and not reference.get("namespace"):
        if any(source.get(part) != reference.get(part) for part in ("apiGroup", "kind", "name")):
            errors.append(invalid(path, f"{path}.dataSource", "must match dataSourceRef"))
    return errors


CLAIM_FORBIDDEN = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
SHRUNK = "field can not be less than status.capacity"


def _claim_update(new: Object, old: Object) -> Errors:
    errors = validate_claim(new)
    spec, was = dict(section(new, "spec")), section(old, "spec")
    if not was.get("volumeName"):
        # Binding sets the volume's name once.
        _take_over(spec, was, "volumeName")
    if not was.get("storageClassName") and was.get("storageClassName") is None:
        _take_over(spec, was, "storageClassName")
    bound = section(old, "status").get("phase") == "Bound"
    if bound:
        for field in ("resources", "volumeAttributesClassName"):
            _take_over(spec, was, field)
    if spec != was:
        changed = [field for field in sorted(spec.keys() | was.keys()) if spec.get(field) != was.get(field)]
        errors.append(forbidden("spec", f"{CLAIM_FORBIDDEN}\nchanged: {', '.join(changed)}"))
    elif bound:
        errors += _validate_growth(new, old)
    mode = section(new, "spec").get("volumeMode"), was.get("volumeMode")
    return errors + unchanged(*mode, "spec.volumeMode")


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


def _claim_status(new: Object, old: Object) -> Errors:
    errors: Errors = []
    if not new["metadata"].get("resourceVersion"):
        errors.append(required("resourceVersion"))
    for name, value in sorted((section(new, "status").get("capacity") or {}).items()):
        errors += validate_quantity(name, value, key("status.capacity", name))
    return errors


KINDS = {
    ("", "PersistentVolume"): KindValidation(
        metadata="MM*", create=validate_volume, updates={"": _volume_update, "status": _volume_status}
    ),
    ("", "PersistentVolumeClaim"): KindValidation(
        metadata="MUM*", create=validate_claim, updates={"": _claim_update, "status": _claim_status}
    ),
}
