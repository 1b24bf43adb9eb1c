"""PersistentVolumes and PersistentVolumeClaims (pkg/apis/core/validation)."""

from __future__ import annotations

import posixpath
from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.quantity import parse
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    IMMUTABLE,
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
from apiserver_workers.apimachinery.validation.internal import difference, invalid_internal
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
# Labels that had another name in beta.
STABLE_LABELS = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/os": "kubernetes.io/os",
    "beta.kubernetes.io/arch": "kubernetes.io/arch",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
}
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
        now = spec | {"csi": csi} if csi and held is not None else spec
        changes = difference("io.k8s.api.core.v1.PersistentVolumeSource", was, now)
        text = f"spec.persistentvolumesource is immutable after creation\n{changes}"
        errors.append(forbidden("spec.persistentvolumesource", text))
    errors += unchanged(spec.get("volumeMode"), was.get("volumeMode"), "volumeMode")
    if was.get("nodeAffinity") is not None and not feature_gates.enabled("MutablePVNodeAffinity"):
        errors += _validate_affinity_change(spec.get("nodeAffinity"), was["nodeAffinity"])
    if was.get("volumeAttributesClassName") is not None and spec.get("volumeAttributesClassName") is None:
        errors.append(forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden"))
    return errors


def _validate_affinity_change(now: Object | None, before: Object) -> Errors:
    """validatePvNodeAffinity: only a label's beta name may become its stable one."""
    if now == before or (now is not None and _renamed(now, before)):
        return []
    text = f"{IMMUTABLE}, except for updating from beta label to GA"
    return [invalid_internal("nodeAffinity", "io.k8s.api.core.v1.VolumeNodeAffinity", now, text)]


def _renamed(now: Object, before: Object) -> bool:
    """Whether `before` with stable names in place of beta ones, where `now` has those, is `now`."""
    terms, held = (section(affinity, "required").get("nodeSelectorTerms") or [] for affinity in (now, before))
    if len(terms) != len(held):
        return False
    return all(_same_term(new, old) for new, old in zip(terms, held, strict=True))


def _same_term(now: Object, before: Object) -> bool:
    for field in ("matchExpressions", "matchFields"):
        new, old = now.get(field) or [], before.get(field) or []
        if len(new) != len(old):
            return False
        for one, other in zip(new, old, strict=True):
            stable = STABLE_LABELS.get(other.get("key", ""))
            renamed = other | {"key": stable} if stable and one.get("key") == stable else other
            if one != renamed:
                return False
    return True


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


def validate_claim_spec(spec: Object, path: str, *, was: Object | None = None) -> Errors:
    """ValidatePersistentVolumeClaimSpec; what was wrong with the stored spec `was` already is let through in two fields."""
    modes = _validate_access_modes(spec, path, "at least 1 access mode is required")
    lenient = bool(was and validate_label_selector(was.get("selector"), ""))
    selector = validate_label_selector(spec.get("selector"), f"{path}.selector", check_values=not lenient)
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
    errors += _validate_data_sources(spec, path, check_group=not _has_group(was or {}))
    if attributes := spec.get("volumeAttributesClassName"):
        errors += _class_name(attributes, f"{path}.volumeAttributesClassName")
    return errors


def _has_group(spec: Object) -> bool:
    return any(section(spec, field).get("apiGroup") is not None for field in ("dataSource", "dataSourceRef"))


def _validate_data_sources(spec: Object, path: str, *, check_group: bool) -> Errors:
    errors: Errors = []
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    for field, given in (("dataSource", source), ("dataSourceRef", reference)):
        if given is not None:
            errors += _validate_data_source(given, f"{path}.{field}", check_group)
    if source is None or reference is None:
        return errors
    # Upstream shows the path of the field instead of its value.
    if reference.get("namespace"):
        text = "may not be specified when dataSourceRef.namespace is specified"
        errors.append(invalid(path, f"{path}.dataSource", text))
    elif any(source.get(part) != reference.get(part) for part in ("apiGroup", "kind", "name")):
        errors.append(invalid(path, f"{path}.dataSource", "must match dataSourceRef"))
    return errors


def _validate_data_source(source: Object, path: str, check_group: bool) -> Errors:
    errors = needs("name", "kind")(source, path)
    group, namespace = source.get("apiGroup"), source.get("namespace")
    if not group and source.get("kind") != "PersistentVolumeClaim":
        text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid(path, source.get("kind", ""), text))
    if group and check_group:
        errors += [invalid(f"{path}.apiGroup", group, fault) for fault in names.is_dns1123_subdomain(group)]
    if namespace:
        errors += [invalid(f"{path}.namespace", namespace, fault) for fault in names.is_dns1123_label(namespace)]
    return errors


