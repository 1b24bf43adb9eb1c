"""Warnings about pods and pod templates (pkg/api/pod/warnings.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_workers.apimachinery.quantity import parse
from apiserver_workers.apimachinery.validation.field import each, key
from apiserver_workers.apimachinery.validation.names import is_dns1123_label
from apiserver_workers.apimachinery.validation.windows import visit_containers
from apiserver_workers.apimachinery.warnings.addresses import warn_of_ip
from apiserver_workers.apimachinery.warnings.nodes import DEPRECATED_LABELS, warn_of_node_selector_term

Object = dict[str, Any]

REQUIRED, PREFERRED = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in ("required", "preferred"))
BYTE_RESOURCES = ("memory", "ephemeral-storage")
NO_SELECTOR = "a null labelSelector results in matching no pod"
SECCOMP, SECCOMP_CONTAINER = (
    "seccomp.security.alpha.kubernetes.io/pod",
    "container.seccomp.security.alpha.kubernetes.io/",
)
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
USE_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
USE_APP_ARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead'
ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": 'non-functional in v1.16+; use the "priorityClassName" field instead',
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
}
VOLUMES = {
    "photonPersistentDisk": "deprecated in v1.11, non-functional in v1.16+",
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": "deprecated in v1.22, non-functional in v1.25+",
    "storageos": "deprecated in v1.22, non-functional in v1.25+",
    "quobyte": "deprecated in v1.22, non-functional in v1.25+",
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": "deprecated in v1.28, non-functional in v1.31+",
    "rbd": "deprecated in v1.28, non-functional in v1.31+",
}
MAX_COMPARED = 50  # warnings about more of one port would not fit into an answer's head
SHOWN_AS = {"storageos": "storageOS"}


def warn_of_name(obj: Object, what: str) -> list[str]:
    """A name that becomes a host name is best a DNS label."""
    faults = is_dns1123_label(obj["metadata"].get("name", ""))
    text = "which can result in surprising behavior; a DNS label is recommended"
    return [f"metadata.name: this is used in {what}, {text}: [{' '.join(faults)}]"] if faults else []


def warn_of_pod(pod: Object) -> list[str]:
    """WarningsOnCreate of pods."""
    return [*warn_of_name(pod, "the Pod's hostname"), *warn_of_spec(pod, "")]


def warn_of_spec(holder: Object, path: str) -> Iterator[str]:
    """A pod's or template's own warnings; `path` is the template's, empty for a pod."""
    prefix = f"{path}." if path else ""
    spec, at = holder.get("spec") or {}, f"{prefix}spec"
    annotations = (holder.get("metadata") or {}).get("annotations") or {}
    yield from _scheduling(spec, at)
    for name, text in ANNOTATIONS.items():
        if name in annotations:
            yield f"{key(f'{prefix}metadata.annotations', name)}: {text}"
    yield from _volumes(spec, at)
    yield from _duplicates(spec, at)
    yield from _fractions(spec.get("overhead"), f"{at}.overhead")
    if annotations:
        yield from _profiles(spec, annotations, f"{prefix}metadata.annotations", in_template=bool(path))
    for place, container in visit_containers(spec, at):
        yield from _container(container, place)
    yield from _ports(spec, at)
    yield from _rest(spec, at)


def _scheduling(spec: Object, path: str) -> Iterator[str]:
    for name in sorted(spec.get("nodeSelector") or ()):
        if name in DEPRECATED_LABELS:
            yield f"{key(f'{path}.nodeSelector', name)}: {DEPRECATED_LABELS[name]}"
    node = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    place = f"{path}.affinity.nodeAffinity"
    for at, term in each(f"{place}.{REQUIRED}.nodeSelectorTerms", (node.get(REQUIRED) or {}).get("nodeSelectorTerms")):
        yield from warn_of_node_selector_term(term, at)
    for at, term in each(f"{place}.{PREFERRED}", node.get(PREFERRED)):
        yield from warn_of_node_selector_term(term.get("preference") or {}, f"{at}.preference", check_values=True)
    for at, constraint in each(f"{path}.topologySpreadConstraints", spec.get("topologySpreadConstraints")):
        name = constraint.get("topologyKey", "")
        if name in DEPRECATED_LABELS:
            yield f"{at}.topologyKey: {name} is {DEPRECATED_LABELS[name]}"
        if constraint.get("labelSelector") is None:
            yield f"{at}.labelSelector: {NO_SELECTOR}"


