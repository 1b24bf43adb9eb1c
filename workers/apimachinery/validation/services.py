"""Services and endpoints (pkg/apis/core/validation ValidateService)."""

from __future__ import annotations

import ipaddress
from typing import Any

from workers.apimachinery import feature_gates
from workers.apimachinery.validation import names
from workers.apimachinery.validation.addresses import validate_cidr, validate_endpoint_ip
from workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    one_of,
    required,
    section,
    unchanged,
)
from workers.apimachinery.validation.meta import validate_labels
from workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
AFFINITIES = ("ClientIP", "None")
TRAFFIC_POLICIES = ("Cluster", "Local")
FAMILIES = ("IPv4", "IPv6")
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
MAX_AFFINITY_SECONDS = 86400
SOURCE_RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"


def validate_service(service: Object) -> Errors:
    """ValidateService, after cluster IPs and node ports were allocated."""
    spec = section(service, "spec")
    kind = spec.get("type", "")
    errors = _validate_ports_present(spec, kind)
    errors += _validate_by_type(spec, kind)
    all_named = len(spec.get("ports") or ()) > 1
    seen_names: set[str] = set()
    for at, port in each("spec.ports", spec.get("ports")):
        errors += _validate_port(port, at, all_named, seen_names)
    if selector := spec.get("selector"):
        errors += validate_labels(selector, "spec.selector")
    errors += _validate_affinity(spec)
    errors += _validate_cluster_ips(spec, kind)
    errors += _validate_external_ips(spec)
    errors += one_of(kind, TYPES, "spec.type", needed=True)
    errors += _validate_port_uniqueness(spec)
    errors += _validate_node_ports(spec, kind)
    errors += _validate_source_ranges(service, spec, kind)
    if spec.get("allocateLoadBalancerNodePorts") is not None and kind != "LoadBalancer":
        text = "may only be used when `type` is 'LoadBalancer'"
        errors.append(forbidden("spec.allocateLoadBalancerNodePorts", text))
    errors += _validate_load_balancer_class(spec, kind)
    errors += _validate_traffic_policies(spec, kind)
    distribution = spec.get("trafficDistribution")
    if distribution is not None and distribution not in DISTRIBUTIONS:
        errors.append(not_supported("spec.trafficDistribution", distribution, DISTRIBUTIONS))
    return errors


def _validate_ports_present(spec: Object, kind: str) -> Errors:
    headless = spec.get("clusterIP") == "None"
    if not spec.get("ports") and not headless and kind != "ExternalName":
        return [required("spec.ports")]
    return []


def _validate_by_type(spec: Object, kind: str) -> Errors:
    errors: Errors = []
    if kind == "LoadBalancer":
        for at, port in each("spec.ports", spec.get("ports")):
            if port.get("port") == 10250:
                text = "may not expose port 10250 externally since it is used by kubelet"
                errors.append(invalid(f"{at}.port", 10250, text))
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
    if protocol_name := port.get("appProtocol"):
        at = f"{path}.appProtocol"
        errors += [invalid(at, protocol_name, fault) for fault in names.is_qualified_name(protocol_name)]
    return errors


def _validate_affinity(spec: Object) -> Errors:
    affinity, config = spec.get("sessionAffinity", ""), spec.get("sessionAffinityConfig")
    errors = one_of(affinity, AFFINITIES, "spec.sessionAffinity", needed=True)
    if affinity == "ClientIP":
        seconds = section(spec, "sessionAffinityConfig", "clientIP").get("timeoutSeconds")
        path = "spec.sessionAffinityConfig.clientIP.timeoutSeconds"
        if config is None or seconds is None:
            field = "spec.sessionAffinityConfig" if config is None else path
            errors.append(required(field, "when session affinity type is ClientIP"))
        elif not 0 < seconds <= MAX_AFFINITY_SECONDS:
            text = f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}"
            errors.append(invalid(path, seconds, text))
    elif affinity == "None" and config is not None:
        text = "must not be set when session affinity is None"
        errors.append(forbidden("spec.sessionAffinityConfig", text))
    return errors


