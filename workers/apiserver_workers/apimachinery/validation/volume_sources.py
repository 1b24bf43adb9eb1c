"""Volume sources that pods and persistent volumes share (pkg/apis/core/validation).

Where a persistent volume's source differs, it is by a namespace in a reference: `persistent` makes that variant.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    forbidden,
    invalid,
    key,
    not_supported,
    required,
    too_long,
)
from apiserver_workers.apimachinery.validation.security import validate_local_descending_path

Source = dict[str, Any]
Check = Callable[[Source, str], Errors]

HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
)  # fmt: skip
ONE_TYPE = "may not specify more than 1 volume type"
BACKSTEPS = "must not contain '..'"
LONGEST_TARGET, LONGEST_DRIVER_NAME = 64, 63
TARGET_TOO_LONG = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."  # fmt: skip
PAIRS = "must be a host:port pair or multiple pairs separated by commas"
MANAGED_DISK = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
BLOB_DISK = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
# How an iSCSI name starts -> what it looks like.
ISCSI_NAMES = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9.-]+)(:[^,;*&$|\s]+)$"),
    "eui": re.compile(r"^eui.[A-Za-z0-9]{16}$"),
    "naa": re.compile(r"^naa.[A-Za-z0-9]{32}$"),
}
# Fields under which upstream blames a source, where it is not the source's own name.
BLAMED = {"gcePersistentDisk": "persistentDisk"}
FORBIDDEN_AS = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}


def validate_one_source(holder: Source, sources: dict[str, Check], path: str) -> Errors:
    """Exactly one of the sources: the first is checked, others are forbidden."""
    errors: Errors = []
    found = False
    for name, check in sources.items():
        if name not in holder:
            continue
        if found:
            errors.append(forbidden(f"{path}.{FORBIDDEN_AS.get(name, name)}", ONE_TYPE))
        else:
            errors += check(holder[name] or {}, f"{path}.{BLAMED.get(name, name)}")
        found = True
    return errors if found else [*errors, required(path, "must specify a volume type")]


def needs(*fields: str) -> Check:
    """A source with fields that must be there."""

    def check(source: Source, path: str) -> Errors:
        return [required(f"{path}.{field}") for field in fields if not source.get(field)]

    return check


def validate_no_backsteps(value: str, path: str) -> Errors:
    return [invalid(path, value, BACKSTEPS)] if ".." in value.split("/") else []


def validate_local_path(value: str, path: str) -> Errors:
    """ValidateLocalNonReservedPath: relative, no backsteps, not starting with two dots."""
    errors = validate_local_descending_path(value, path)
    if value.startswith("..") and not value.startswith("../"):
        errors.append(invalid(path, value, "must not start with '..'"))
    return errors


def validate_host_path(source: Source, path: str) -> Errors:
    value = source.get("path", "")
    if not value:
        return [required(f"{path}.path")]
    errors = validate_no_backsteps(value, f"{path}.path")
    kind = source.get("type")
    if kind is not None and kind not in HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, HOST_PATH_TYPES))
    return errors


def validate_nfs(source: Source, path: str) -> Errors:
    errors = needs("server", "path")(source, path)
    value = source.get("path", "")
    return errors if value.startswith("/") else [*errors, invalid(f"{path}.path", value, "must be an absolute path")]


def validate_disk(name: str) -> Check:
    """A cloud's disk, by the field that names it, and a partition."""

    def check(source: Source, path: str) -> Errors:
        partition = source.get("partition") or 0
        errors = needs(name)(source, path)
        if not 0 <= partition <= 255:
            errors.append(invalid(f"{path}.partition", partition, "must be between 1 and 255, inclusive"))
        return errors

    return check


def _iscsi_name_fault(name: str, start: str) -> str:
    for prefix, pattern in ISCSI_NAMES.items():
        if name.startswith(prefix):
            return "" if pattern.search(name) else "must be valid format"
    return start


def validate_iscsi(
    source: Source, path: str, *, start: str = "must be valid format starting with iqn, eui, or naa"
) -> Errors:
    """An iSCSI target; `start` is said of a name with an unknown start."""
    errors = needs("targetPortal", "iqn")(source, path)
    iqn, lun = source.get("iqn"), source.get("lun") or 0
    if iqn and (fault := _iscsi_name_fault(iqn, start)):
        errors.append(invalid(f"{path}.iqn", iqn, fault))
    if not 0 <= lun <= 255:
        errors.append(invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        errors.append(required(f"{path}.secretRef"))
    initiator = source.get("initiatorName")
    if initiator is not None and (fault := _iscsi_name_fault(initiator, start)):
        errors.append(invalid(f"{path}.initiatorname", initiator, fault))
    return errors


def validate_iscsi_length(source: Source, name: str, value: str, path: str) -> Errors:
    """With an initiator's name the volume's and the portal's together are limited; `value` is blamed for it."""
    if source.get("initiatorName") is None or len(f"{name}:{source.get('targetPortal', '')}") <= LONGEST_TARGET:
        return []
    return [invalid(path, value, TARGET_TOO_LONG)]


def validate_fibre_channel(source: Source, path: str) -> Errors:
    targets, ids, lun = source.get("targetWWNs"), source.get("wwids"), source.get("lun")
    at = f"{path}.targetWWNs"
    if not targets:
        return [] if ids else [required(at, "must specify either targetWWNs or wwids, but not both")]
    errors: Errors = []
    if ids:
        errors.append(invalid(at, targets, "targetWWNs and wwids can not be specified simultaneously"))
    if lun is None:
        errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
    elif not 0 <= lun <= 255:
        errors.append(invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))
    return errors


