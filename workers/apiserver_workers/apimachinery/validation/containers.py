"""Containers, init containers and ephemeral containers (pkg/apis/core/validation)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
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
from apiserver_workers.apimachinery.validation.mounts import Volumes, validate_volume_devices, validate_volume_mounts
from apiserver_workers.apimachinery.validation.probes import (
    validate_lifecycle,
    validate_liveness_probe,
    validate_readiness_probe,
)
from apiserver_workers.apimachinery.validation.resource_lists import (
    is_hugepages,
    validate_requirements,
)
from apiserver_workers.apimachinery.validation.security import validate_local_descending_path, validate_security_context

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESIZE_RESOURCES = ("cpu", "memory")
RESIZE_RESTARTS = ("NotRequired", "RestartContainer")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
RESTART_ACTIONS = ("Restart", "RestartAllContainers")
MOST_RESTART_RULES = 20
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
# In the order of Go's struct.
EPHEMERAL_FORBIDS = (
    "ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", *PROBES, "lifecycle",
)  # fmt: skip

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
        errors += _validate_running(container, at, spec) + _validate_restart_policy(container, at)
    return errors + _validate_host_ports(containers, path)


def validate_init_containers(spec: dict[str, Any], path: str, *, volumes: Volumes, claims: frozenset[str]) -> Errors:
    errors: Errors = []
    taken = {container.get("name", "") for container in spec.get("containers") or ()}
    for at, container in each(path, spec.get("initContainers")):
        errors += _validate_common(container, at, spec, volumes, claims)
        errors += _validate_restart_policy(container, at)
        name = container.get("name", "")
        if name in taken:
            errors.append(duplicate(f"{at}.name", name))
        elif name:
            taken.add(name)
        # They run one by one, so each is looked at alone, and blamed as the first.
        errors += _validate_host_ports([container], path)
        if container.get("restartPolicy") == "Always":
            errors += _validate_running(container, at, spec)
        else:
            text = "may not be set for init containers without restartPolicy=Always"
            errors += _forbid(container, ("lifecycle", *PROBES), at, text)
    return errors


def _validate_restart_policy(container: dict[str, Any], path: str) -> Errors:
    """A container's own restart policy, which rules for exit codes may refine."""
    policy, rules, at = container.get("restartPolicy"), container.get("restartPolicyRules"), f"{path}.restartPolicy"
    errors: Errors = []
    if policy is None and rules:
        errors.append(required(at, "must specify restartPolicy when restart rules are used"))
    elif policy is not None and policy not in RESTART_POLICIES:
        errors.append(not_supported(at, policy, RESTART_POLICIES))
    at = f"{path}.restartPolicyRules"
    if len(rules or ()) > MOST_RESTART_RULES:
        errors.append(too_long_list(at, MOST_RESTART_RULES))
    for place, rule in each(at, rules):
        errors += _validate_restart_rule(rule, place)
    return errors


def _validate_restart_rule(rule: dict[str, Any], path: str) -> Errors:
    errors = one_of(rule.get("action"), RESTART_ACTIONS, f"{path}.action", needed=True)
    codes, at = rule.get("exitCodes"), f"{path}.exitCodes"
    if codes is None:
        return [*errors, required(at, "must be specified")]
    errors += one_of(codes.get("operator"), ("In", "NotIn"), f"{at}.operator", needed=True)
    values = codes.get("values") or []
    return [*errors, too_long_list(f"{at}.values", 255)] if len(values) > 255 else errors


def too_long_list(path: str, limit: int) -> FieldError:
    """TooLong of a list, which upstream measures as it measures strings."""
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {limit} bytes")


def validate_ephemeral_containers(spec: dict[str, Any], path: str, *, volumes: Volumes) -> Errors:
    errors: Errors = []
    others = {c.get("name", "") for f in ("containers", "initContainers") for c in spec.get(f) or ()}
    seen: set[str] = set()
    for at, container in each(path, spec.get("ephemeralContainers")):
        errors += _validate_common(container, at, spec, volumes, frozenset()) + validate_image_spaces(container, at)
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
    if not image:
        errors.append(required(f"{path}.image"))
    policy = container.get("terminationMessagePolicy")
    errors += one_of(policy, MESSAGE_POLICIES, f"{path}.terminationMessagePolicy", needed=True)
    errors += _validate_ports(container.get("ports"), f"{path}.ports")
    errors += validate_env(container.get("env"), f"{path}.env")
    errors += _validate_env_from(container.get("envFrom"), f"{path}.envFrom")
    errors += validate_volume_mounts(container, f"{path}.volumeMounts", volumes)
    errors += validate_volume_devices(container, f"{path}.volumeDevices", volumes)
    errors += one_of(container.get("imagePullPolicy"), PULL_POLICIES, f"{path}.imagePullPolicy", needed=True)
    if resources := container.get("resources"):
        errors += validate_requirements(resources, f"{path}.resources", claims=claims)
    errors += _validate_resize_policy(container, f"{path}.resizePolicy", spec)
    host_users = spec.get("hostUsers") is not False
    return errors + validate_security_context(
        container.get("securityContext"), f"{path}.securityContext", host_users=host_users
    )