CLAIM_FORBIDDEN = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)
SHRUNK = "field can not be less than status.capacity"


def _claim_update(new: Object, old: Object) -> Errors:
    """ValidatePersistentVolumeClaimUpdate."""
    was = dict(section(old, "spec"))
    errors = validate_claim_spec(section(new, "spec"), "spec", was=was)
    spec = dict(section(new, "spec"))
    if not was.get("volumeName"):
        # Binding sets the volume's name once.
        _take_over(was, spec, "volumeName")
    errors += _validate_class_change(spec, was, new, old)
    if section(new, "status").get("phase") == "Bound":
        _keep_what_may_grow(spec, was)
    if spec != was:
        changes = difference("io.k8s.api.core.v1.PersistentVolumeClaimSpec", was, spec)
        errors.append(forbidden("spec", f"{CLAIM_FORBIDDEN}\n{changes}"))
    errors += _validate_growth(new, old)
    mode = section(new, "spec").get("volumeMode"), was.get("volumeMode")
    errors += unchanged(*mode, "volumeMode")
    return errors + _validate_attributes_change(new, old)


def _validate_class_change(spec: Object, was: Object, new: Object, old: Object) -> Errors:
    """The class may move from the annotation of old to the field, or be set once; `spec` is made to agree if so."""
    now, before = (section(o, "metadata", "annotations").get(CLASS_ANNOTATION) for o in (new, old))
    name, held = spec.get("storageClassName"), was.get("storageClassName")
    if held is None and before is not None and name == before and now in (None, before):
        del spec["storageClassName"]
        return []
    if held is None and name is not None and before in (None, name):
        del spec["storageClassName"]
    return unchanged(now or "", before or "", f"metadata.annotations.{CLASS_ANNOTATION}")


def _keep_what_may_grow(spec: Object, was: Object) -> None:
    """A bound claim may ask for more storage and for another attributes class: they do not count as changes."""
    requests, held = section(spec, "resources").get("requests"), section(was, "resources", "requests")
    if requests:
        spec["resources"] = spec["resources"] | {"requests": requests | {"storage": held.get("storage", "0")}}
    _take_over(spec, was, "volumeAttributesClassName")


def _validate_attributes_change(new: Object, old: Object) -> Errors:
    """The attributes class that a volume has by now can be replaced, not removed."""
    now, before = (section(o, "spec").get("volumeAttributesClassName") for o in (new, old))
    if now or now == before or section(old, "status").get("currentVolumeAttributesClassName") is None:
        return []
    value = "nil" if now is None else "empty string"
    text = f"update to {value} is forbidden when status.currentVolumeAttributesClassName is not nil"
    return [forbidden("spec.volumeAttributesClassName", text)]


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
        errors += _validate_resource_key(name, "status.allocatedResourceStatuses")
        if state not in RESIZE_STATES:
            errors.append(not_supported("status.allocatedResourceStatuses", name, RESIZE_STATES))
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
        metadata="UM*", create=validate_claim, updates={"": _claim_update, "status": _claim_status}
    ),
}