def validate_quobyte(source: Source, path: str) -> Errors:
    registry, errors = source.get("registry", ""), []
    if not registry:
        errors.append(required(f"{path}.registry", PAIRS))
    elif len(source.get("tenant") or "") >= 65:
        errors.append(required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters"))
    else:
        pairs = registry.split(",")
        errors += [invalid(f"{path}.registry", registry, PAIRS) for pair in pairs if pair.count(":") != 1]
    return errors + needs("volume")(source, path)


def validate_flocker(source: Source, path: str) -> Errors:
    name, uid = source.get("datasetName", ""), source.get("datasetUUID", "")
    errors: Errors = []
    if not name and not uid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if name and uid:
        errors.append(invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
    if "/" in name:
        errors.append(invalid(f"{path}.datasetName", name, "must not contain '/'"))
    return errors


def validate_flex(source: Source, path: str) -> Errors:
    """A flexVolume's own options must not look like Kubernetes'."""
    errors = needs("driver")(source, path)
    for option in sorted(source.get("options") or ()):
        domain = "." + option.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            text = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid(key(f"{path}.options", option), option, text))
    return errors


def validate_azure_disk(source: Source, path: str) -> Errors:
    errors = needs("diskName", "diskURI")(source, path)
    uri, kind = source.get("diskURI", ""), source.get("kind")
    for field, choices in (
        ("cachingMode", ("None", "ReadOnly", "ReadWrite")),
        ("kind", ("Dedicated", "Managed", "Shared")),
    ):
        if (value := source.get(field)) is not None and value not in choices:
            errors.append(not_supported(f"{path}.{field}", value, choices))
    if kind == "Managed" and not uri.startswith("/subscriptions/"):
        errors.append(not_supported(f"{path}.diskURI", uri, [MANAGED_DISK]))
    if kind not in (None, "Managed") and not uri.startswith("https://"):
        errors.append(not_supported(f"{path}.diskURI", uri, [BLOB_DISK]))
    return errors


def validate_cinder(*, persistent: bool) -> Check:
    reference = validate_secret_ref(persistent=persistent)
    return lambda source, path: needs("volumeID")(source, path) + reference(source, path)


def validate_storage_os(*, persistent: bool) -> Check:
    reference = validate_secret_ref(persistent=persistent)

    def check(source: Source, path: str) -> Errors:
        errors = needs("volumeName")(source, path)
        for field in ("volumeName", "volumeNamespace"):
            if name := source.get(field):
                errors += [invalid(f"{path}.{field}", name, fault) for fault in names.is_dns1123_label(name)]
        return errors + reference(source, path)

    return check


def validate_secret_ref(*, persistent: bool) -> Check:
    """The secret that a source names, if it does."""
    fields = ("name", "namespace") if persistent else ("name",)

    def check(source: Source, path: str) -> Errors:
        reference = source.get("secretRef")
        return [] if reference is None else needs(*fields)(reference, f"{path}.secretRef")

    return check


def validate_csi(source: Source, path: str) -> Errors:
    """A CSI volume that lives as long as its pod."""
    errors = validate_driver_name(source.get("driver", ""), f"{path}.driver")
    if (reference := source.get("nodePublishSecretRef")) is not None:
        name = reference.get("name")
        if not name:
            errors.append(required(f"{path}.nodePublishSecretRef.name"))
        else:
            errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_subdomain(name)]
    return errors


def validate_driver_name(name: str, path: str) -> Errors:
    """ValidateCSIDriverName: a subdomain once it is lower-cased, and not long."""
    if not name:
        return [required(path)]
    errors: Errors = [too_long(path, LONGEST_DRIVER_NAME)] if len(name) > LONGEST_DRIVER_NAME else []
    return errors + [invalid(path, name, fault) for fault in names.is_dns1123_subdomain(name.lower())]


# Sources that look the same in pods and in persistent volumes.
SHARED: dict[str, Check] = {
    "hostPath": validate_host_path,
    "gcePersistentDisk": validate_disk("pdName"),
    "awsElasticBlockStore": validate_disk("volumeID"),
    "nfs": validate_nfs,
    "flocker": validate_flocker,
    "rbd": needs("monitors", "image"),
    "cephfs": needs("monitors"),
    "quobyte": validate_quobyte,
    "fc": validate_fibre_channel,
    "flexVolume": validate_flex,
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": validate_azure_disk,
    "scaleIO": needs("gateway", "system", "volumeName"),
}
