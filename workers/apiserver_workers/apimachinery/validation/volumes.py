"""Volumes of pods (pkg/apis/core/validation ValidateVolumes)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from apiserver_workers.apimachinery.quantity import parse
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.certificates import validate_signer_name
from apiserver_workers.apimachinery.validation.containers import validate_field_ref, validate_resource_field_ref
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    one_of,
    required,
)
from apiserver_workers.apimachinery.validation.security import validate_local_descending_path
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector
from apiserver_workers.apimachinery.validation.volume_sources import (
    SHARED,
    Check,
    Source,
    needs,
    validate_cinder,
    validate_csi,
    validate_iscsi,
    validate_iscsi_length,
    validate_local_path,
    validate_one_source,
    validate_storage_os,
)
from apiserver_workers.apimachinery.validation.volumes_claims import validate_claim_template

DOWNWARD_FIELDS = frozenset(
    ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
)
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
DUPLICATE_PATHS = "conflicting duplicate paths"
MIN_TOKEN_SECONDS, MAX_TOKEN_SECONDS = 600, 2**32


def validate_volumes(
    volumes: list[Source] | None, path: str, *, pod_name: str = ""
) -> tuple[Errors, Mapping[str, Source]]:
    """The faults, and the usable volumes by name: what mounts may refer to.

    `pod_name` is the pod's, if it is known: claims for ephemeral volumes get names that begin with it.
    """
    errors: Errors = []
    usable: dict[str, Source] = {}
    made = {f"{pod_name}-{volume.get('name', '')}" for volume in volumes or () if "ephemeral" in volume and pod_name}
    for at, volume in each(path, volumes):
        name = volume.get("name", "")
        faults = _validate_source(volume, at, pod_name)
        if not name:
            faults.append(required(f"{at}.name"))
        else:
            faults += [invalid(f"{at}.name", name, fault) for fault in names.is_dns1123_label(name)]
        if name in usable:
            faults.append(duplicate(f"{at}.name", name))
        if not faults:
            usable[name] = volume
        errors += faults
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName", "")
        if claim in made:
            text = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid(f"{at}.persistentVolumeClaim.claimName", claim, text))
    return errors, usable


def _validate_source(volume: Source, path: str, pod_name: str) -> Errors:
    errors = validate_one_source(volume, SOURCES, path)
    name = volume.get("name", "")
    if "iscsi" in volume:
        errors += validate_iscsi_length(volume["iscsi"] or {}, name, name, f"{path}.name")
    if "ephemeral" in volume and pod_name and name:
        claim = f"{pod_name}-{name}"
        for fault in names.is_dns1123_subdomain(claim):
            errors.append(invalid(f"{path}.name", name, f'PVC name "{claim}": {fault}'))
    return errors


def _empty_dir(source: Source, path: str) -> Errors:
    limit = source.get("sizeLimit")
    if limit is not None and parse(limit).nano < 0:
        return [forbidden(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _git_repo(source: Source, path: str) -> Errors:
    directory = source.get("directory")
    return needs("repository")(source, path) + (
        validate_local_descending_path(directory, f"{path}.directory") if directory else []
    )


def validate_file_mode(mode: int | None, path: str) -> Errors:
    return [invalid(path, mode, FILE_MODE)] if mode is not None and not 0 <= mode <= 0o777 else []


def _key_to_path(item: Source, path: str) -> Errors:
    errors = needs("key", "path")(item, path) + validate_local_path(item.get("path", ""), f"{path}.path")
    return errors + validate_file_mode(item.get("mode"), f"{path}.mode")


def _keyed(name_field: str) -> Check:
    """A secret or config map whose keys become files."""

    def check(source: Source, path: str) -> Errors:
        errors = needs(name_field)(source, path)
        errors += validate_file_mode(source.get("defaultMode"), f"{path}.defaultMode")
        for at, item in each(f"{path}.items", source.get("items")):
            errors += _key_to_path(item, at)
        return errors

    return check


def _downward_api(source: Source, path: str) -> Errors:
    errors = validate_file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    return errors + [error for item in source.get("items") or () for error in _downward_file(item, path)]


def _downward_file(item: Source, path: str) -> Errors:
    errors = needs("path")(item, path) + validate_local_path(item.get("path", ""), f"{path}.path")
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        errors += validate_field_ref(field, f"{path}.fieldRef", fields=DOWNWARD_FIELDS)
        if resource is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid(path, "resource", text))
    elif resource is not None:
        errors += validate_resource_field_ref(resource, f"{path}.resourceFieldRef", volume=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + validate_file_mode(item.get("mode"), f"{path}.mode")


# Projected volumes: several sources in one, each source of one kind


def _projected(source: Source, path: str) -> Errors:
    errors = validate_file_mode(source.get("defaultMode"), f"{path}.defaultMode")
    taken: set[str] = set()
    for at, projection in each(f"{path}.sources", source.get("sources")):
        given = [name for name in PROJECTIONS if projection.get(name) is not None]
        for name in given:
            errors += PROJECTIONS[name](projection[name], f"{at}.{name}", path, taken)
        if len(given) > 1:
            errors.append(forbidden(at, "may not specify more than 1 volume type per source"))
    return errors


def _take(target: str, shown: str, volume: str, taken: set[str]) -> Errors:
    """Two files cannot have one path."""
    if target not in taken:
        taken.add(target)
        return []
    return [invalid(volume, shown, DUPLICATE_PATHS)]


def _projected_keyed(source: Source, path: str, volume: str, taken: set[str]) -> Errors:
    errors = needs("name")(source, path)
    for at, item in each(f"{path}.items", source.get("items")):
        errors += _key_to_path(item, at)
        if target := item.get("path"):
            errors += _take(target, source.get("name", ""), volume, taken)
    return errors


def _projected_downward(source: Source, path: str, volume: str, taken: set[str]) -> Errors:
    errors: Errors = []
    for item in source.get("items") or ():
        errors += _downward_file(item, path)
        if target := item.get("path"):
            errors += _take(target, target, volume, taken)
    return errors


def _projected_token(source: Source, path: str, volume: str, taken: set[str]) -> Errors:
    seconds, at = source.get("expirationSeconds") or 0, f"{path}.expirationSeconds"
    errors: Errors = []
    if seconds < MIN_TOKEN_SECONDS:
        errors.append(invalid(at, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > MAX_TOKEN_SECONDS:
        errors.append(invalid(at, seconds, "may not specify a duration larger than 2^32 seconds"))
    if not source.get("path"):
        return [*errors, required(f"{volume}.path")]
    return errors + validate_local_path(source["path"], f"{volume}.path")


def _projected_trust_bundle(source: Source, path: str, volume: str, taken: set[str]) -> Errors:
    name, signer, selector = (source.get(field) for field in ("name", "signerName", "labelSelector"))
    errors: Errors = []
    if name is not None and signer is not None:
        errors.append(invalid(path, source, "only one of name and signerName may be used"))
    elif name is not None:
        if not name:
            errors.append(required(f"{path}.name", "must be a valid object name"))
        text = "not a valid clustertrustbundlename: "
        errors += [invalid(f"{path}.name", name, text + fault) for fault in _bundle_name_faults(name)]
        if selector is not None:
            text = "labelSelector must be unset if name is specified"
            errors.append(invalid(f"{path}.labelSelector", selector, text))
    elif signer is not None:
        if not signer:
            errors.append(required(f"{path}.signerName", "must be a valid signer name"))
        errors += validate_signer_name(signer, f"{path}.signerName")
        errors += validate_label_selector(selector, f"{path}.labelSelector")
    else:
        errors.append(required(path, "either name or signerName must be specified"))
    target = source.get("path", "")
    errors += needs("path")(source, path) + validate_local_path(target, f"{path}.path")
    return errors + _take(target, target, volume, taken)


def _bundle_name_faults(name: str) -> list[str]:
    """A bundle of a signer is called after it: `example.com:signer:name`."""
    signer, colon, rest = name.rpartition(":")
    return names.is_dns1123_subdomain(rest if colon and signer else name)


def _projected_certificate(source: Source, path: str, volume: str, taken: set[str]) -> Errors:
    return needs("signerName", "keyType")(source, path)


PROJECTIONS: dict[str, Callable[[Source, str, str, set[str]], Errors]] = {
    "secret": _projected_keyed,
    "configMap": _projected_keyed,
    "downwardAPI": _projected_downward,
    "serviceAccountToken": _projected_token,
    "clusterTrustBundle": _projected_trust_bundle,
    "podCertificate": _projected_certificate,
}


def _image(source: Source, path: str) -> Errors:
    return needs("reference")(source, path) + one_of(source.get("pullPolicy"), PULL_POLICIES, f"{path}.pullPolicy")


def _ephemeral(source: Source, path: str) -> Errors:
    template, at = source.get("volumeClaimTemplate"), f"{path}.volumeClaimTemplate"
    return [required(at)] if template is None else validate_claim_template(template, at)


# Volume sources in the order in which upstream looks at them.
ORDER = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cinder",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "flexVolume",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
]
_CHECKS: dict[str, Check] = {
    **SHARED,
    "emptyDir": _empty_dir,
    "gitRepo": _git_repo,
    "secret": _keyed("secretName"),
    "iscsi": validate_iscsi,
    "glusterfs": needs("endpoints", "path"),
    "persistentVolumeClaim": needs("claimName"),
    "cinder": validate_cinder(persistent=False),
    "downwardAPI": _downward_api,
    "configMap": _keyed("name"),
    "azureFile": needs("secretName", "shareName"),
    "storageos": validate_storage_os(persistent=False),
    "projected": _projected,
    "csi": validate_csi,
    "ephemeral": _ephemeral,
    "image": _image,
}
SOURCES: dict[str, Check] = {name: _CHECKS[name] for name in ORDER}