def _validate_cluster_ips(spec: Object, kind: str) -> Errors:
    """ValidateServiceClusterIPsRelatedFields."""
    errors: Errors = []
    families, ips, policy = spec.get("ipFamilies") or [], spec.get("clusterIPs") or [], spec.get("ipFamilyPolicy")
    seen: set[str] = set()
    for at, family in each("spec.ipFamilies", families):
        if family not in FAMILIES:
            errors.append(not_supported(at, family, FAMILIES))
        if family in seen:
            errors.append(duplicate(at, family))
        seen.add(family)
    if policy is not None and policy not in FAMILY_POLICIES:
        errors.append(not_supported("spec.ipFamilyPolicy", policy, FAMILY_POLICIES))
    if kind == "ExternalName":
        return errors
    if ips and spec.get("clusterIP") != ips[0]:
        errors.append(invalid("spec.clusterIPs", ips, "first value must match `clusterIP`"))
    if len(ips) > 2:
        errors.append(invalid("spec.clusterIPs", ips, "may only hold up to 2 values"))
    if len(ips) == 2 and "None" in ips[1:]:
        errors.append(invalid("spec.clusterIPs[1]", ips[1], "must be a valid IP address"))
    if ips[:1] == ["None"]:
        if len(ips) > 1:
            errors.append(invalid("spec.clusterIPs", ips, "'None' must be the first and only value"))
        return errors
    for index, address in enumerate(ips):
        at = f"spec.clusterIPs[{index}]"
        if faults := ip_faults(address):
            errors += [invalid(at, address, fault) for fault in faults]
        elif index < len(families) and families[index] != family_of(address):
            errors.append(
                invalid(at, address, f"expected an {families[index]} value as indicated by `ipFamilies[{index}]`")
            )
    return errors


def ip_faults(address: str) -> list[str]:
    """IsValidIP, which names leading zeros as what they are."""
    parts = address.split(".")
    if len(parts) == 4 and all(part.isdecimal() for part in parts) and any(len(p) > 1 and p[0] == "0" for p in parts):
        return ["must not have leading 0s"]
    return names.is_ip(address)


def family_of(address: str) -> str:
    return "IPv4" if ipaddress.ip_address(address).version == 4 else "IPv6"


def _validate_external_ips(spec: Object) -> Errors:
    errors: Errors = []
    for at, address in each("spec.externalIPs", spec.get("externalIPs")):
        if faults := ip_faults(address):
            errors += [invalid(at, address, fault) for fault in faults]
        else:
            errors += validate_endpoint_ip(address, at)
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
    for at, port in each("spec.ports", spec.get("ports")):
        number = port.get("nodePort") or 0
        if not number:
            continue
        if kind in ("ClusterIP", "ExternalName"):
            errors.append(forbidden(f"{at}.nodePort", f"may not be used when `type` is '{kind}'"))
            continue
        pair = port.get("protocol", ""), number
        if pair in seen:
            errors.append(duplicate(f"{at}.nodePort", number))
        seen.add(pair)
    return errors


