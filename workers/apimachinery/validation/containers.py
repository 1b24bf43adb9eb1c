"""Containers, init containers and ephemeral containers (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.apimachinery.validation import names
from workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_found,
    not_supported,
    one_of,
    required,
)
from workers.apimachinery.validation.probes import (
    validate_lifecycle,
    validate_liveness_probe,
    validate_readiness_probe,
)
from workers.apimachinery.validation.resource_lists import (
    is_hugepages,
    validate_requirements,
)
from workers.apimachinery.validation.security import validate_local_descending_path, validate_security_context

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")
RESIZE_RESOURCES = ("cpu", "memory")
RESIZE_RESTARTS = ("NotRequired", "RestartContainer")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
EPHEMERAL_FORBIDS = ("ports", "resources", "lifecycle", *PROBES, "resizePolicy", "restartPolicyRules")

# What downward API fields environment variables may name; the second set takes a subscript.
ENV_FIELDS = frozenset(
    [
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    ]
)
SUBSCRIPTED_FIELDS = ("metadata.annotations", "metadata.labels")
KNOWN_FIELDS = ENV_FIELDS | {"spec.restartPolicy", "spec.schedulerName", "status.phase", "status.nominatedNodeName"}
ENV_RESOURCES = frozenset(
    f"{list_name}.{name}" for list_name in ("limits", "requests") for name in ("cpu", "memory", "ephemeral-storage")
)

Volumes = Mapping[str, Mapping[str, Any]]


def validate_containers(spec: dict[str, Any], path: str, *, volumes: Volumes, claims: frozenset[str]) -> Errors:
    """The pod's own containers; there must be one."""
    containers = spec.get("containers")
    if not containers:
        return [required(path)]
    errors: Errors = []
    seen: set[str] = set()
    for at, container in each(path, containers):
        errors += _validate_common(container, at, spec, volumes, claims)
        name = container.get("name", "")
        if name and name in seen:
            errors.append(duplicate(f"{at}.name", name))
        seen.add(name)
        errors += _validate_running(container, at, spec)
    return errors + _validate_host_ports(containers, path)


def validate_init_containers(spec: dict[str, Any], path: str, *, volumes: Volumes, claims: frozenset[str]) -> Errors:
    errors: Errors = []
    taken = {container.get("name", "") for container in spec.get("containers") or ()}
    for at, container in each(path, spec.get("initContainers")):
        errors += _validate_common(container, at, spec, volumes, claims)
        sidecar = container.get("restartPolicy") == "Always"
        name = container.get("name", "")
        if name and name in taken:
            errors.append(duplicate(f"{at}.name", name))
        taken.add(name)
        if sidecar:
            errors += _validate_running(container, at, spec)
        else:
            errors += _forbid(
                container, ("lifecycle", *PROBES), at, "may not be set for init containers without restartPolicy=Always"
            )
        errors += _validate_host_ports([container], path, at=at)
    return errors


def validate_ephemeral_containers(spec: dict[str, Any], path: str, *, volumes: Volumes) -> Errors:
    errors: Errors = []
    others = {c.get("name", "") for f in ("containers", "initContainers") for c in spec.get(f) or ()}
    seen: set[str] = set()
    for at, container in each(path, spec.get("ephemeralContainers")):
        errors += _validate_common(container, at, spec, volumes, frozenset())
        name, target = container.get("name", ""), container.get("targetContainerName", "")
        if name in others or name in seen:
            errors.append(duplicate(f"{at}.name", name))
        seen.add(name)
        if target and target not in others:
            errors.append(not_found(f"{at}.targetContainerName", target))
        errors += _forbid(container, EPHEMERAL_FORBIDS, at, "cannot be set for an Ephemeral Container")
        for mount_path, mount in each(f"{at}.volumeMounts", container.get("volumeMounts")):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    errors.append(forbidden(f"{mount_path}.{field}", "cannot be set for an Ephemeral Container"))
    return errors


def _forbid(container: dict[str, Any], fields: tuple[str, ...], path: str, text: str) -> Errors:
    return [forbidden(f"{path}.{field}", text) for field in fields if container.get(field)]


