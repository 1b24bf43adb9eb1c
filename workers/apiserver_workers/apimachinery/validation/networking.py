"""networking.k8s.io (pkg/apis/networking/validation)."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from apiserver_workers.apimachinery.addresses import Network, parse_cidr, parse_ip
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.addresses import (
    canonical_ip_fault,
    validate_canonical_cidr,
    validate_cidr,
    validate_ip,
)
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
    section,
    too_long,
    unchanged,
)
from apiserver_workers.apimachinery.validation.internal import unchanged_internal
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector
from apiserver_workers.apimachinery.validation.services import is_service_name

GROUP = "networking.k8s.io"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
FORBIDDEN_IN_PATH = ("//", "/./", "/../", "%2f", "%2F")
FORBIDDEN_AT_END = ("/..", "/.")
PROTOCOLS = ("TCP", "UDP", "SCTP")
LONGEST_CONTROLLER = 250
PARAMETER_SCOPES = ("Cluster", "Namespace")


# NetworkPolicy


def validate_network_policy(obj: dict[str, Any], old: dict[str, Any] | None = None) -> Errors:
    """A policy, or (with `old`) an update of one: its ranges stay valid, and its selectors if the pods' had faults."""
    spec, before = section(obj, "spec"), section(old or {}, "spec")
    check_values = not validate_label_selector(before.get("podSelector"), "")
    errors = validate_label_selector(spec.get("podSelector"), "spec.podSelector", check_values=check_values)
    held = set(_cidrs(before))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for path, rule in each(f"spec.{direction}", spec.get(direction)):
            for at, port in each(f"{path}.ports", rule.get("ports")):
                errors += _validate_policy_port(port, at)
            for at, peer in each(f"{path}.{peers}", rule.get(peers)):
                errors += _validate_peer(peer, at, held, check_values)
    types = spec.get("policyTypes") or []
    if len(types) > 2:
        return [*errors, invalid("spec.policyTypes", types, "may not specify more than two policyTypes")]
    for at, policy_type in each("spec.policyTypes", types):
        if policy_type not in ("Ingress", "Egress"):
            errors.append(not_supported(at, policy_type, ("Ingress", "Egress")))
    return errors


