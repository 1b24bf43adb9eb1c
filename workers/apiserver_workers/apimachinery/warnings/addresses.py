"""Addresses that are not in their usual form (k8s.io/apimachinery/pkg/util/validation/ip.go GetWarningsFor...)."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver_workers.apimachinery.addresses import has_leading_zeros, is_mapped, parse_cidr, parse_ip


def warn_of_ip(value: str, path: str) -> Iterator[str]:
    """GetWarningsForIP: addresses that only the gate or the stored object let pass, and IPv6 that could be shorter."""
    address = parse_ip(value)
    if address is None:
        return
    if has_leading_zeros(value) or is_mapped(value):
        yield f'{path}: non-standard IP address "{value}" is invalid: use "{address}"'
    elif address.version == 6 and str(address) != value:
        yield f'{path}: IPv6 address "{value}" should be in RFC 5952 canonical format ("{address}")'


def warn_of_cidr(value: str, path: str) -> Iterator[str]:
    """GetWarningsForCIDR: host bits, what only the gate or the stored object let pass, and IPv6 that could be shorter."""
    found = parse_cidr(value)
    if found is None:
        return
    address, network = found.address, found.network
    ambiguous = address != network.network_address
    if ambiguous:
        single = f"{address}/{network.max_prefixlen}"
        yield f'{path}: CIDR value "{value}" is ambiguous in this context (should be "{network}" or "{single}"?)'
    if found.zeros or found.mapped:
        yield f'{path}: non-standard CIDR value "{value}" is invalid: use "{network}"'
    elif not ambiguous and network.version == 6 and str(network) != value:
        yield f'{path}: IPv6 CIDR value "{value}" should be in RFC 5952 canonical format ("{network}")'
