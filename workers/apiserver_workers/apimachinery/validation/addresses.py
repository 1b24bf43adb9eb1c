"""IP addresses and CIDRs as fields (k8s.io/apimachinery/pkg/util/validation/ip.go).

Fields older than the gate StrictIPCIDRValidation take the sloppy form when it is off, and always what the stored object
held already (`held`); newer ones take the canonical form alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.addresses import Range, has_leading_zeros, is_mapped, parse_cidr, parse_ip
from apiserver_workers.apimachinery.validation.field import Errors, invalid, shown
from apiserver_workers.apimachinery.validation.names import IP_ADDRESS

CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
GATE = "StrictIPCIDRValidation"

INTERFACE_ADDRESS = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"


def validate_ip(value: str, path: str, held: Collection[str] = ()) -> Errors:
    """IsValidIPForLegacyField."""
    if value in held:
        return []
    fault = _ip_fault(value, strict=feature_gates.enabled(GATE))
    return [invalid(path, value, fault)] if fault else []


def validate_canonical_ip(value: str, path: str) -> Errors:
    """IsValidIP: strict, and nothing that could be written shorter."""
    fault = canonical_ip_fault(value)
    return [invalid(path, value, fault)] if fault else []


def canonical_ip_fault(value: str) -> str:
    """Why that is no address in canonical form, "" if it is one."""
    fault = _ip_fault(value, strict=True)
    canonical = str(parse_ip(value))
    if fault or canonical == value:
        return fault
    return f"must be in canonical form ({shown(canonical)})"


def _ip_fault(value: str, *, strict: bool) -> str:
    if parse_ip(value) is None:
        return IP_ADDRESS
    if strict and has_leading_zeros(value):
        return "must not have leading 0s"
    if strict and is_mapped(value):
        return "must not be an IPv4-mapped IPv6 address"
    return ""


def validate_cidr(value: str, path: str, held: Collection[str] = ()) -> Errors:
    """IsValidCIDRForLegacyField."""
    if value in held:
        return []
    return _cidr_faults(value, path, strict=feature_gates.enabled(GATE))


def validate_canonical_cidr(value: str, path: str) -> Errors:
    """IsValidCIDR: strict, and nothing that could be written shorter."""
    faults = _cidr_faults(value, path, strict=True)
    found = parse_cidr(value)
    if faults or found is None or str(found.network) == value:
        return faults
    return [invalid(path, value, f"must be in canonical form ({shown(str(found.network))})")]


def _cidr_faults(value: str, path: str, *, strict: bool) -> Errors:
    found = parse_cidr(value)
    if found is None:
        return [invalid(path, value, CIDR)]
    text = _strict_fault(found) if strict else ""
    return [invalid(path, value, text)] if text else []


def _strict_fault(found: Range) -> str:
    if found.zeros:
        return "must not have leading 0s in IP or prefix length"
    if found.mapped:
        return "must not have an IPv4-mapped IPv6 address"
    if found.address != found.network.network_address:
        return "must not have bits set beyond the prefix length"
    return ""


def family_of(address: str) -> str:
    """IPv4 or IPv6, of a valid address; "" of another."""
    found = parse_ip(address)
    return f"IPv{found.version}" if found is not None else ""


def validate_endpoint_ip(address: str, path: str) -> Errors:
    """ValidateEndpointIP: ranges that no endpoint may be in."""
    ip = parse_ip(address)
    if ip is None:
        return [invalid(path, address, "must be a valid IP address")]
    faults = (
        (ip.is_unspecified, f"may not be unspecified ({address})"),
        (ip.is_loopback, "may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (ip.is_link_local, "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        (_link_local_multicast(ip), "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
    )
    return [invalid(path, address, text) for bad, text in faults if bad]


def _link_local_multicast(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    network = "224.0.0.0/24" if ip.version == 4 else "ff02::/16"
    return ip in ipaddress.ip_network(network)


def validate_interface_address(value: str, path: str) -> Errors:
    """IsValidInterfaceAddress: an address with the length of its prefix, as it is written canonically."""
    found = parse_cidr(value)
    if found is None:
        return [invalid(path, value, INTERFACE_ADDRESS)]
    canonical = f"{parse_ip(value.partition('/')[0])}/{found.network.prefixlen}"
    return [] if canonical == value else [invalid(path, value, f"must be in canonical form ({shown(canonical)})")]
