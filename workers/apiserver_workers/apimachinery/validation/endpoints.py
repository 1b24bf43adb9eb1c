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
    one_of,
    required,
    section,
    unchanged,
)
from apiserver_workers.apimachinery.validation.meta import validate_labels
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

PROTOCOLS = ("SCTP", "TCP", "UDP")
FAMILIES = ("IPv4", "IPv6")


def _endpoints_update(new: Object, old: Object) -> Errors:
    """What was valid once stays so."""
    return [] if new.get("subsets") == old.get("subsets") else validate_endpoints(new)


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
MAX_ADDRESSES, MAX_PORTS, MAX_ENDPOINTS = 100, 20000, 1000


def validate_endpoint_slice(obj: Object, old: Object | None = None) -> Errors:
    """Endpoints that an update leaves as they are were valid once, and stay so."""
    errors: Errors = []
    kind = obj.get("addressType", "")
    errors += one_of(kind, ADDRESS_TYPES, "addressType", needed=True)
    if old is None or obj.get("endpoints") != old.get("endpoints"):
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
    check = validate_ip if kind == "IPv4" else validate_canonical_ip
    if faults := check(address, path):
        return faults
    if family_of(address) != kind:
        return [invalid(path, address, f"must be an {kind} address")]
    return validate_endpoint_ip(address, path)


def _endpoint_slice_update(new: Object, old: Object) -> Errors:
    return validate_endpoint_slice(new, old) + unchanged(new.get("addressType"), old.get("addressType"), "addressType")


KINDS = {
    ("", "Endpoints"): KindValidation(metadata="UM*", create=validate_endpoints, updates={"": _endpoints_update}),
    ("discovery.k8s.io", "EndpointSlice"): KindValidation(
        metadata="M*", create=validate_endpoint_slice, updates={"": _endpoint_slice_update}
    ),
}
