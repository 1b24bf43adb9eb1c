"""Where containers see their pod's volumes (pkg/apis/core/validation ValidateVolumeMounts, ValidateVolumeDevices)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver_workers.apimachinery.validation.field import (
    Errors,
    each,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from apiserver_workers.apimachinery.validation.security import validate_local_descending_path

PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")

Volumes = Mapping[str, Mapping[str, Any]]


def validate_volume_mounts(container: dict[str, Any], path: str, volumes: Volumes) -> Errors:
    errors: Errors = []
    paths: set[str] = set()
    devices = {device.get("name", ""): device.get("devicePath", "") for device in container.get("volumeDevices") or ()}
    for at, mount in each(path, container.get("volumeMounts")):
        name, mount_path = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            errors.append(required(f"{at}.name"))
        if name not in volumes:
            errors.append(not_found(f"{at}.name", name))
        if not mount_path:
            errors.append(required(f"{at}.mountPath"))
        if mount_path in paths:
            errors.append(invalid(f"{at}.mountPath", mount_path, "must be unique"))
        paths.add(mount_path)
        if name in devices:
            errors.append(invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if mount_path in devices.values():
            text = "must not already exist as a path in volumeDevices"
            errors.append(invalid(f"{at}.mountPath", mount_path, text))
        errors += _validate_sub_path(mount, at, path)
        errors += _validate_propagation(mount, container, f"{path}.mountPropagation")
        errors += _validate_recursive_read_only(mount, f"{path}.recursiveReadOnly")
    return errors


def _validate_sub_path(mount: dict[str, Any], at: str, path: str) -> Errors:
    """Upstream blames the list for what is wrong with a mount's paths."""
    errors: Errors = []
    plain, expression = mount.get("subPath"), mount.get("subPathExpr")
    if plain:
        errors += validate_local_descending_path(plain, f"{path}.subPath")
    if expression:
        if plain:
            text = "subPathExpr and subPath are mutually exclusive"
            errors.append(invalid(f"{at}.subPathExpr", expression, text))
        errors += validate_local_descending_path(expression, f"{path}.subPathExpr")
    return errors


def _validate_propagation(mount: dict[str, Any], container: dict[str, Any], path: str) -> Errors:
    propagation = mount.get("mountPropagation")
    if propagation is None:
        return []
    if propagation not in PROPAGATIONS:
        return [not_supported(path, propagation, PROPAGATIONS)]
    if propagation == "Bidirectional" and not (container.get("securityContext") or {}).get("privileged"):
        text = "Bidirectional mount propagation is available only to privileged containers"
        return [forbidden(path, text)]
    return []


def _validate_recursive_read_only(mount: dict[str, Any], path: str) -> Errors:
    value = mount.get("recursiveReadOnly")
    if value is None or value == "Disabled":
        return []
    if value not in RECURSIVE_READ_ONLY:
        return [not_supported(path, value, RECURSIVE_READ_ONLY)]
    errors: Errors = []
    if not mount.get("readOnly"):
        errors.append(forbidden(path, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation") not in (None, "None"):
        errors.append(forbidden(path, "may only be specified when mountPropagation is None or not specified"))
    return errors


def validate_volume_devices(container: dict[str, Any], path: str, volumes: Volumes) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    paths: set[str] = set()
    mounts = {mount.get("name", ""): mount.get("mountPath", "") for mount in container.get("volumeMounts") or ()}
    for at, device in each(path, container.get("volumeDevices")):
        name, device_path = device.get("name", ""), device.get("devicePath", "")
        volume = volumes.get(name)
        if not name:
            errors.append(required(f"{at}.name"))
        if name in seen:
            errors.append(invalid(f"{at}.name", name, "must be unique"))
        if volume is None:
            errors.append(not_found(f"{at}.name", name))
        elif not {"persistentVolumeClaim", "ephemeral"} & set(volume):
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{at}.name", name, text))
        if not device_path:
            errors.append(required(f"{at}.devicePath"))
        if device_path in paths:
            errors.append(invalid(f"{at}.devicePath", device_path, "must be unique"))
        if ".." in device_path.split("/"):
            errors.append(invalid(f"{at}.devicePath", device_path, "can not contain backsteps ('..')"))
        else:
            paths.add(device_path)
        if name in mounts:
            errors.append(invalid(f"{at}.name", name, "must not already exist in volumeMounts"))
        if device_path in mounts.values():
            text = "must not already exist as a path in volumeMounts"
            errors.append(invalid(f"{at}.devicePath", device_path, text))
        if name:
            seen.add(name)
    return errors
