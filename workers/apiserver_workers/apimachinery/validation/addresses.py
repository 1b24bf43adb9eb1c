"""IP addresses and CIDRs as fields (k8s.io/apimachinery/pkg/util/validation/ip.go)."""

from __future__ import annotations

import ipaddress

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import Errors, invalid

CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def validate_cidr(value: str, path: str) -> Errors:
    """A CIDR with its prefix length; host bits may be set, as in stored objects of old."""
    address, slash, length = value.partition("/")
    try:
        if not slash or not length.isdecimal():
            raise ValueError
        ipaddress.ip_interface(value)
    except ValueError:
        return [invalid(path, value, CIDR)]
    return [] if "%" not in address else [invalid(path, value, CIDR)]


def ip_faults(address: str) -> list[str]:
    """IsValidIP, which names leading zeros as what they are."""
    parts = address.split(".")
    if len(parts) == 4 and all(part.isdecimal() for part in parts) and any(len(p) > 1 and p[0] == "0" for p in parts):
        return ["must not have leading 0s"]
    return names.is_ip(address)


def family_of(address: str) -> str:
    return "IPv4" if ipaddress.ip_address(address).version == 4 else "IPv6"


def parse_sloppy(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """ParseIPSloppy: an address whose IPv4 numbers may have leading zeros; an IPv4-mapped one is that IPv4 address."""
    parts = address.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdecimal() for part in parts):
        address = ".".join(str(int(part)) for part in parts)
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    if ip.version == 4:
        return ip
    return None if ip.scope_id else ip.ipv4_mapped or ip


def validate_endpoint_ip(address: str, path: str) -> Errors:
    """ValidateEndpointIP: ranges that no endpoint may be in."""
    ip = parse_sloppy(address)
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