def validate_image_spaces(container: dict[str, Any], path: str) -> Errors:
    """validateContainerOnlyForPod: what templates tolerate."""
    image = container.get("image", "")
    if image == image.strip():
        return []
    return [invalid(f"{path}.image", image, "must not have leading or trailing whitespace")]


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


def _validate_host_ports(containers: list[dict[str, Any]], path: str) -> Errors:
    errors: Errors = []
    used: set[tuple[str, str, int]] = set()
    for index, container in enumerate(containers):
        for port_path, port in each(f"{path}[{index}].ports", container.get("ports")):
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
    if ref["apiVersion"] != "v1":
        return [invalid(at, field_path, f"error converting fieldPath: unsupported pod version: {ref['apiVersion']}")]
    name, bracket, subscript = field_path.partition("['")
    if bracket and subscript.endswith("']"):
        if name not in SUBSCRIPTED_FIELDS:
            text = f"error converting fieldPath: field label does not support subscript: {field_path}"
            return [invalid(at, field_path, text)]
        subject = subscript[:-2].lower() if name == "metadata.annotations" else subscript[:-2]
        return [invalid(path, subject, fault) for fault in names.is_qualified_name(subject)]
    if field_path in fields:
        return []
    if field_path in KNOWN_FIELDS or field_path in SUBSCRIPTED_FIELDS:
        return [not_supported(at, field_path, sorted(fields))]
    return [_unknown(at, field_path)]


def _unknown(path: str, field_path: str) -> Any:
    return invalid(path, field_path, f"error converting fieldPath: field label not supported: {field_path}")


def validate_resource_field_ref(ref: dict[str, Any], path: str, *, volume: bool = False) -> Errors:
    resource = ref.get("resource", "")
    errors: Errors = []
    list_name, _, name = resource.partition(".")
    huge = list_name in ("limits", "requests") and is_hugepages(name)
    if volume and not ref.get("containerName"):
        errors.append(required(f"{path}.containerName"))
    elif not resource:
        errors.append(required(f"{path}.resource"))
    elif resource not in ENV_RESOURCES and not huge:
        errors.append(not_supported(f"{path}.resource", resource, sorted(ENV_RESOURCES)))
    return errors + _validate_divisor(resource, "hugepages" if huge else name, ref.get("divisor"), path)


def _validate_divisor(resource: str, name: str, divisor: str | None, path: str) -> Errors:
    if divisor in (None, "0") or name not in DIVISORS:
        return []
    allowed, what = DIVISORS[name]
    if divisor in allowed:
        return []
    listed = "1m and 1" if name == "cpu" else ", ".join(allowed)
    text = f"only divisor's values {listed} are supported with the {what} resource"
    return [invalid(f"{path}.divisor", resource, text)]


SIZES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
# A resource -> the divisors it can be shown by, and how messages call it.
DIVISORS = {
    "cpu": (("1m", "1"), "cpu"),
    "memory": (SIZES, "memory"),
    "ephemeral-storage": (SIZES, "local ephemeral storage"),
    "hugepages": (SIZES, "hugepages"),
}


def _validate_key_ref(ref: dict[str, Any], path: str) -> Errors:
    name, key = ref.get("name", ""), ref.get("key", "")
    errors = [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_subdomain(name)]
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
            errors += _validate_env_name(source[field].get("name", ""), f"{at}.{field}.name")
        if not given:
            errors.append(invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            errors.append(invalid(path, "", "may not have more than one field specified at a time"))
    return errors


_name_or_prefix = names.for_generate_name(names.is_dns1123_subdomain)


def _validate_env_name(name: str, path: str) -> Errors:
    return [invalid(path, name, fault) for fault in _name_or_prefix(name)] if name else [required(path)]


def _validate_resize_policy(container: dict[str, Any], path: str, spec: dict[str, Any]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for at, policy in each(path, container.get("resizePolicy")):
        name, restart = policy.get("resourceName", ""), policy.get("restartPolicy", "")
        if name in seen:
            errors.append(duplicate(at, name))
        seen.add(name)
        errors += one_of(name, RESIZE_RESOURCES, path, needed=True)
        errors += one_of(restart, RESIZE_RESTARTS, path, needed=True)
        if spec.get("restartPolicy") == "Never" and restart != "NotRequired":
            errors.append(invalid(path, restart, "must be 'NotRequired' when `restartPolicy` is 'Never'"))
    return errors
