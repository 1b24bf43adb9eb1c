"""Addresses that are not in their usual form (k8s.io/apimachinery/pkg/util/validation/ip.go GetWarningsFor...)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator


def warn_of_ip(value: str, path: str) -> Iterator[str]:
    """GetWarningsForIP: IPv4 addresses written as IPv6 ones, and IPv6 addresses that could be shorter."""
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return
    if address.version == 6 and (mapped := address.ipv4_mapped) is not None:
        text = f'non-standard IP address "{value}" will be considered invalid in a future Kubernetes release'
        yield f'{path}: {text}: use "{mapped}"'
    elif address.version == 6 and str(address) != value:
        yield f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")'


def warn_of_cidr(value: str, path: str) -> Iterator[str]:
    """GetWarningsForCIDR: host bits, and IPv6 ranges that could be shorter."""
    try:
        interface = ipaddress.ip_interface(value)
    except ValueError:
        return
    network = interface.network
    if interface.ip != network.network_address:
        single = f"{interface.ip}/{interface.max_prefixlen}"
        yield f'{path}: CIDR value "{value}" is ambiguous in this context (should be "{network}" or "{single}"?)'
    elif interface.version == 6 and str(network) != value:
        yield f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{network}")'
