"""Pod specs and templates, wherever they stand (pkg/apis/core/validation ValidatePodSpec, ValidatePodTemplateSpec).

The order of the checks is upstream's, because the order of causes is what clients see.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.addresses import validate_ip
from apiserver_workers.apimachinery.validation.containers import (
    validate_containers,
    validate_ephemeral_containers,
    validate_init_containers,
)
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
    too_long,
)
from apiserver_workers.apimachinery.validation.internal import invalid_internal
from apiserver_workers.apimachinery.validation.meta import validate_annotations, validate_labels
from apiserver_workers.apimachinery.validation.pod_annotations import validate_pod_annotations, validate_profiles_match
from apiserver_workers.apimachinery.validation.resource_lists import validate_overhead, validate_pod_resources
from apiserver_workers.apimachinery.validation.scheduling import (
    validate_affinity,
    validate_tolerations,
    validate_topology_spread,
)
from apiserver_workers.apimachinery.validation.security import validate_pod_security_context
from apiserver_workers.apimachinery.validation.volumes import validate_volumes
from apiserver_workers.apimachinery.validation.windows import validate_host_process, visit_containers

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
MAX_INT32 = 2**31 - 1
MAX_HOSTNAME = 64
NO_HOST_USERS = "when `hostUsers` is false"
CLAIM = "io.k8s.api.core.v1.PodResourceClaim"
CONTAINER_KINDS = ("initContainers", "containers", "ephemeralContainers")


def validate_pod_template(template: dict[str, Any], path: str) -> Errors:
    """ValidatePodTemplateSpec: labels and annotations of the template, then its pod spec."""
    meta = template.get("metadata") or {}
    errors = validate_labels(meta.get("labels"), f"{path}.labels")
    annotations, spec = meta.get("annotations"), template.get("spec") or {}
    errors += validate_annotations(annotations, f"{path}.annotations")
    if annotations:
        errors += validate_pod_annotations(annotations, spec, f"{path}.annotations")
    errors += validate_pod_spec(spec, f"{path}.spec")
    if annotations:
        errors += validate_profiles_match(template, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        errors.append(forbidden(f"{path}.spec.ephemeralContainers", "ephemeral containers not allowed in pod template"))
    return errors


def validate_pod_spec(spec: dict[str, Any], path: str, *, pod_name: str | None = None) -> Errors:
    """All faults of a pod spec that are visible in it alone; `pod_name` is a real pod's, None in a template."""
    errors, volumes = validate_volumes(spec.get("volumes"), f"{path}.volumes", pod_name=pod_name or "")
    claims, faults = _validate_resource_claims(spec.get("resourceClaims"), f"{path}.resourceClaims")
    errors += faults
    errors += validate_containers(spec, f"{path}.containers", volumes=volumes, claims=claims)
    if spec.get("initContainers"):
        errors += validate_init_containers(spec, f"{path}.initContainers", volumes=volumes, claims=claims)
    if spec.get("ephemeralContainers"):
        errors += validate_ephemeral_containers(spec, f"{path}.ephemeralContainers", volumes=volumes)
    if spec.get("resources"):
        errors += validate_pod_resources(spec, f"{path}.resources", claims=claims)
    if spec.get("hostNetwork"):
        errors += _validate_host_network(spec, f"{path}.containers", in_pod=pod_name is not None)
    errors += one_of(spec.get("restartPolicy"), RESTART_POLICIES, f"{path}.restartPolicy", needed=True)
    errors += one_of(spec.get("dnsPolicy"), DNS_POLICIES, f"{path}.dnsPolicy", needed=True)
    if selector := spec.get("nodeSelector"):
        errors += validate_labels(selector, f"{path}.nodeSelector")
    errors += validate_pod_security_context(spec, path)
    for at, reference in each(f"{path}.imagePullSecrets", spec.get("imagePullSecrets")):
        if list(reference) != ["name"] and reference.get("name"):
            errors.append(invalid(at, reference, "only name may be set"))
    if affinity := spec.get("affinity"):
        errors += validate_affinity(affinity, f"{path}.affinity")
    errors += _validate_dns_config(spec, f"{path}.dnsConfig")
    return errors + _validate_rest(spec, path)