def _volumes(spec: Object, path: str) -> Iterator[str]:
    tokens: set[str] = set()
    for at, volume in each(f"{path}.volumes", spec.get("volumes")):
        for name, text in VOLUMES.items():
            if name in volume:
                yield f"{at}.{SHOWN_AS.get(name, name)}: {text}"
        template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
        if template is not None:
            yield from warn_of_claim_spec(template.get("spec") or {}, f"{at}.ephemeral.volumeClaimTemplate.spec")
        for source in (volume.get("projected") or {}).get("sources") or ():
            if (token := source.get("serviceAccountToken")) is not None:
                tokens.add(token.get("path", ""))
    if tokens:
        for at, volume in each(f"{path}.volumes", spec.get("volumes")):
            for source in (volume.get("projected") or {}).get("sources") or ():
                yield from _token_paths(source, f"{at}.projected.sources", tokens)


def _token_paths(source: Object, path: str, tokens: set[str]) -> Iterator[str]:
    text = "has duplicated path with ServiceAccountToken"
    for field, shown in (("configMap", "configMap"), ("secret", "secrets"), ("downwardAPI", "downwardAPI")):
        for at, item in each(f"{path}.{shown}", (source.get(field) or {}).get("items")):
            if item.get("path") in tokens:
                yield f'{at}: {text} "{item["path"]}"'
    bundle = (source.get("clusterTrustBundle") or {}).get("path")
    if bundle in tokens:
        yield f'{path}.ClusterTrustBundle: {text} "{bundle}"'


def _duplicates(spec: Object, path: str) -> Iterator[str]:
    for field, name, what in (("hostAliases", "ip", "ip"), ("imagePullSecrets", "name", "name")):
        seen: set[str] = set()
        for at, item in each(f"{path}.{field}", spec.get(field)):
            value = item.get(name, "")
            if value in seen:
                yield f'{at}.{name}: duplicate {what} "{value}"'
            seen.add(value)
    for at, secret in each(f"{path}.imagePullSecrets", spec.get("imagePullSecrets")):
        if not secret.get("name"):
            yield f'{at}.name: invalid empty name ""'


def _fractions(amounts: Object | None, path: str) -> Iterator[str]:
    for name in BYTE_RESOURCES if amounts else ():
        value = (amounts or {}).get(name)
        if value is not None and parse(value).nano % 10**9:
            yield f'{key(path, name)}: fractional byte value "{value}" is invalid, must be an integer'


def warn_of_claim_spec(spec: Object, path: str) -> Iterator[str]:
    """GetWarningsForPersistentVolumeClaimSpec."""
    for kind in ("requests", "limits"):
        value = ((spec.get("resources") or {}).get(kind) or {}).get("storage")
        if value is not None and parse(value).nano % 10**9:
            at = key(f"{path}.resources.{kind}", "storage")
            yield f'{at}: fractional byte value "{value}" is invalid, must be an integer'


def _profiles(spec: Object, annotations: dict[str, str], path: str, *, in_template: bool) -> Iterator[str]:
    own = spec.get("securityContext") or {}
    if SECCOMP in annotations and own.get("seccompProfile") is None:
        yield f"{key(path, SECCOMP)}: {USE_SECCOMP}"
    for _, container in visit_containers(spec, ""):
        context, name = container.get("securityContext") or {}, container.get("name", "")
        if SECCOMP_CONTAINER + name in annotations and context.get("seccompProfile") is None:
            yield f"{key(path, SECCOMP_CONTAINER + name)}: {USE_SECCOMP}"
        armed = own.get("appArmorProfile") is not None or context.get("appArmorProfile") is not None
        if in_template and not armed and APP_ARMOR + name in annotations:
            yield f"{key(path, APP_ARMOR + name)}: {USE_APP_ARMOR}"


