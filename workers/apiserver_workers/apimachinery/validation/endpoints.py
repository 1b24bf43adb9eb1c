"""Endpoints and EndpointSlices (pkg/apis/core/validation, pkg/apis/discovery/validation)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.addresses import (
    family_of,
    validate_canonical_ip,
    validate_endpoint_ip,
    validate_ip,
)
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    invalid,
    not_supported,
    one_of,
    required,
    section,
    too_many,
    unchanged,
)
from apiserver_workers.apimachinery.validation.meta import validate_labels
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

PROTOCOLS = ("SCTP", "TCP", "UDP")
FAMILIES = ("IPv4", "IPv6")


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


def _endpoints_update(new: Object, old: Object) -> Errors:
    """ValidateEndpointsUpdate: what was let in by older rules may stay."""
    return [] if new.get("subsets") == old.get("subsets") else validate_endpoints(new)


def _validate_address(address: Object, path: str) -> Errors:
    ip = address.get("ip", "")
    errors = validate_ip(ip, f"{path}.ip")
    if host := address.get("hostname"):
        errors += [invalid(f"{path}.hostname", host, fault) for fault in names.is_dns1123_label(host)]
    node = address.get("nodeName")
    if node is not None:
        errors += [invalid(f"{path}.nodeName", node, fault) for fault in names.is_dns1123_subdomain(node)]
    return errors + validate_endpoint_ip(ip, f"{path}.ip")


def _validate_endpoint_port(port: Object, path: str, name_needed: bool) -> Errors:
    errors: Errors = []
    name, number = port.get("name", ""), port.get("port") or 0
    if name_needed and not name:
        errors.append(required(f"{path}.name"))
    elif name:
        errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_label(name)]
    errors += [invalid(f"{path}.port", number, fault) for fault in names.is_port_number(number)]
    errors += one_of(port.get("protocol"), PROTOCOLS, f"{path}.protocol", needed=True)
    return errors + _validate_app_protocol(port.get("appProtocol"), path)


def _validate_app_protocol(protocol: str | None, path: str) -> Errors:
    if protocol is None:
        return []
    return [invalid(f"{path}.appProtocol", protocol, fault) for fault in names.is_qualified_name(protocol)]


# EndpointSlice (pkg/apis/discovery/validation)

ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
MAX_ADDRESSES, MAX_PORTS, MAX_ENDPOINTS, MAX_TOPOLOGY, MAX_HINTS = 100, 20000, 1000, 16, 8


def validate_endpoint_slice(obj: Object) -> Errors:
    return _validate_slice_head(obj) + _validate_endpoints(obj)


def _endpoint_slice_update(new: Object, old: Object) -> Errors:
    """Endpoints that stay as they are are not looked at."""
    errors = _validate_slice_head(new)
    if new.get("endpoints") != old.get("endpoints"):
        errors += _validate_endpoints(new)
    return errors + unchanged(new.get("addressType"), old.get("addressType"), "addressType")


def _validate_slice_head(obj: Object) -> Errors:
    errors = one_of(obj.get("addressType", ""), ADDRESS_TYPES, "addressType", needed=True)
    ports = obj.get("ports") or []
    if len(ports) > MAX_PORTS:
        return [*errors, too_many("ports", len(ports), MAX_PORTS)]
    seen: set[str] = set()
    for path, port in each("ports", ports):
        name, protocol, application = port.get("name") or "", port.get("protocol"), port.get("appProtocol")
        if name:
            errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_label(name)]
        if name in seen:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
        if protocol is None:
            errors.append(required(f"{path}.protocol"))
        elif protocol not in PROTOCOLS:
            errors.append(not_supported(f"{path}.protocol", protocol, PROTOCOLS))
        if application is not None:
            errors += [invalid(f"{path}.appProtocol", application, f) for f in names.is_qualified_name(application)]
    return errors


def _validate_endpoints(obj: Object) -> Errors:
    endpoints = obj.get("endpoints") or []
    if len(endpoints) > MAX_ENDPOINTS:
        return [too_many("endpoints", len(endpoints), MAX_ENDPOINTS)]
    kind = obj.get("addressType", "")
    return [
        error for path, endpoint in each("endpoints", endpoints) for error in _validate_endpoint(endpoint, path, kind)
    ]


def _validate_endpoint(endpoint: Object, path: str, kind: str) -> Errors:
    errors: Errors = []
    addresses, topology = endpoint.get("addresses") or [], endpoint.get("deprecatedTopology") or {}
    if not addresses:
        errors.append(required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > MAX_ADDRESSES:
        errors.append(too_many(f"{path}.addresses", len(addresses), MAX_ADDRESSES))
    for index, address in enumerate(addresses):
        errors += _validate_slice_address(address, f"{path}.addresses", index, kind)
    if (node := endpoint.get("nodeName")) is not None:
        errors += [invalid(f"{path}.nodeName", node, fault) for fault in names.is_dns1123_subdomain(node)]
    if len(topology) > MAX_TOPOLOGY:
        errors.append(too_many(f"{path}.deprecatedTopology", len(topology), MAX_TOPOLOGY))
    errors += validate_labels(topology, f"{path}.deprecatedTopology")
    if (host := endpoint.get("hostname")) is not None:
        errors += [invalid(f"{path}.hostname", host, fault) for fault in names.is_dns1123_label(host)]
    return errors + _validate_hints(section(endpoint, "hints"), f"{path}.hints")


def _validate_hints(hints: Object, path: str) -> Errors:
    errors: Errors = []
    for field, check in (("forZones", names.is_label_value), ("forNodes", names.is_dns1123_subdomain)):
        given = hints.get(field) or []
        if len(given) > MAX_HINTS:
            return [*errors, too_many(f"{path}.{field}", len(given), MAX_HINTS)]
        seen: set[str] = set()
        for at, hint in each(f"{path}.{field}", given):
            name = hint.get("name", "")
            if name in seen:
                errors.append(duplicate(f"{at}.name", name))
            seen.add(name)
            errors += [invalid(f"{at}.name", name, fault) for fault in check(name)]
    return errors


def _validate_slice_address(address: str, path: str, index: int, kind: str) -> Errors:
    """One address of an endpoint; that it is of the other family is blamed on the whole list."""
    at = f"{path}[{index}]"
    if kind == "FQDN":
        return validate_domain_name(address, at)
    if kind not in FAMILIES:
        return []
    check = validate_ip if kind == "IPv4" else validate_canonical_ip
    if faults := check(address, at):
        return faults
    errors: Errors = [] if family_of(address) == kind else [invalid(path, address, f"must be an {kind} address")]
    return errors + validate_endpoint_ip(address, at)


def validate_domain_name(name: str, path: str) -> Errors:
    """IsFullyQualifiedDomainName: at least two labels, and a dot may end it."""
    if not name:
        return [required(path)]
    name = name.removesuffix(".")
    if faults := names.is_dns1123_subdomain(name):
        return [invalid(path, name, ",".join(faults))]
    labels = name.split(".")
    if len(labels) < 2:
        return [invalid(path, name, "should be a domain with at least two segments separated by dots")]
    for label in labels:
        if faults := names.is_dns1123_label(label):
            return [invalid(path, label, ",".join(faults))]
    return []


KINDS = {
    ("", "Endpoints"): KindValidation(metadata="UM*", create=validate_endpoints, updates={"": _endpoints_update}),
    ("discovery.k8s.io", "EndpointSlice"): KindValidation(
        metadata="M*", create=validate_endpoint_slice, updates={"": _endpoint_slice_update}
    ),
}
