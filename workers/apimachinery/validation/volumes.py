"""Volumes of pods (pkg/apis/core/validation ValidateVolumes); sources that persistent volumes share are checked here too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.apimachinery.quantity import parse
from workers.apimachinery.validation import names
from workers.apimachinery.validation.containers import validate_field_ref, validate_resource_field_ref
from workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    one_of,
    required,
)
from workers.apimachinery.validation.security import validate_local_descending_path

Source = dict[str, Any]
HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
DOWNWARD_FIELDS = frozenset(
    ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
)
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
MIN_TOKEN_SECONDS, MAX_TOKEN_SECONDS = 600, 2**32


def validate_volumes(volumes: list[Source] | None, path: str) -> tuple[Errors, Mapping[str, Source]]:
    """The faults, and the usable volumes by name: what mounts may refer to."""
    errors: Errors = []
    usable: dict[str, Source] = {}
    for at, volume in each(path, volumes):
        name = volume.get("name", "")
        faults = _validate_source(volume, at)
        if not name:
            faults.append(required(f"{at}.name"))
        else:
            faults += [invalid(f"{at}.name", name, fault) for fault in names.is_dns1123_label(name)]
        if name in usable:
            faults.append(duplicate(f"{at}.name", name))
        if not faults:
            usable[name] = volume
        errors += faults
    return errors, usable


def _validate_source(volume: Source, path: str) -> Errors:
    given = [name for name in volume if name in SOURCES]
    if not given:
        return [required(path, "must specify a volume type")]
    errors: Errors = []
    for index, name in enumerate(sorted(given, key=ORDER.__getitem__)):
        at = f"{path}.{name}"
        if index:
            errors.append(forbidden(at, "may not specify more than 1 volume type"))
        else:
            errors += SOURCES[name](volume[name] or {}, at)
    return errors


def needs(*fields: str) -> Callable[[Source, str], Errors]:
    """A source with fields that must be there."""

    def check(source: Source, path: str) -> Errors:
        return [required(f"{path}.{field}") for field in fields if not source.get(field)]

    return check


def _empty_dir(source: Source, path: str) -> Errors:
    limit = source.get("sizeLimit")
    if limit is not None and parse(limit).nano < 0:
        return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def validate_host_path(source: Source, path: str) -> Errors:
    value = source.get("path", "")
    if not value:
        return [required(f"{path}.path")]
    errors = [invalid(f"{path}.path", value, "must not contain '..'")] if ".." in value.split("/") else []
    kind = source.get("type")
    if kind is not None and kind not in HOST_PATH_TYPES:
        errors.append(not_supported(f"{path}.type", kind, HOST_PATH_TYPES))
    return errors


def validate_file_mode(mode: int | None, path: str) -> Errors:
    return [invalid(path, mode, FILE_MODE)] if mode is not None and not 0 <= mode <= 0o777 else []


def _key_to_path(item: Source, path: str) -> Errors:
    errors: Errors = [] if item.get("key") else [required(f"{path}.key")]
    if not item.get("path"):
        errors.append(required(f"{path}.path"))
    else:
        errors += validate_local_path(item["path"], f"{path}.path")
    return errors + validate_file_mode(item.get("mode"), f"{path}.mode")


def validate_local_path(value: str, path: str) -> Errors:
    """validateLocalNonReservedPath: relative, no backsteps, not starting with two dots."""
    errors = validate_local_descending_path(value, path)
    if value.startswith("..") and not value.startswith("../") and value != "..":
        errors.append(invalid(path, value, "must not start with '..'"))
    return errors


def _keyed(name_field: str) -> Callable[[Source, str], Errors]:
    def check(source: Source, path: str) -> Errors:
        errors: Errors = [] if source.get(name_field) else [required(f"{path}.{name_field}")]
        errors += validate_file_mode(source.get("defaultMode"), f"{path}.defaultMode")
        for at, item in each(f"{path}.items", source.get("items")):
            errors += _key_to_path(item, at)
        return errors

    return check


def _downward_api(source: Source, path: str) -> Errors:
    errors = validate_file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    for _, item in each(path, source.get("items")):
        errors += _downward_file(item, path)
    return errors


def _downward_file(item: Source, path: str) -> Errors:
    errors: Errors = []
    if not item.get("path"):
        errors.append(required(f"{path}.path"))
    else:
        errors += validate_local_path(item["path"], f"{path}.path")
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        errors += validate_field_ref(field, f"{path}.fieldRef", fields=DOWNWARD_FIELDS)
        if resource is not None:
            errors.append(
                invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
            )
    elif resource is not None:
        errors += validate_resource_field_ref(resource, f"{path}.resourceFieldRef", volume=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + validate_file_mode(item.get("mode"), f"{path}.mode")


def _projected(source: Source, path: str) -> Errors:
    errors = validate_file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    paths: set[str] = set()
    for at, projection in each(f"{path}.sources", source.get("sources")):
        given = [name for name in PROJECTIONS if projection.get(name) is not None]
        for index, name in enumerate(given):
            if index:
                errors.append(forbidden(f"{at}.{name}", "may not specify more than 1 volume type"))
            else:
                errors += PROJECTIONS[name](projection[name], f"{at}.{name}")
        if not given:
            text = "specified volume projection source is required"
            errors.append(required(at, text))
        for target in _projected_paths(projection):
            if target in paths:
                errors.append(invalid(path, target, "conflicting duplicate paths"))
            paths.add(target)
        token = projection.get("serviceAccountToken")
        if token is not None:
            if not token.get("path"):
                errors.append(required(f"{path}.path"))
            else:
                errors += validate_local_path(token["path"], f"{path}.path")
    return errors


def _projected_paths(projection: Source) -> list[str]:
    found: list[str] = []
    for name in ("secret", "configMap", "downwardAPI"):
        found += [item["path"] for item in (projection.get(name) or {}).get("items") or () if item.get("path")]
    return found


def _projected_keyed(source: Source, path: str) -> Errors:
    errors: Errors = [] if source.get("name") else [required(f"{path}.name")]
    for at, item in each(f"{path}.items", source.get("items")):
        errors += _key_to_path(item, at)
    return errors


def _projected_downward(source: Source, path: str) -> Errors:
    errors: Errors = []
    for _, item in each(path, source.get("items")):
        errors += _downward_file(item, path)
    return errors


def _projected_token(source: Source, path: str) -> Errors:
    seconds, at = source.get("expirationSeconds", 3600), f"{path}.expirationSeconds"
    if seconds < MIN_TOKEN_SECONDS:
        return [invalid(at, seconds, "may not specify a duration less than 10 minutes")]
    return (
        [invalid(at, seconds, "may not specify a duration larger than 2^32 seconds")]
        if seconds > MAX_TOKEN_SECONDS
        else []
    )


def _projected_trust_bundle(source: Source, path: str) -> Errors:
    name, signer = source.get("name"), source.get("signerName")
    if name and signer:
        return [invalid(path, source, "only one of name and signerName may be used")]
    if not name and not signer:
        return [required(path, "either name or signerName must be specified")]
    return [] if source.get("path") else [required(f"{path}.path")]


PROJECTIONS: dict[str, Callable[[Source, str], Errors]] = {
    "secret": _projected_keyed,
    "configMap": _projected_keyed,
    "downwardAPI": _projected_downward,
    "serviceAccountToken": _projected_token,
    "clusterTrustBundle": _projected_trust_bundle,
    "podCertificate": needs("signerName", "keyType"),
}


def _git_repo(source: Source, path: str) -> Errors:
    errors = needs("repository")(source, path)
    return errors + (validate_local_path(source["directory"], f"{path}.directory") if source.get("directory") else [])


def validate_iscsi(source: Source, path: str) -> Errors:
    errors = needs("targetPortal", "iqn")(source, path)
    if iqn := source.get("iqn"):
        if not iqn.startswith(("iqn", "eui", "naa")):
            errors.append(invalid(f"{path}.iqn", iqn, "must be valid format starting with iqn, eui, or naa"))
    lun = source.get("lun") or 0
    if not 0 <= lun <= 255:
        errors.append(invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive"))
    if (source.get("chapAuthDiscovery") or source.get("chapAuthSession")) and source.get("secretRef") is None:
        errors.append(required(f"{path}.secretRef"))
    return errors


def validate_fibre_channel(source: Source, path: str) -> Errors:
    names_given, ids = source.get("targetWWNs"), source.get("wwids")
    if not names_given and not ids:
        return [required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")]
    if names_given and ids:
        return [invalid(f"{path}.targetWWNs", names_given, "targetWWNs and wwids can not be specified simultaneously")]
    lun = source.get("lun")
    if names_given and lun is None:
        return [required(f"{path}.lun", "lun is required if targetWWNs is specified")]
    if names_given and not 0 <= (lun or 0) <= 255:
        return [invalid(f"{path}.lun", lun, "must be between 0 and 255, inclusive")]
    return []


def _csi(source: Source, path: str) -> Errors:
    driver = source.get("driver", "")
    errors: Errors = []
    if not driver:
        errors.append(required(f"{path}.driver"))
    elif len(driver) > 63:
        errors.append(invalid(f"{path}.driver", driver, "must be no more than 63 characters"))
    else:
        errors += [invalid(f"{path}.driver", driver, fault) for fault in names.is_dns1123_subdomain(driver.lower())]
    reference = source.get("nodePublishSecretRef")
    if reference is not None and not reference.get("name"):
        errors.append(required(f"{path}.nodePublishSecretRef.name"))
    return errors


def _image(source: Source, path: str) -> Errors:
    errors = needs("reference")(source, path)
    return errors + one_of(source.get("pullPolicy"), PULL_POLICIES, f"{path}.pullPolicy")


def _ephemeral(source: Source, path: str) -> Errors:
    if source.get("volumeClaimTemplate") is None:
        return [required(f"{path}.volumeClaimTemplate")]
    return []


# Volume sources in the order in which upstream looks at them.
SOURCES: dict[str, Callable[[Source, str], Errors]] = {
    "emptyDir": _empty_dir,
    "hostPath": validate_host_path,
    "gitRepo": _git_repo,
    "gcePersistentDisk": needs("pdName"),
    "awsElasticBlockStore": needs("volumeID"),
    "secret": _keyed("secretName"),
    "nfs": needs("server", "path"),
    "iscsi": validate_iscsi,
    "glusterfs": needs("endpoints", "path"),
    "flocker": needs(),
    "rbd": needs("monitors", "image"),
    "cinder": needs("volumeID"),
    "cephfs": needs("monitors"),
    "quobyte": needs("registry", "volume"),
    "downwardAPI": _downward_api,
    "fc": validate_fibre_channel,
    "persistentVolumeClaim": needs("claimName"),
    "configMap": _keyed("name"),
    "azureFile": needs("secretName", "shareName"),
    "flexVolume": needs("driver"),
    "vsphereVolume": needs("volumePath"),
    "photonPersistentDisk": needs("pdID"),
    "portworxVolume": needs("volumeID"),
    "azureDisk": needs("diskName", "diskURI"),
    "storageos": needs(),
    "projected": _projected,
    "scaleIO": needs("gateway", "system", "secretRef", "volumeName"),
    "csi": _csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
ORDER = {name: index for index, name in enumerate(SOURCES)}