def _validate_common(
    container: dict[str, Any], path: str, spec: dict[str, Any], volumes: Volumes, claims: frozenset[str]
) -> Errors:
    """validateContainerCommon: what all three kinds of containers share."""
    errors: Errors = []
    name, image = container.get("name", ""), container.get("image", "")
    if not name:
        errors.append(required(f"{path}.name"))
    else:
        errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_label(name)]
    if image != image.strip():
        errors.append(invalid(f"{path}.image", image, "must not have leading or trailing whitespace"))
    elif not image:
        errors.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy")
    errors += one_of(policy, MESSAGE_POLICIES, f"{path}.terminationMessagePolicy", needed=True)
    errors += _validate_ports(container.get("ports"), f"{path}.ports")
    errors += validate_env(container.get("env"), f"{path}.env")
    errors += _validate_env_from(container.get("envFrom"), f"{path}.envFrom")
    errors += validate_volume_mounts(container, f"{path}.volumeMounts", volumes)
    errors += _validate_volume_devices(container, f"{path}.volumeDevices", volumes)
    errors += one_of(container.get("imagePullPolicy"), PULL_POLICIES, f"{path}.imagePullPolicy", needed=True)
    if resources := container.get("resources"):
        errors += validate_requirements(resources, f"{path}.resources", claims=claims)
    errors += _validate_resize_policy(container, f"{path}.resizePolicy", spec)
    host_users = spec.get("hostUsers") is not False
    return errors + validate_security_context(
        container.get("securityContext"), f"{path}.securityContext", host_users=host_users
    )


def _validate_running(container: dict[str, Any], path: str, spec: dict[str, Any]) -> Errors:
    """What only long-running containers have."""
    grace = spec.get("terminationGracePeriodSeconds")
    errors = validate_lifecycle(container.get("lifecycle"), f"{path}.lifecycle", grace_period=grace)
    errors += validate_liveness_probe(container.get("livenessProbe"), f"{path}.livenessProbe")
    errors += validate_readiness_probe(container.get("readinessProbe"), f"{path}.readinessProbe")
    return errors + validate_liveness_probe(container.get("startupProbe"), f"{path}.startupProbe")


