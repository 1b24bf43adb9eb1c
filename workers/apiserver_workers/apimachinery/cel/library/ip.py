"""IP addresses: ip(), isIP(), family() … Upstream: K/cel/library/ip.go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..estimates import TRAVERSAL, Static
from ..failures import Failure
from ..text import quote
from ..values import Opaque
from . import costs, netip
from .row import Row, Runtime


class IP(Opaque):
    """net.IP"""

    __slots__ = ("address",)
    type_name = "net.IP"

    def __init__(self, address: netip.Address) -> None:
        self.address = address

    def __eq__(self, other: object) -> bool:
        return type(other) is IP and other.address == self.address

    def __hash__(self) -> int:
        return hash(self.address)

    def __str__(self) -> str:
        return self.address.text

    @property
    def cost_size(self) -> int:
        """The number of bytes."""
        return self.address.bits // 8


def parse(text: str) -> netip.Address:
    """The address that the text is. Raises Failure."""
    try:
        address = netip.parse_address(text)
    except netip.AddressError as error:
        raise Failure(f"IP Address {quote(text)} parse error during conversion from string: {error}") from None
    if address.zone:
        raise Failure(f"IP address {quote(text)} with zone value is not allowed")
    if address.is_mapped:
        raise Failure(f"IPv4-mapped IPv6 address {quote(text)} is not allowed")
    return address


def from_string(text: str) -> IP:
    """ip(text). Raises Failure."""
    return IP(parse(text))


def is_ip(text: str) -> bool:
    """isIP(text)"""
    try:
        parse(text)
    except Failure:
        return False
    return True


def is_canonical(text: str) -> bool:
    """ip.isCanonical(text). Raises Failure."""
    return parse(text).text == text


def _family(ip: IP) -> int:
    return 4 if ip.address.bits == 32 else 6


def _is_unspecified(ip: IP) -> bool:
    return ip.address.number == 0


def _is_loopback(ip: IP) -> bool:
    address = ip.address
    return address.number >> 24 == 127 if address.bits == 32 else address.number == 1


def _is_multicast(ip: IP) -> bool:
    address = ip.address
    return address.number >> 28 == 0xE if address.bits == 32 else address.number >> 120 == 0xFF


def _is_link_local_multicast(ip: IP) -> bool:
    address = ip.address
    if address.bits == 32:
        return address.number >> 8 == 0xE00000
    return address.number >> 112 & 0xFF0F == 0xFF02


def _is_link_local_unicast(ip: IP) -> bool:
    address = ip.address
    return address.number >> 16 == 0xA9FE if address.bits == 32 else address.number >> 118 == 0x3FA


def _is_global_unicast(ip: IP) -> bool:
    if ip.address == netip.Address(0xFFFFFFFF, 32):
        return False
    return not (_is_unspecified(ip) or _is_loopback(ip) or _is_multicast(ip) or _is_link_local_unicast(ip))


def _row(
    identifier: str,
    name: str,
    argument: str,
    result: str,
    function: Callable[..., Any],
    static: Static | None = None,
    runtime: int | Runtime = 1,
    member: bool = False,
) -> Row:
    return Row(
        identifier,
        name,
        (argument,),
        result,
        function,
        member=member,
        static=static,
        runtime=runtime,
        by_name=True,
        since=30,
        library="ip",
    )


_PARSED = (costs.static_traverse(), costs.traverse_first)
_QUESTIONS: tuple[tuple[str, str, Callable[[IP], Any]], ...] = (
    ("ip_is_unspecified", "isUnspecified", _is_unspecified),
    ("ip_is_loopback", "isLoopback", _is_loopback),
    ("ip_is_link_local_multicast", "isLinkLocalMulticast", _is_link_local_multicast),
    ("ip_is_link_local_unicast", "isLinkLocalUnicast", _is_link_local_unicast),
    ("ip_is_global_unicast", "isGlobalUnicast", _is_global_unicast),
)

ROWS: tuple[Row, ...] = (
    _row("string_to_ip", "ip", "string", "net.IP", from_string, *_PARSED),
    _row("is_ip", "isIP", "string", "bool", is_ip, *_PARSED),
    _row(
        "ip_is_canonical",
        "ip.isCanonical",
        "string",
        "bool",
        is_canonical,
        costs.static_traverse(2 * TRAVERSAL),
        costs.traverse_first_twice,
    ),
    _row("ip_family", "family", "net.IP", "int", _family, member=True),
    *(_row(identifier, name, "net.IP", "bool", function, member=True) for identifier, name, function in _QUESTIONS),
    Row("ip_to_string", "string", ("net.IP",), "string", str, since=30, library="ip"),
)