def _validate_policy_port(port: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in PROTOCOLS:
        errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    if isinstance(number, int):
        errors += [invalid(f"{path}.port", number, fault) for fault in names.is_port_number(number)]
        if end is not None:
            if end < number:
                errors.append(invalid(f"{path}.endPort", number, "must be greater than or equal to `port`"))
            errors += [invalid(f"{path}.endPort", end, fault) for fault in names.is_port_number(end)]
    elif number is not None:
        if end is not None:
            errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is non-numeric"))
        errors += [invalid(f"{path}.port", number, fault) for fault in names.is_port_name(number)]
    elif end is not None:
        errors.append(invalid(f"{path}.endPort", end, "may not be specified when `port` is not specified"))
    return errors


def _cidrs(spec: dict[str, Any]) -> Iterator[str]:
    """Every range of a policy."""
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in spec.get(direction) or ():
            for peer in rule.get(peers) or ():
                block = peer.get("ipBlock") or {}
                yield block.get("cidr", "")
                yield from block.get("except") or ()


def _validate_peer(peer: dict[str, Any], path: str, held: Set[str], check_values: bool) -> Errors:
    errors: Errors = []
    given = [name for name in ("podSelector", "namespaceSelector") if peer.get(name) is not None]
    for name in given:
        errors += validate_label_selector(peer[name], f"{path}.{name}", check_values=check_values)
    block = peer.get("ipBlock")
    if block is not None:
        errors += _validate_ip_block(block, f"{path}.ipBlock", held)
        if given:
            errors.append(forbidden(path, "may not specify both ipBlock and another peer"))
    elif not given:
        errors.append(required(path, "must specify a peer"))
    return errors


def _validate_ip_block(block: dict[str, Any], path: str, held: Set[str]) -> Errors:
    """ValidateIPBlock. Ranges that were anywhere in the stored policy are not judged again."""
    cidr = block.get("cidr")
    if not cidr:
        return [required(f"{path}.cidr")]
    errors = validate_cidr(cidr, f"{path}.cidr", held)
    outer = parse_cidr(cidr)
    if outer is None:
        return errors
    for at, exception in each(f"{path}.except", block.get("except")):
        errors += validate_cidr(exception, at, held)
        inner = parse_cidr(exception)
        if inner is not None and not _is_within(inner.network, outer.network):
            errors.append(invalid(at, exception, "must be a strict subset of `cidr`"))
    return errors


def _is_within(inner: Network, outer: Network) -> bool:
    """Whether a range is a part of another, and not the whole of it."""
    return inner.version == outer.version and inner != outer and inner.subnet_of(outer)  # type: ignore[arg-type]


# Ingress


def validate_ingress(obj: dict[str, Any]) -> Errors:
    spec = section(obj, "spec")
    errors = _validate_ingress_spec(spec)
    annotation = (obj["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    class_name = spec.get("ingressClassName")
    if annotation is not None and class_name is not None and annotation != class_name:
        text = "must match `ingressClassName` when both are specified"
        errors.append(invalid(f"annotations.{CLASS_ANNOTATION}", annotation, text))
    return errors


def _ingress_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    """Names of secrets and rules of wildcard hosts are not looked at where some were stored with faults."""
    spec = section(old, "spec")
    secrets = [name for tls in spec.get("tls") or () if (name := tls.get("secretName"))]
    wildcards = [rule for rule in spec.get("rules") or () if "*" in rule.get("host", "")]
    return _validate_ingress_spec(
        section(new, "spec"),
        check_secrets=not any(map(names.is_dns1123_subdomain, secrets)),
        check_wildcards=not any(_validate_http(rule.get("http"), "") for rule in wildcards),
    )


def _validate_ingress_spec(spec: dict[str, Any], *, check_secrets: bool = True, check_wildcards: bool = True) -> Errors:
    errors: Errors = []
    rules, backend = spec.get("rules"), spec.get("defaultBackend")
    if not rules and backend is None:
        errors.append(invalid("spec", rules, "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        errors += _validate_backend(backend, "spec.defaultBackend")
    for path, rule in each("spec.rules", rules):
        errors += _validate_host(rule.get("host"), f"{path}.host")
        if check_wildcards or "*" not in rule.get("host", ""):
            errors += _validate_http(rule.get("http"), f"{path}.http")
    for path, tls in each("spec.tls", spec.get("tls")):
        for at, host in each(f"{path}.hosts", tls.get("hosts")):
            check = names.is_wildcard_dns1123_subdomain if "*" in host else names.is_dns1123_subdomain
            errors += [invalid(at, host, fault) for fault in check(host)]
        if check_secrets and (secret := tls.get("secretName")):
            errors += [invalid(f"{path}.secretName", secret, f) for f in names.is_dns1123_subdomain(secret)]
    if (class_name := spec.get("ingressClassName")) is not None:
        at = "spec.ingressClassName"
        errors += [invalid(at, class_name, fault) for fault in names.is_dns1123_subdomain(class_name)]
    return errors


def _validate_host(host: str | None, path: str) -> Errors:
    if not host:
        return []
    errors: Errors = []
    if parse_ip(host) is not None:
        errors.append(invalid(path, host, "must be a DNS name, not an IP address"))
    check = names.is_wildcard_dns1123_subdomain if "*" in host else names.is_dns1123_subdomain
    return errors + [invalid(path, host, fault) for fault in check(host)]


def _validate_http(http: dict[str, Any] | None, path: str) -> Errors:
    if http is None:
        return []
    errors: Errors = [] if http.get("paths") else [required(f"{path}.paths")]
    for at, entry in each(f"{path}.paths", http.get("paths")):
        errors += _validate_path(entry, at)
    return errors


def _validate_path(entry: dict[str, Any], path: str) -> Errors:
    kind, value = entry.get("pathType"), entry.get("path", "")
    if kind is None:
        return [required(f"{path}.pathType", "pathType must be specified")]
    if kind not in PATH_TYPES:
        return [not_supported(f"{path}.pathType", kind, PATH_TYPES)] + _validate_backend(
            entry.get("backend") or {}, f"{path}.backend"
        )
    errors: Errors = []
    at = f"{path}.path"
    if kind == "ImplementationSpecific":
        if value and not value.startswith("/"):
            errors.append(invalid(at, value, "must be an absolute path"))
    else:
        if not value.startswith("/"):
            errors.append(invalid(at, value, "must be an absolute path"))
        if value:
            errors += [invalid(at, value, f"must not contain '{bad}'") for bad in FORBIDDEN_IN_PATH if bad in value]
            errors += [
                invalid(at, value, f"cannot end with '{bad}'") for bad in FORBIDDEN_AT_END if value.endswith(bad)
            ]
    return errors + _validate_backend(entry.get("backend") or {}, f"{path}.backend")


def _validate_backend(backend: dict[str, Any], path: str) -> Errors:
    resource, service = backend.get("resource"), backend.get("service")
    if resource is not None and service is not None:
        return [invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return _validate_resource_backend(resource, f"{path}.resource")
    if service is None:
        return [invalid(path, "", "resource or service backend is required")]
    errors: Errors = []
    if not (name := service.get("name")):
        errors.append(required(f"{path}.service.name"))
    else:
        errors += [invalid(f"{path}.service.name", name, fault) for fault in is_service_name(name)]
    port = service.get("port") or {}
    port_name, number = port.get("name"), port.get("number")
    if port_name and number:
        errors.append(invalid(path, "", "cannot set both port name & port number"))
    elif port_name:
        at = f"{path}.service.port.name"
        errors += [invalid(at, port_name, fault) for fault in names.is_port_name(port_name)]
    elif number:
        at = f"{path}.service.port.number"
        errors += [invalid(at, number, fault) for fault in names.is_port_number(number)]
    else:
        errors.append(required(path, "port name or number is required"))
    return errors


def _validate_resource_backend(resource: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    if (group := resource.get("apiGroup")) is not None:
        errors += [invalid(f"{path}.apiGroup", group, fault) for fault in names.is_dns1123_subdomain(group)]
    for field in ("kind", "name"):
        value = resource.get(field)
        if not value:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += [invalid(f"{path}.{field}", value, fault) for fault in names.is_path_segment(value)]
    return errors


def validate_ingress_status(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    errors: Errors = []
    held = [entry.get("ip") for entry in section(old, "status", "loadBalancer").get("ingress") or ()]
    for path, entry in each("status.loadBalancer.ingress", section(new, "status", "loadBalancer").get("ingress")):
        if address := entry.get("ip"):
            errors += validate_ip(address, f"{path}.ip", held)
        if host := entry.get("hostname"):
            errors += [invalid(f"{path}.hostname", host, fault) for fault in names.is_dns1123_subdomain(host)]
            if parse_ip(host) is not None:
                errors.append(invalid(f"{path}.hostname", host, "must be a DNS name, not an IP address"))
    return errors


# IngressClass


def validate_ingress_class(obj: dict[str, Any]) -> Errors:
    spec = section(obj, "spec")
    path, controller = "spec.controller", spec.get("controller", "")
    errors: Errors = [too_long(path, LONGEST_CONTROLLER)] if names.byte_length(controller) > LONGEST_CONTROLLER else []
    errors += validate_domain_prefixed_path(controller, path)
    return errors + _validate_parameters(spec.get("parameters"), "spec.parameters")


def validate_domain_prefixed_path(value: str, path: str) -> Errors:
    """IsDomainPrefixedPath."""
    domain, slash, rest = value.partition("/")
    if not value:
        return [required(path)]
    if not slash or not domain or not rest:
        return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [invalid(path, domain, fault) for fault in names.is_dns1123_subdomain(domain)]
    return errors + [invalid(path, rest, fault) for fault in names.is_http_path(rest)]


def _validate_parameters(parameters: dict[str, Any] | None, path: str) -> Errors:
    if parameters is None:
        return []
    errors = _validate_resource_backend(parameters, path)
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        return [*errors, required(f"{path}.scope")]
    if scope not in PARAMETER_SCOPES:
        return [*errors, not_supported(f"{path}.scope", scope, PARAMETER_SCOPES)]
    if scope == "Cluster" and namespace is not None:
        errors.append(forbidden(f"{path}.namespace", "`parameters.scope` is set to 'Cluster'"))
    if scope == "Namespace":
        if namespace is None:
            errors.append(required(f"{path}.namespace", "`parameters.scope` is set to 'Namespace'"))
        else:
            errors += [invalid(f"{path}.namespace", namespace, fault) for fault in names.is_dns1123_label(namespace)]
    return errors


def _ingress_class_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    controller = section(new, "spec").get("controller", ""), section(old, "spec").get("controller", "")
    return unchanged(*controller, "spec.controller")


# IPAddress, ServiceCIDR


def canonical_ip_name(name: str) -> list[str]:
    """An IPAddress is named by its address in canonical form."""
    fault = canonical_ip_fault(name)
    return [fault] if fault else []


def validate_ip_address(obj: dict[str, Any]) -> Errors:
    path, parent = "spec.parentRef", section(obj, "spec").get("parentRef")
    if parent is None:
        return [required(path)]
    errors: Errors = []
    for field in ("group", "resource", "name", "namespace"):
        value = parent.get(field)
        if value:
            check = names.is_dns1123_subdomain if field == "group" else names.is_path_segment
            errors += [invalid(f"{path}.{field}", value, fault) for fault in check(value)]
        elif field in ("resource", "name"):
            errors.append(required(f"{path}.{field}"))
    return errors


def _ip_address_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    parent = section(new, "spec").get("parentRef"), section(old, "spec").get("parentRef")
    return unchanged_internal(*parent, "spec.parentRef", "io.k8s.api.networking.v1.ParentReference")


def validate_service_cidr(obj: dict[str, Any]) -> Errors:
    cidrs, path = section(obj, "spec").get("cidrs") or [], "spec.cidrs"
    if not cidrs:
        return [required(path, "at least one CIDR required")]
    if len(cidrs) > 2:
        return [invalid(path, {"CIDRs": cidrs}, "may only hold up to 2 values")]
    errors = [error for at, cidr in each(path, cidrs) for error in validate_canonical_cidr(cidr, at)]
    families = [found.network.version for found in map(parse_cidr, cidrs) if found]
    if len(families) == 2 and families[0] == families[1]:
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(invalid(path, cidrs, text))
    return errors


def _service_cidr_update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
    """The ranges stay; a second one may be added, which makes the range a dual-stack one."""
    now, before, path = section(new, "spec").get("cidrs") or [], section(old, "spec").get("cidrs") or [], "spec.cidrs"
    if len(now) != len(before) and (len(before), len(now)) != (1, 2):
        return unchanged(now, before, path)
    errors = [error for i, (a, b) in enumerate(zip(now, before)) for error in unchanged(a, b, f"{path}[{i}]")]  # noqa: B905
    return errors if len(now) == len(before) else errors + validate_service_cidr(new)


KINDS = {
    (GROUP, "NetworkPolicy"): KindValidation(create=validate_network_policy, updates={"": validate_network_policy}),
    (GROUP, "Ingress"): KindValidation(
        metadata="UM*",
        create=validate_ingress,
        updates={
            "": _ingress_update,
            "status": validate_ingress_status,
        },
    ),
    (GROUP, "IngressClass"): KindValidation(
        metadata="U*MC", create=validate_ingress_class, updates={"": _ingress_class_update}
    ),
    (GROUP, "IPAddress"): KindValidation(
        name=canonical_ip_name, metadata="MCU*", create=validate_ip_address, updates={"": _ip_address_update}
    ),
    (GROUP, "ServiceCIDR"): KindValidation(create=validate_service_cidr, updates={"": _service_cidr_update}),
}