def _validate_ports(ports: list[dict[str, Any]] | None, path: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for at, port in each(path, ports):
        name, number, host = port.get("name"), port.get("containerPort") or 0, port.get("hostPort") or 0
        if name:
            if faults := names.is_port_name(name):
                errors += [invalid(f"{at}.name", name, fault) for fault in faults]
            elif name in seen:
                errors.append(duplicate(f"{at}.name", name))
            seen.add(name)
        if not number:
            errors.append(required(f"{at}.containerPort"))
        else:
            errors += [invalid(f"{at}.containerPort", number, f) for f in names.is_port_number(number)]
        if host:
            errors += [invalid(f"{at}.hostPort", host, fault) for fault in names.is_port_number(host)]
        errors += one_of(port.get("protocol"), PROTOCOLS, f"{at}.protocol", needed=True)
    return errors


def _validate_host_ports(containers: list[dict[str, Any]], path: str, at: str = "") -> Errors:
    errors: Errors = []
    used: set[tuple[str, str, int]] = set()
    for index, container in enumerate(containers):
        for port_path, port in each(f"{at or f'{path}[{index}]'}.ports", container.get("ports")):
            if not (host := port.get("hostPort")):
                continue
            taken = port.get("protocol", ""), port.get("hostIP", ""), host
            if taken in used:
                errors.append(duplicate(f"{port_path}.hostPort", "/".join(map(str, taken))))
            used.add(taken)
    return errors


def validate_env(variables: list[dict[str, Any]] | None, path: str) -> Errors:
    errors: Errors = []
    for at, variable in each(path, variables):
        name = variable.get("name", "")
        if not name:
            errors.append(required(f"{at}.name"))
        else:
            errors += [invalid(f"{at}.name", name, fault) for fault in names.is_env_var_name(name)]
        if (source := variable.get("valueFrom")) is not None:
            errors += _validate_env_source(source, variable.get("value"), f"{at}.valueFrom")
    return errors


def _validate_env_source(source: dict[str, Any], value: str | None, path: str) -> Errors:
    errors: Errors = []
    found = 0
    for kind, check in ENV_SOURCES.items():
        if (given := source.get(kind)) is not None:
            found += 1
            errors += check(given, f"{path}.{kind}")
    if not found:
        text = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        errors.append(invalid(path, "", text))
    elif value:
        errors.append(invalid(path, "", "may not be specified when `value` is not empty"))
    elif found > 1:
        errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    return errors


def validate_field_ref(ref: dict[str, Any], path: str, *, fields: frozenset[str] = ENV_FIELDS) -> Errors:
    """ValidateObjectFieldSelector: a field of the pod that the downward API can give."""
    field_path = ref.get("fieldPath", "")
    if not ref.get("apiVersion"):
        return [required(f"{path}.apiVersion")]
    if not field_path:
        return [required(f"{path}.fieldPath")]
    at = f"{path}.fieldPath"
    name, bracket, subscript = field_path.partition("['")
    if bracket and subscript.endswith("']"):
        if name not in SUBSCRIPTED_FIELDS:
            return (
                [invalid(at, field_path, "error converting fieldPath: field label does not support subscript")]
                if name in KNOWN_FIELDS
                else [_unknown(at, field_path)]
            )
        subject = subscript[:-2].lower() if name == "metadata.annotations" else subscript[:-2]
        return [invalid(at, subscript[:-2], fault) for fault in names.is_qualified_name(subject)]
    if field_path in fields:
        return []
    if field_path in KNOWN_FIELDS or field_path in SUBSCRIPTED_FIELDS:
        return [not_supported(at, field_path, sorted(fields))]
    return [_unknown(at, field_path)]


def _unknown(path: str, field_path: str) -> Any:
    return invalid(path, field_path, f"error converting fieldPath: field label not supported: {field_path}")


def validate_resource_field_ref(ref: dict[str, Any], path: str, *, volume: bool = False) -> Errors:
    resource = ref.get("resource", "")
    if volume and not ref.get("containerName"):
        return [required(f"{path}.containerName")]
    if not resource:
        return [required(f"{path}.resource")]
    list_name, _, name = resource.partition(".")
    if resource not in ENV_RESOURCES and not (list_name in ("limits", "requests") and is_hugepages(name)):
        return [not_supported(f"{path}.resource", resource, sorted(ENV_RESOURCES))]
    return []


def _validate_key_ref(ref: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    name, key = ref.get("name", ""), ref.get("key", "")
    if not name:
        errors.append(required(f"{path}.name"))
    if not key:
        return [*errors, required(f"{path}.key")]
    return errors + [invalid(f"{path}.key", key, fault) for fault in names.is_config_map_key(key)]


def _validate_file_ref(ref: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    for field in ("volumeName", "path", "key"):
        if not ref.get(field):
            errors.append(required(f"{path}.{field}"))
    if local := ref.get("path"):
        errors += validate_local_descending_path(local, f"{path}.path")
    return errors


ENV_SOURCES: dict[str, Callable[[dict[str, Any], str], Errors]] = {
    "fieldRef": validate_field_ref,
    "resourceFieldRef": validate_resource_field_ref,
    "configMapKeyRef": _validate_key_ref,
    "secretKeyRef": _validate_key_ref,
    "fileKeyRef": _validate_file_ref,
}


def _validate_env_from(sources: list[dict[str, Any]] | None, path: str) -> Errors:
    errors: Errors = []
    for at, source in each(path, sources):
        if prefix := source.get("prefix"):
            errors += [invalid(f"{at}.prefix", prefix, fault) for fault in names.is_env_var_name(prefix)]
        given = [field for field in ("configMapRef", "secretRef") if source.get(field) is not None]
        for field in given:
            if not source[field].get("name"):
                errors.append(required(f"{at}.{field}.name"))
        if not given:
            errors.append(invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(invalid(at, "", "may not have more than one field specified at a time"))
    return errors


def validate_volume_mounts(container: dict[str, Any], path: str, volumes: Volumes) -> Errors:
    errors: Errors = []
    paths: set[str] = set()
    devices = {device.get("devicePath") for device in container.get("volumeDevices") or ()}
    device_names = {device.get("name") for device in container.get("volumeDevices") or ()}
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
        if name in device_names:
            errors.append(invalid(f"{at}.name", name, "must not already exist in volumeDevices"))
        if mount_path in devices:
            errors.append(invalid(f"{at}.mountPath", mount_path, "must not already exist as a path in volumeDevices"))
        errors += _validate_mount_options(mount, at, container)
    return errors


def _validate_mount_options(mount: dict[str, Any], path: str, container: dict[str, Any]) -> Errors:
    errors: Errors = []
    sub_path, expression = mount.get("subPath"), mount.get("subPathExpr")
    for field, value in (("subPath", sub_path), ("subPathExpr", expression)):
        if value:
            errors += validate_local_descending_path(value, f"{path}.{field}")
    if sub_path and expression:
        errors.append(invalid(f"{path}.subPathExpr", expression, "subPathExpr and subPath are mutually exclusive"))
    propagation = mount.get("mountPropagation")
    if propagation is not None:
        if propagation not in PROPAGATIONS:
            errors.append(not_supported(f"{path}.mountPropagation", propagation, PROPAGATIONS))
        privileged = (container.get("securityContext") or {}).get("privileged")
        if propagation == "Bidirectional" and not privileged:
            text = "Bidirectional mount propagation is available only to privileged containers"
            errors.append(forbidden(f"{path}.mountPropagation", text))
    recursive = mount.get("recursiveReadOnly")
    if recursive is not None:
        at = f"{path}.recursiveReadOnly"
        if recursive not in RECURSIVE_READ_ONLY:
            errors.append(not_supported(at, recursive, RECURSIVE_READ_ONLY))
        elif recursive != "Disabled" and not mount.get("readOnly"):
            errors.append(forbidden(at, "may only be specified when readOnly is true"))
        elif recursive != "Disabled" and propagation not in (None, "None"):
            errors.append(forbidden(at, "may only be specified when mountPropagation is None or not specified"))
    return errors


def _validate_volume_devices(container: dict[str, Any], path: str, volumes: Volumes) -> Errors:
    errors: Errors = []
    paths: set[str] = set()
    mounted = {mount.get("mountPath") for mount in container.get("volumeMounts") or ()}
    for at, device in each(path, container.get("volumeDevices")):
        name, device_path = device.get("name", ""), device.get("devicePath", "")
        if not name:
            errors.append(required(f"{at}.name"))
        elif (volume := volumes.get(name)) is None:
            errors.append(not_found(f"{at}.name", name))
        elif not {"persistentVolumeClaim", "ephemeral"} & set(volume):
            text = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(invalid(f"{at}.name", name, text))
        if not device_path:
            errors.append(required(f"{at}.devicePath"))
        elif device_path in paths:
            errors.append(invalid(f"{at}.devicePath", device_path, "must be unique"))
        elif ".." in device_path.split("/"):
            errors.append(invalid(f"{at}.devicePath", device_path, "can not contain backsteps ('..')"))
        elif device_path in mounted:
            text = "must not already exist as a path in volumeMounts"
            errors.append(invalid(f"{at}.devicePath", device_path, text))
        paths.add(device_path)
    return errors


def _validate_resize_policy(container: dict[str, Any], path: str, spec: dict[str, Any]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for _, policy in each(path, container.get("resizePolicy")):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            errors.append(duplicate(path, name))
        seen.add(name)
        errors += one_of(name, RESIZE_RESOURCES, path, needed=True)
        errors += one_of(restart, RESIZE_RESTARTS, path, needed=True)
        if spec.get("restartPolicy") == "Never" and restart == "RestartContainer":
            errors.append(invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
    return errors