def _validate_source_ranges(service: Object, spec: Object, kind: str) -> Errors:
    errors: Errors = []
    ranges, path = spec.get("loadBalancerSourceRanges") or [], "spec.LoadBalancerSourceRanges"
    annotation = (service["metadata"].get("annotations") or {}).get(SOURCE_RANGES_ANNOTATION)
    if ranges and kind != "LoadBalancer":
        errors.append(forbidden(path, "may only be used when `type` is 'LoadBalancer'"))
    for at, entry in each(path, ranges):
        errors += validate_cidr(entry.strip(), at)
    if not ranges and annotation is not None:
        at = f"metadata.annotations[{SOURCE_RANGES_ANNOTATION}]"
        if kind != "LoadBalancer":
            errors.append(forbidden(at, "may only be used when `type` is 'LoadBalancer'"))
        elif any(validate_cidr(entry.strip(), at) for entry in annotation.strip().split(",") if annotation.strip()):
            text = "must be a comma separated list of CIDRs e.g. 192.168.0.0/16,10.0.0.0/8"
            errors.append(invalid(at, annotation, text))
    return errors


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
    errors: Errors = []
    spec, was = section(new, "spec"), section(old, "spec")
    if "ExternalName" not in (spec.get("type"), was.get("type")):
        before, now = was.get("clusterIPs") or [], spec.get("clusterIPs") or []
        if before[:1] and now[:1] and before[0] != now[0]:
            text = "may not change once set"
            errors.append(invalid("spec.clusterIPs[0]", now[0], text))
    if was.get("type") == "LoadBalancer" and spec.get("type") == "LoadBalancer":
        classes = spec.get("loadBalancerClass"), was.get("loadBalancerClass")
        if was.get("loadBalancerClass") is not None or classes[0] is not None:
            if classes[0] != classes[1]:
                text = "may not change once set"
                errors.append(invalid("spec.loadBalancerClass", classes[0], text))
    return errors + validate_service(new)


def _service_status(new: Object, old: Object) -> Errors:
    errors: Errors = []
    ingress = section(new, "status", "loadBalancer").get("ingress")
    path = "status.loadBalancer.ingress"
    if ingress and section(new, "spec").get("type") != "LoadBalancer":
        errors.append(forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'"))
        return errors
    for at, entry in each(path, ingress):
        address, mode, host = entry.get("ip"), entry.get("ipMode"), entry.get("hostname")
        if address:
            errors += [invalid(f"{at}.ip", address, fault) for fault in names.is_ip(address)]
            if mode is None:
                errors.append(required(f"{at}.ipMode", "must be specified when `ip` is set"))
        elif mode is not None:
            errors.append(forbidden(f"{at}.ipMode", "may not be specified when `ip` is not set"))
        if mode is not None and mode not in ("Proxy", "VIP"):
            errors.append(not_supported(f"{at}.ipMode", mode, ("Proxy", "VIP")))
        if host:
            errors += [invalid(f"{at}.hostname", host, fault) for fault in names.is_dns1123_subdomain(host)]
            if not names.is_ip(host):
                errors.append(invalid(f"{at}.hostname", host, "must be a DNS name, not an IP address"))
    return errors


# Endpoints


def validate_endpoints(obj: Object) -> Errors:
    errors: Errors = []
    for path, subset in each("subsets", obj.get("subsets")):
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            errors.append(required(path, "must specify `addresses` or `notReadyAddresses`"))
        for field in ("addresses", "notReadyAddresses"):
            for at, address in each(f"{path}.{field}", subset.get(field)):
                errors += _validate_address(address, at)
        many = len(subset.get("ports") or ()) > 1
        for at, port in each(f"{path}.ports", subset.get("ports")):
            errors += _validate_endpoint_port(port, at, many)
    return errors


def _validate_address(address: Object, path: str) -> Errors:
    ip = address.get("ip", "")
    errors: Errors = []
    if faults := ip_faults(ip):
        errors += [invalid(f"{path}.ip", ip, fault) for fault in faults]
    else:
        errors += validate_endpoint_ip(ip, f"{path}.ip")
    if host := address.get("hostname"):
        errors += [invalid(f"{path}.hostname", host, fault) for fault in names.is_dns1123_label(host)]
    node = address.get("nodeName")
    if node is not None:
        errors += [invalid(f"{path}.nodeName", node, fault) for fault in names.is_dns1123_subdomain(node)]
    return errors


def _validate_endpoint_port(port: Object, path: str, name_needed: bool) -> Errors:
    errors: Errors = []
    name, number = port.get("name", ""), port.get("port") or 0
    if name_needed and not name:
        errors.append(required(f"{path}.name"))
    elif name:
        errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_label(name)]
    errors += [invalid(f"{path}.port", number, fault) for fault in names.is_port_number(number)]
    errors += one_of(port.get("protocol"), PROTOCOLS, f"{path}.protocol", needed=True)
    return errors


