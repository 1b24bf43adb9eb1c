"""IP addresses and CIDRs as Go's parsers take them: the sloppy one of old, and what the strict one says more.

The sloppy parser (k8s.io/utils/net ParseIPSloppy, ParseCIDRSloppy) takes leading zeros, host bits behind a prefix, and
IPv4 addresses written as IPv6 ones, which it makes IPv4.
"""

from __future__ import annotations

import ipaddress
import re
from typing import NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_digits = re.compile(r"[0-9]+")
_dotted = re.compile(r"(?<![0-9a-fA-F.])[0-9]+(?:\.[0-9]+){3}$")
_leading_zeros = re.compile(r"(?<![0-9])0+(?=[0-9])")
MAPPED_BITS = 96


class Range(NamedTuple):
    """A CIDR: `address` with its host bits, as written, and the network around it."""

    address: Address
    network: Network
    mapped: bool
    zeros: bool


def parse_ip(text: str) -> Address | None:
    """The address, an IPv4 one also where it is written as IPv6; None for what is no address."""
    found = _as_written(text)
    return _unmapped(found) if found is not None else None


def _as_written(text: str) -> Address | None:
    if "%" in text or "/" in text:
        return None
    try:
        return ipaddress.ip_address(_dotted.sub(lambda part: _leading_zeros.sub("", part.group()), text))
    except ValueError:
        return None


def _unmapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def has_leading_zeros(text: str) -> bool:
    """Whether an octet of an address has leading zeros, which some software reads as octal."""
    dotted = _dotted.search(text)
    return dotted is not None and _leading_zeros.search(dotted.group()) is not None


def is_mapped(text: str) -> bool:
    """Whether an IPv4 address is written as an IPv6 one."""
    found = _as_written(text)
    return isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None


def parse_cidr(text: str) -> Range | None:
    """The range, None for what is none."""
    host, slash, length = text.partition("/")
    written = _as_written(host)
    if written is None or not slash or not _digits.fullmatch(length) or int(length) > written.max_prefixlen:
        return None
    bits = int(length)
    mapped = is_mapped(host)
    address = _unmapped(written)
    if mapped and bits >= MAPPED_BITS:
        network: Network = ipaddress.ip_network((address, bits - MAPPED_BITS), strict=False)
    else:
        network = ipaddress.ip_network((written, bits), strict=False)
    zeros = has_leading_zeros(host) or (len(length) > 1 and length[0] == "0")
    return Range(address, network, mapped, zeros)