def _container(container: Object, path: str) -> Iterator[str]:
    resources = container.get("resources") or {}
    for name in BYTE_RESOURCES:
        for kind in ("limits", "requests"):
            amounts = resources.get(kind) or {}
            yield from _fractions({name: amounts[name]} if name in amounts else None, f"{path}.resources.{kind}")
    seen: set[str] = set()
    for at, variable in each(f"{path}.env", container.get("env")):
        name = variable.get("name", "")
        reference, value = f"$({name})", variable.get("value", "")
        hides = variable.get("valueFrom") is not None or value == reference or reference not in value
        if name in seen and hides:
            yield f'{at}: hides previous definition of "{name}", which may be dropped when using apply'
        seen.add(name)


def _ports(spec: Object, path: str) -> Iterator[str]:
    """Ports that several containers, or one of them twice, declare; with many alike, only the first are compared to."""
    found: dict[tuple[int, str], list[tuple[str, str, int]]] = {}
    for place, container in visit_containers(spec, path):
        for at, port in each(f"{place}.ports", container.get("ports")):
            address, host = port.get("hostIP") or "", port.get("hostPort") or 0
            if address and not host:
                shown = " ".join(f"{name}:{port.get(field, zero)}" for name, field, zero in PORT_FIELDS)
                yield f"{at}: hostIP set without hostPort: {{{shown}}}"
            others = found.setdefault((port.get("containerPort") or 0, port.get("protocol", "")), [])
            for where, other_address, other_host in others:
                if (address, host) == (other_address, other_host):
                    yield f"{at}: duplicate port definition with {where}"
                elif not host or not other_host or (host == other_host and not (address and other_address)):
                    yield f"{at}: overlapping port definition with {where}"
            if len(others) < MAX_COMPARED:
                others.append((at, address, host))


PORT_FIELDS = (
    ("Name", "name", ""),
    ("HostPort", "hostPort", 0),
    ("ContainerPort", "containerPort", 0),
    ("Protocol", "protocol", ""),
    ("HostIP", "hostIP", ""),
)


def _rest(spec: Object, path: str) -> Iterator[str]:
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        text = "must be >= 0; negative values are invalid and will be treated as 1"
        yield f"{path}.terminationGracePeriodSeconds: {text}"
    affinity = spec.get("affinity") or {}
    for field in ("podAffinity", "podAntiAffinity"):
        rules, place = affinity.get(field) or {}, f"{path}.affinity.{field}"
        for at, term in each(f"{place}.{REQUIRED}", rules.get(REQUIRED)):
            if term.get("labelSelector") is None:
                yield f"{at}.labelSelector: {NO_SELECTOR}"
        for at, term in each(f"{place}.{PREFERRED}", rules.get(PREFERRED)):
            if (term.get("podAffinityTerm") or {}).get("labelSelector") is None:
                yield f"{at}.podAffinityTerm.labelSelector: {NO_SELECTOR}"
    for at, server in each(f"{path}.dnsConfig.nameservers", (spec.get("dnsConfig") or {}).get("nameservers")):
        yield from warn_of_ip(server, at)
    for at, alias in each(f"{path}.hostAliases", spec.get("hostAliases")):
        yield from warn_of_ip(alias.get("ip", ""), f"{at}.ip")


def warn_of_pod_ips(pod: Object) -> list[str]:
    """Of the addresses in a pod's status."""
    status = pod.get("status") or {}
    return [
        warning
        for field in ("podIPs", "hostIPs")
        for at, address in each(f"status.{field}", status.get(field))
        for warning in warn_of_ip(address.get("ip", ""), f"{at}.ip")
    ]