# EndpointSlice (pkg/apis/discovery/validation)

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MAX_ADDRESSES, MAX_PORTS, MAX_ENDPOINTS = 100, 20000, 1000


def validate_endpoint_slice(obj: Object) -> Errors:
    errors: Errors = []
    kind = obj.get("addressType", "")
    errors += one_of(kind, ADDRESS_TYPES, "addressType", needed=True)
    for path, endpoint in each("endpoints", obj.get("endpoints")):
        errors += _validate_endpoint(endpoint, path, kind)
    seen: set[str] = set()
    for path, port in each("ports", obj.get("ports")):
        name = port.get("name") or ""
        if name:
            errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_label(name)]
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        errors += one_of(port.get("protocol"), PROTOCOLS, f"{path}.protocol", needed=True)
        if protocol := port.get("appProtocol"):
            at = f"{path}.appProtocol"
            errors += [invalid(at, protocol, fault) for fault in names.is_qualified_name(protocol)]
    return errors


def _validate_endpoint(endpoint: Object, path: str, kind: str) -> Errors:
    errors: Errors = []
    addresses = endpoint.get("addresses") or []
    if not addresses:
        errors.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > MAX_ADDRESSES:
        errors.append(required(f"{path}.addresses", f"Too many: {len(addresses)}"))
    for at, address in each(f"{path}.addresses", addresses):
        errors += _validate_slice_address(address, at, kind)
    if (node := endpoint.get("nodeName")) is not None:
        errors += [invalid(f"{path}.nodeName", node, fault) for fault in names.is_dns1123_subdomain(node)]
    if topology := endpoint.get("deprecatedTopology"):
        errors += validate_labels(topology, f"{path}.deprecatedTopology")
    if (host := endpoint.get("hostname")) is not None:
        errors += [invalid(f"{path}.hostname", host, fault) for fault in names.is_dns1123_label(host)]
    for field in ("forZones", "forNodes"):
        for at, hint in each(f"{path}.hints.{field}", section(endpoint, "hints").get(field)):
            if not hint.get("name"):
                errors.append(required(f"{at}.name"))
    return errors


def _validate_slice_address(address: str, path: str, kind: str) -> Errors:
    if kind == "FQDN":
        return [invalid(path, address, fault) for fault in names.is_dns1123_subdomain(address)]
    if kind not in FAMILIES:
        return []
    if faults := ip_faults(address):
        return [invalid(path, address, fault) for fault in faults]
    if family_of(address) != kind:
        return [invalid(path, address, f"must be an {kind} address")]
    return validate_endpoint_ip(address, path)


def _endpoint_slice_update(new: Object, old: Object) -> Errors:
    return validate_endpoint_slice(new) + unchanged(new.get("addressType"), old.get("addressType"), "addressType")


def is_service_name(value: str) -> list[str]:
    """ValidateServiceName: names were DNS-1035 labels until RelaxedServiceNameValidation."""
    relaxed = feature_gates.enabled("RelaxedServiceNameValidation")
    return names.is_dns1123_label(value) if relaxed else names.is_dns1035_label(value)


KINDS = {
    ("", "Service"): KindValidation(
        name=is_service_name,
        metadata="UM*",
        create=validate_service,
        updates={"": _service_update, "status": _service_status},
    ),
    ("", "Endpoints"): KindValidation(
        create=validate_endpoints, updates={"": lambda new, old: validate_endpoints(new)}
    ),
    ("discovery.k8s.io", "EndpointSlice"): KindValidation(
        metadata="M*", create=validate_endpoint_slice, updates={"": _endpoint_slice_update}
    ),
}
