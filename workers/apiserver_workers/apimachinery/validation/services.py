"""Services (pkg/apis/core/validation ValidateService)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.addresses import parse_ip
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.addresses import (
    family_of,
    validate_cidr,
    validate_endpoint_ip,
    validate_ip,
)
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    key,
    not_supported,
    one_of,
    repeated,
    required,
    section,
)
from apiserver_workers.apimachinery.validation.meta import validate_labels
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
AFFINITIES = ("ClientIP", "None")
TRAFFIC_POLICIES = ("Cluster", "Local")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
MAX_AFFINITY_SECONDS = 86400
TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
TOPOLOGY_HINTS = "service.kubernetes.io/topology-aware-hints"
SOURCE_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"


def validate_service(service: Object, old: Object | None = None) -> Errors:
    """ValidateService, after cluster IPs and node ports were allocated."""
    spec = section(service, "spec")
    kind = spec.get("type", "")
    annotations = service["metadata"].get("annotations") or {}
    errors = _validate_topology(annotations) + _validate_ports_present(spec, kind)
    errors += _validate_by_type(spec, kind)
    all_named = len(spec.get("ports") or ()) > 1
    seen_names: set[str] = set()
    for at, port in each("spec.ports", spec.get("ports")):
        errors += _validate_port(port, at, all_named, seen_names)
    if selector := spec.get("selector"):
        errors += validate_labels(selector, "spec.selector")
    errors += _validate_affinity(spec)
    held = section(old or {}, "spec")
    errors += validate_cluster_ips(spec, kind, held)
    errors += _validate_external_ips(spec, held)
    errors += one_of(kind, TYPES, "spec.type", needed=True)
    errors += _validate_node_ports(spec, kind)
    errors += _validate_port_uniqueness(spec)
    errors += _validate_source_ranges(service, kind, old)
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        text = "may only be used when `type` is 'LoadBalancer'"
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", text))
    errors += _validate_load_balancer_class(spec, kind)
    errors += _validate_traffic_policies(spec, kind)
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.append(not_supported("spec.trafficDistribution", distribution, DISTRIBUTIONS))
    return errors


def _validate_topology(annotations: dict[str, str]) -> Errors:
    """The two names of one annotation say the same."""
    mode, hints = annotations.get(TOPOLOGY_MODE), annotations.get(TOPOLOGY_HINTS)
    if mode is None or hints is None or mode == hints:
        return []
    text = f"must match annotations[{TOPOLOGY_HINTS}] when both are specified"
    return [invalid(key("metadata.annotations", TOPOLOGY_MODE), mode, text)]


def _validate_ports_present(spec: Object, kind: str) -> Errors:
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and kind != "ExternalName":
        return [required("spec.ports")]
    return []


def _validate_by_type(spec: Object, kind: str) -> Errors:
    errors: Errors = []
    if kind == "LoadBalancer":
        if spec.get("clusterIP") == "None":
            text = "may not be set to 'None' for LoadBalancer services"
            errors.append(invalid("spec.clusterIPs[0]", "None", text))
    elif kind == "NodePort" and spec.get("clusterIP") == "None":
        errors.append(invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for NodePort services"))
    elif kind == "ExternalName":
        if spec.get("clusterIPs"):
            errors.append(forbidden("spec.clusterIPs", "may not be set for ExternalName services"))
        for field in ("ipFamilies", "ipFamilyPolicy"):
            if spec.get(field):
                errors.append(forbidden(f"spec.{field}", "may not be set for ExternalName services"))
        name = spec.get("externalName", "").removesuffix(".")
        if not name:
            errors.append(required("spec.externalName"))
        else:
            errors += [invalid("spec.externalName", name, fault) for fault in names.is_dns1123_subdomain(name)]
    return errors


def _validate_port(port: Object, path: str, name_needed: bool, seen: set[str]) -> Errors:
    errors: Errors = []
    name, number, protocol = port.get("name", ""), port.get("port") or 0, port.get("protocol", "")
    if name_needed and not name:
        errors.append(required(f"{path}.name"))
    elif name:
        errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_label(name)]
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    errors += [invalid(f"{path}.port", number, fault) for fault in names.is_port_number(number)]
    errors += one_of(protocol, PROTOCOLS, f"{path}.protocol", needed=True)
    target = port.get("targetPort")
    if isinstance(target, str):
        errors += [invalid(f"{path}.targetPort", target, fault) for fault in names.is_port_name(target)]
    else:
        errors += [invalid(f"{path}.targetPort", target or 0, fault) for fault in names.is_port_number(target)]
    if (protocol_name := port.get("appProtocol")) is not None:
        at = f"{path}.appProtocol"
        errors += [invalid(at, protocol_name, fault) for fault in names.is_qualified_name(protocol_name)]
    return errors


def _validate_affinity(spec: Object) -> Errors:
    affinity, config, path = (
        spec.get("sessionAffinity", ""),
        spec.get("sessionAffinityConfig"),
        "spec.sessionAffinityConfig",
    )
    errors = one_of(affinity, AFFINITIES, "spec.sessionAffinity", needed=True)
    if affinity == "None" and config is not None:
        errors.append(forbidden(path, "must not be set when session affinity is None"))
    if affinity != "ClientIP":
        return errors
    for field, holder in (("", config), (".clientIP", (config or {}).get("clientIP"))):
        if holder is None:
            return [*errors, required(path + field, "when session affinity type is ClientIP")]
    seconds, at = (
        section(spec, "sessionAffinityConfig", "clientIP").get("timeoutSeconds"),
        f"{path}.clientIP.timeoutSeconds",
    )
    if seconds is None:
        errors.append(required(at, "when session affinity type is ClientIP"))
    elif not 0 < seconds <= MAX_AFFINITY_SECONDS:
        errors.append(invalid(at, seconds, f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"))
    return errors


def validate_cluster_ips(spec: Object, kind: str, old: Object) -> Errors:
    """ValidateServiceClusterIPsRelatedFields."""
    if kind == "ExternalName":
        return []
    families, ips, policy = spec.get("ipFamilies") or [], spec.get("clusterIPs") or [], spec.get("ipFamilyPolicy")
    path, first = "spec.clusterIPs", spec.get("clusterIP") or ""
    errors: Errors = []
    if first and not ips:
        errors.append(required(path))
    elif first and ips[0] != first:
        errors.append(invalid(path, ips, "first value must match `clusterIP`"))
    elif ips and not first:
        errors.append(invalid(path, ips, "must be empty when `clusterIP` is not specified"))
    again = repeated(families)
    for index, (at, family) in enumerate(each("spec.ipFamilies", families)):
        if family not in FAMILIES:
            errors.append(not_supported(at, family, FAMILIES))
        if index in again:
            errors.append(duplicate(at, family))
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(not_supported("spec.ipFamilyPolicy", policy, FAMILY_POLICIES))
    headless = ips[:1] == ["None"]
    bad = headless and len(ips) > 1
    if bad:
        errors.append(invalid(path, ips, "'None' must be the first and only value"))
    for index, (at, address) in enumerate(each(path, ips)):
        if index or not headless:
            faults = validate_ip(address, at, old.get("clusterIPs") or ())
            bad = bad or bool(faults)
            errors += faults
    if len(ips) > 2:
        errors.append(invalid(path, ips, "may only hold up to 2 values"))
    return errors if bad or headless else errors + _validate_families(ips, families, path)


def _validate_families(ips: list[str], families: list[str], path: str) -> Errors:
    """One address for each family, in the order that the families are listed in."""
    errors: Errors = []
    found = [family_of(address) for address in ips]
    if len(ips) > 1 and len(set(found)) < 2:
        errors.append(invalid(path, ips, "may specify no more than one IP for each IP family"))
    for index, (address, family) in enumerate(zip(ips, families, strict=False)):
        if family in FAMILIES and family != found[index]:
            text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            errors.append(invalid(f"{path}[{index}]", address, text))
    return errors


def _validate_external_ips(spec: Object, old: Object) -> Errors:
    errors: Errors = []
    held = old.get("externalIPs") or ()
    for at, address in each("spec.externalIPs", spec.get("externalIPs")):
        errors += validate_ip(address, at, held) or validate_endpoint_ip(address, at)
    return errors


def _validate_port_uniqueness(spec: Object) -> Errors:
    errors: Errors = []
    seen: set[tuple[str, int]] = set()
    for at, port in each("spec.ports", spec.get("ports")):
        pair = port.get("protocol", ""), port.get("port") or 0
        if pair in seen:
            shown = {
                "Name": "",
                "Protocol": pair[0],
                "AppProtocol": None,
                "Port": pair[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            errors.append(duplicate(at, shown))
        seen.add(pair)
    return errors


def _validate_node_ports(spec: Object, kind: str) -> Errors:
    errors: Errors = []
    seen: set[tuple[str, int]] = set()
    if kind == "ClusterIP":
        text = "may not be used when `type` is 'ClusterIP'"
        ports = each("spec.ports", spec.get("ports"))
        errors += [forbidden(f"{at}.nodePort", text) for at, port in ports if port.get("nodePort")]
    for at, port in each("spec.ports", spec.get("ports")):
        number = port.get("nodePort") or 0
        if not number:
            continue
        pair = port.get("protocol", ""), number
        if pair in seen:
            errors.append(duplicate(f"{at}.nodePort", number))
        seen.add(pair)
    return errors


def _validate_source_ranges(service: Object, kind: str, old: Object | None) -> Errors:
    errors: Errors = []
    spec = section(service, "spec")
    held = [entry.strip() for entry in section(old or {}, "spec").get("loadBalancerSourceRanges") or ()]
    ranges, path = spec.get("loadBalancerSourceRanges") or [], "spec.LoadBalancerSourceRanges"
    annotation = _source_ranges_annotation(service)
    if ranges and kind != "LoadBalancer":
        errors.append(forbidden(path, "may only be used when `type` is 'LoadBalancer'"))
    for at, entry in each(path, ranges):
        errors += validate_cidr(entry.strip(), at, held)
    if not ranges and annotation is not None:
        at = f"metadata.annotations[{SOURCE_RANGES_ANNOTATION}]"
        if kind != "LoadBalancer":
            errors.append(forbidden(at, "may only be used when `type` is 'LoadBalancer'"))
        if annotation.strip() and (old is None or _source_ranges_annotation(old) != annotation):
            errors += [fault for entry in annotation.strip().split(",") for fault in validate_cidr(entry.strip(), at)]
    return errors


def _source_ranges_annotation(service: Object) -> str | None:
    found: str | None = (service["metadata"].get("annotations") or {}).get(SOURCE_RANGES_ANNOTATION)
    return found


def _validate_load_balancer_class(spec: Object, kind: str) -> Errors:
    name, path = spec.get("loadBalancerClass"), "spec.loadBalancerClass"
    if name is None:
        return []
    if kind != "LoadBalancer":
        return [forbidden(path, "may only be used when `type` is 'LoadBalancer'")]
    return [invalid(path, name, fault) for fault in names.is_qualified_name(name)]


def _validate_traffic_policies(spec: Object, kind: str) -> Errors:
    errors: Errors = []
    external, internal = spec.get("externalTrafficPolicy"), spec.get("internalTrafficPolicy")
    externally = kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))
    if external and not externally:
        text = "may only be set for externally-accessible services"
        errors.append(invalid("spec.externalTrafficPolicy", external, text))
    elif externally:
        errors += one_of(external, TRAFFIC_POLICIES, "spec.externalTrafficPolicy", needed=True)
    check_port = spec.get("healthCheckNodePort") or 0
    if check_port and not (kind == "LoadBalancer" and external == "Local"):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        errors.append(invalid("spec.healthCheckNodePort", check_port, text))
    if internal is not None or kind in ("ClusterIP", "NodePort", "LoadBalancer"):
        errors += one_of(internal, TRAFFIC_POLICIES, "spec.internalTrafficPolicy", needed=True)
    return errors


def _service_update(new: Object, old: Object) -> Errors:
    spec, was = section(new, "spec"), section(old, "spec")
    errors: Errors = []
    if "ExternalName" not in (spec.get("type"), was.get("type")):
        errors += _validate_primary(spec, was, "clusterIPs") if not _both_headless(spec, was) else []
        if not _headless(spec) and not _headless(was):
            errors += _validate_primary(spec, was, "ipFamilies")
    if was.get("type") == "LoadBalancer" and spec.get("type") == "LoadBalancer":
        name, held = spec.get("loadBalancerClass"), was.get("loadBalancerClass")
        if name != held:
            errors.append(invalid("spec.loadBalancerClass", name, "may not change once set"))
    if needs_health_check(spec) and needs_health_check(was):
        if spec.get("healthCheckNodePort") != was.get("healthCheckNodePort"):
            errors.append(forbidden("spec.healthCheckNodePort", "field is immutable"))
    return errors + validate_service(new, old)


def needs_health_check(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _headless(spec: Object) -> bool:
    return bool(spec.get("clusterIPs") == ["None"])


def _both_headless(spec: Object, was: Object) -> bool:
    return _headless(spec) and _headless(was)


def _validate_primary(spec: Object, was: Object, field: str) -> Errors:
    """validateUpgradeDowngradeClusterIPs and -IPFamilies: a second one may come and go, the first stays."""
    now, before, ips = spec.get(field) or [], was.get(field) or [], spec.get("clusterIPs") or []
    first, what = f"spec.{field}[0]", "clusterIP" if field == "clusterIPs" else "ipFamily"
    changed = "may not change once set"
    if len(now) == len(before):
        return [
            invalid(f"spec.{field}[{index}]" if field == "clusterIPs" else first, now, changed)
            for index, value in enumerate(before)
            if value != now[index]
        ]
    shown = now if len(now) < len(before) and field == "clusterIPs" else ips
    errors: Errors = []
    if len(now) < len(before) and not ips:
        errors.append(invalid(first, now, f"primary {what} can not be unset"))
    if now and before and now[0] != before[0]:
        errors.append(invalid(first, shown, changed))
    if len(now) < len(before) and len(now) == 1 and spec.get("ipFamilyPolicy") != "SingleStack":
        text = f"must be set to 'SingleStack' when releasing the secondary {what}"
        errors.append(invalid("spec.ipFamilyPolicy", spec.get("ipFamilyPolicy"), text))
    return errors


def _service_status(new: Object, old: Object) -> Errors:
    errors: Errors = []
    ingress = section(new, "status", "loadBalancer").get("ingress")
    path = "status.loadBalancer.ingress"
    if ingress and section(new, "spec").get("type") != "LoadBalancer":
        errors.append(forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
        return errors
    held = [entry.get("ip") for entry in section(old, "status", "loadBalancer").get("ingress") or ()]
    for at, entry in each(path, ingress):
        address, mode, host = entry.get("ip"), entry.get("ipMode"), entry.get("hostname")
        if address:
            errors += validate_ip(address, f"{at}.ip", held)
            if mode is None:
                errors.append(required(f"{at}.ipMode", "must be specified when `ip` is set"))
        elif mode is not None:
            errors.append(forbidden(f"{at}.ipMode", "may not be specified when `ip` is not set"))
        if mode is not None and mode not in ("Proxy", "VIP"):
            errors.append(not_supported(f"{at}.ipMode", mode, ("Proxy", "VIP")))
        if host:
            errors += [invalid(f"{at}.hostname", host, fault) for fault in names.is_dns1123_subdomain(host)]
            if parse_ip(host) is not None:
                errors.append(invalid(f"{at}.hostname", host, "must be a DNS name, not an IP address"))
    return errors


def is_service_name(value: str) -> list[str]:
    """ValidateServiceName: names were DNS-1035 labels until RelaxedServiceNameValidation."""
    relaxed = feature_gates.enabled("RelaxedServiceNameValidation")
    return names.is_dns1123_label(value) if relaxed else names.is_dns1035_label(value)


KINDS = {
    ("", "Service"): KindValidation(
        name=is_service_name,
        create=validate_service,
        updates={"": _service_update, "status": _service_status},
    ),
}