def _validate_host_network(spec: dict[str, Any], path: str, *, in_pod: bool) -> Errors:
    """On the host's network a port is the host's; a template may leave that open."""
    text = "must match `containerPort` when `hostNetwork` is true"
    return [
        invalid(f"{at}.hostPort", port.get("hostPort") or 0, text)
        for place, container in each(path, spec.get("containers"))
        for at, port in each(f"{place}.ports", container.get("ports"))
        if (in_pod or port.get("hostPort")) and (port.get("hostPort") or 0) != (port.get("containerPort") or 0)
    ]


def _validate_rest(spec: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    for at, gate in each(f"{path}.readinessGates", spec.get("readinessGates")):
        condition = gate.get("conditionType", "")
        errors += [invalid(f"{at}.conditionType", condition, fault) for fault in names.is_qualified_name(condition)]
    errors += _validate_scheduling_gates(spec.get("schedulingGates"), f"{path}.schedulingGates")
    errors += validate_topology_spread(spec.get("topologySpreadConstraints"), f"{path}.topologySpreadConstraints")
    errors += validate_host_process(spec, path) + _validate_host_users(spec, path)
    if (override := spec.get("hostnameOverride")) is not None:
        errors += _validate_hostname_override(override, spec, f"{path}.hostnameOverride")
    for field, check in NAMES:
        if value := spec.get(field):
            errors += [invalid(f"{path}.{field}", value, fault) for fault in check(value)]
        if field == "nodeName" and (deadline := spec.get("activeDeadlineSeconds")) is not None:
            if not 1 <= deadline <= MAX_INT32:
                text = f"must be between 1 and {MAX_INT32}, inclusive"
                errors.append(invalid(f"{path}.activeDeadlineSeconds", deadline, text))
    errors += validate_tolerations(spec.get("tolerations"), f"{path}.tolerations")
    errors += _validate_host_aliases(spec.get("hostAliases"), f"{path}.hostAliases")
    for field in ("priorityClassName", "runtimeClassName"):
        value = spec.get(field)
        if value or (value is not None and field == "runtimeClassName"):
            errors += [invalid(f"{path}.{field}", value, fault) for fault in names.is_dns1123_subdomain(value)]
    if (preemption := spec.get("preemptionPolicy")) is not None:
        choices = ("PreemptLowerPriority", "Never")
        errors += one_of(preemption, choices, f"{path}.preemptionPolicy", needed=True)
    if overhead := spec.get("overhead"):
        errors += validate_overhead(overhead, f"{path}.overhead")
    errors += _validate_os(spec, path)
    if (group := spec.get("schedulingGroup")) is not None:
        errors += _validate_scheduling_group(group.get("podGroupName"), f"{path}.schedulingGroup.podGroupName")
    return errors + _validate_file_references(spec, path)


def _validate_host_users(spec: dict[str, Any], path: str) -> Errors:
    """A user namespace of the pod's own does not go with other namespaces of the host."""
    if spec.get("hostUsers") is not False:
        return []
    fields = [("hostPID", "HostPID"), ("hostIPC", "HostIPC")]
    if not feature_gates.enabled("UserNamespacesHostNetworkSupport"):
        fields.insert(0, ("hostNetwork", "hostNetwork"))
    errors = [forbidden(f"{path}.{blamed}", NO_HOST_USERS) for field, blamed in fields if spec.get(field)]
    return errors + [
        forbidden(f"{at}.volumeDevices", NO_HOST_USERS)
        for at, container in visit_containers(spec, path)
        if container.get("volumeDevices")
    ]


def _validate_hostname_override(name: str, spec: dict[str, Any], path: str) -> Errors:
    """validatePodHostName."""
    errors = [
        forbidden(path, f"may not be specified when {field} is true")
        for field in ("setHostnameAsFQDN", "hostNetwork")
        if spec.get(field)
    ]
    if len(name.encode()) > MAX_HOSTNAME:
        errors.append(too_long(path, MAX_HOSTNAME))
    return errors + [invalid(path, name, fault) for fault in names.is_dns1123_subdomain(name)]


def _validate_scheduling_group(name: str | None, path: str) -> Errors:
    if name is None:
        return [invalid(path, name, "must specify one of: `podGroupName`")]
    return [invalid(path, name, fault) for fault in names.is_dns1123_subdomain(name)]


def _validate_file_references(spec: dict[str, Any], path: str) -> Errors:
    """validateFileKeyRefVolumes: files with values of variables lie in emptyDir volumes."""
    volumes = {volume.get("name", ""): volume for volume in spec.get("volumes") or ()}
    errors: Errors = []
    for at, container in visit_containers(spec, path):
        for place, variable in each(f"{at}.env", container.get("env")):
            reference = (variable.get("valueFrom") or {}).get("fileKeyRef")
            if reference is None:
                continue
            name, blamed = reference.get("volumeName", ""), f"{place}.valueFrom.fileKeyRef.volumeName"
            if name not in volumes:
                errors.append(not_found(blamed, name))
            elif volumes[name].get("emptyDir") is None:
                errors.append(invalid(blamed, name, "referenced volume must be of type emptyDir"))
    return errors


# Names in a pod spec and their rules, in the order in which they are checked.
NAMES: tuple[tuple[str, names.Checker], ...] = (
    ("serviceAccountName", names.is_dns1123_subdomain),
    ("nodeName", names.is_dns1123_subdomain),
    ("hostname", names.is_dns1123_label),
    ("subdomain", names.is_dns1123_label),
)


def _validate_resource_claims(claims: list[dict[str, Any]] | None, path: str) -> tuple[frozenset[str], Errors]:
    errors: Errors = []
    seen: set[str] = set()
    for at, claim in each(path, claims):
        name = claim.get("name", "")
        if not name:
            errors.append(required(f"{at}.name"))
        elif name in seen:
            errors.append(duplicate(f"{at}.name", name))
        else:
            errors += [invalid(f"{at}.name", name, fault) for fault in names.is_dns1123_label(name)]
        seen.add(name)
        errors += _validate_claim_source(claim, at)
    return frozenset(seen), errors


def _validate_claim_source(claim: dict[str, Any], path: str) -> Errors:
    sources = [field for field in ("resourceClaimName", "resourceClaimTemplateName") if claim.get(field) is not None]
    errors: Errors = []
    if len(sources) == 2:
        text = "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified"
        errors.append(invalid_internal(path, CLAIM, claim, text))
    elif not sources:
        text = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`"
        errors.append(invalid_internal(path, CLAIM, claim, text))
    return errors + [
        invalid(f"{path}.{field}", claim[field], fault)
        for field in sources
        for fault in names.is_dns1123_subdomain(claim[field])
    ]


def _validate_dns_config(spec: dict[str, Any], path: str) -> Errors:
    config = spec.get("dnsConfig")
    errors: Errors = []
    servers = (config or {}).get("nameservers") or []
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not servers:
            text = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [required(f"{path}.nameservers", text)]
    if config is None:
        return errors
    if len(servers) > 3:
        errors.append(invalid(f"{path}.nameservers", servers, "must not have more than 3 nameservers"))
    for at, server in each(f"{path}.nameservers", servers):
        errors += validate_ip(server, at)
    searches = config.get("searches") or []
    if len(searches) > 32:
        errors.append(invalid(f"{path}.searches", searches, "must not have more than 32 search paths"))
    if len(" ".join(searches)) > 2048:
        text = "must not have more than 2048 characters (including spaces) in the search list"
        errors.append(invalid(f"{path}.searches", searches, text))
    for at, search in each(f"{path}.searches", searches):
        if search != ".":
            bare = search.removesuffix(".")
            errors += [invalid(at, bare, fault) for fault in names.is_search_domain(bare)]
    for at, option in each(f"{path}.options", config.get("options")):
        if not option.get("name"):
            errors.append(required(at, "must not be empty"))
    return errors


def _validate_scheduling_gates(gates: list[dict[str, Any]] | None, path: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for at, gate in each(path, gates):
        name = gate.get("name", "")
        errors += [invalid(at, name, fault) for fault in names.is_qualified_name(name)]
        if name in seen:
            errors.append(duplicate(at, name))
        seen.add(name)
    return errors


def _validate_host_aliases(aliases: list[dict[str, Any]] | None, path: str) -> Errors:
    errors: Errors = []
    for at, alias in each(path, aliases):
        address = alias.get("ip", "")
        errors += validate_ip(address, f"{at}.ip")
        for host_path, host in each(f"{at}.hostnames", alias.get("hostnames")):
            errors += [invalid(host_path, host, fault) for fault in names.is_dns1123_subdomain(host)]
    return errors


def _validate_os(spec: dict[str, Any], path: str) -> Errors:
    system = spec.get("os")
    if system is None:
        return []
    name = system.get("name", "")
    if not name:
        return [required(f"{path}.os.name", "cannot be empty")]
    if name not in ("linux", "windows"):
        return [not_supported(f"{path}.os", name, ("linux", "windows"))]
    if name == "windows":
        return _forbid(spec, WINDOWS_FORBIDS, path, "cannot be set for a windows pod")
    return _forbid(spec, LINUX_FORBIDS, path, "windows options cannot be set for a linux pod")


def _forbid(spec: dict[str, Any], fields: tuple[tuple[str, ...], ...], path: str, text: str) -> Errors:
    errors: Errors = []
    for steps in fields:
        for at, holder in _holders(spec, steps[:-1], path):
            value = holder.get(steps[-1])
            if value is not None and not (value is False and steps[-1] in PLAIN_FLAGS):
                errors.append(forbidden(f"{at}.{steps[-1]}", text))
    return errors


def _holders(node: dict[str, Any], steps: tuple[str, ...], path: str) -> list[tuple[str, dict[str, Any]]]:
    """The structs at `steps` below `node`; a list's elements are each one."""
    found = [(path, node)]
    for step in steps:
        inner: list[tuple[str, dict[str, Any]]] = []
        for at, holder in found:
            child = holder.get(step)
            if isinstance(child, list):
                inner += list(each(f"{at}.{step}", child))
            elif child:
                inner.append((f"{at}.{step}", child))
        found = inner
    return found


# Flags of which Go cannot tell false from absent.
PLAIN_FLAGS = ("hostPID", "hostIPC")
LINUX_FORBIDS: tuple[tuple[str, ...], ...] = (
    ("securityContext", "windowsOptions"),
    ("initContainers", "securityContext", "windowsOptions"),
    ("containers", "securityContext", "windowsOptions"),
    ("ephemeralContainers", "securityContext", "windowsOptions"),
)
_CONTAINER_LINUX_ONLY = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)
WINDOWS_FORBIDS: tuple[tuple[str, ...], ...] = (
    ("securityContext", "appArmorProfile"),
    ("securityContext", "seLinuxOptions"),
    ("hostUsers",),
    ("hostPID",),
    ("hostIPC",),
    ("securityContext", "seccompProfile"),
    ("securityContext", "fsGroup"),
    ("securityContext", "fsGroupChangePolicy"),
    ("securityContext", "sysctls"),
    ("shareProcessNamespace",),
    ("securityContext", "runAsUser"),
    ("securityContext", "runAsGroup"),
    ("securityContext", "supplementalGroups"),
    ("securityContext", "supplementalGroupsPolicy"),
    ("securityContext", "seLinuxChangePolicy"),
    *((kind, "securityContext", field) for kind in CONTAINER_KINDS for field in _CONTAINER_LINUX_ONLY),
)
