"""Networks: cidr(), isCIDR(), containsIP() … Upstream: K/cel/library/cidr.go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..estimates import ONE, TRAVERSAL, CallEstimate, Operand, Range, Static
from ..failures import Failure, no_such_overload
from ..text import quote
from ..values import Opaque, size_for_cost
from . import costs, netip
from .ip import IP
from .ip import parse as parse_ip
from .row import Row, Runtime

_CIDR = "net.CIDR"
# An address has 4 or 16 bytes.
_BYTES = Range(4, 16)


class CIDR(Opaque):
    """net.CIDR"""

    __slots__ = ("prefix",)
    type_name = _CIDR

    def __init__(self, prefix: netip.Prefix) -> None:
        self.prefix = prefix

    def __eq__(self, other: object) -> bool:
        return type(other) is CIDR and other.prefix == self.prefix

    def __hash__(self) -> int:
        return hash(self.prefix)

    def __str__(self) -> str:
        return self.prefix.text

    @property
    def cost_size(self) -> int:
        """The number of bytes that the prefix reaches into."""
        return (self.prefix.length + 7) // 8


def parse(text: str) -> netip.Prefix:
    """The prefix that the text is. Raises Failure."""
    try:
        prefix = netip.parse_prefix(text)
    except netip.AddressError as error:
        raise Failure(f"network address parse error during conversion from string: {error}") from None
    if prefix.address.is_mapped:
        raise Failure(f"IPv4-mapped IPv6 address {quote(text)} is not allowed")
    return prefix


def from_string(text: str) -> CIDR:
    """cidr(text). Raises Failure."""
    try:
        return CIDR(parse(text))
    except Failure as failure:
        raise Failure(f"network address parse error during conversion from string: {failure}") from None


def is_cidr(text: str) -> bool:
    """isCIDR(text)"""
    try:
        parse(text)
    except Failure:
        return False
    return True


def contains_ip(cidr: CIDR, ip: IP) -> bool:
    """Whether an address lies within."""
    return cidr.prefix.contains(ip.address)


def contains_ip_string(cidr: CIDR, text: str) -> bool:
    """Whether an address lies within. Raises Failure: upstream names no reason."""
    try:
        address = parse_ip(text)
    except Failure:
        raise no_such_overload() from None
    return cidr.prefix.contains(address)


def contains_cidr(cidr: CIDR, other: CIDR) -> bool:
    """Whether a network lies within."""
    return cidr.prefix.overlaps(other.prefix) and cidr.prefix.length <= other.prefix.length


def contains_cidr_string(cidr: CIDR, text: str) -> bool:
    """Whether a network lies within. Raises Failure."""
    return contains_cidr(cidr, from_string(text))


def _contains_cost(parsed: bool, masked: bool) -> Runtime:
    def cost(args: Sequence[Any], _result: Any) -> int:
        size = size_for_cost(args[0])
        total = costs.traversal(2 * size)
        if masked:
            total += costs.traversal(size) + 1
        if parsed:
            total += costs.traversal(size_for_cost(args[1]))
        return total

    return cost


def _static_contains(parsed: bool, masked: bool) -> Static:
    def estimate(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
        cost = _BYTES.plus(_BYTES).factor(TRAVERSAL)
        if masked:
            cost = cost.plus(_BYTES.factor(TRAVERSAL)).plus(ONE)
        if parsed:
            cost = cost.plus(args[0].size.factor(TRAVERSAL))
        return CallEstimate(cost)

    return estimate


def _row(
    identifier: str,
    name: str,
    args: tuple[str, ...],
    result: str,
    function: Callable[..., Any],
    static: Static | None = None,
    runtime: int | Runtime = 1,
    member: bool = True,
    by_name: bool = True,
) -> Row:
    return Row(
        identifier,
        name,
        args,
        result,
        function,
        member=member,
        static=static,
        runtime=runtime,
        by_name=by_name,
        since=30,
        library="cidr",
    )


def _contains(identifier: str, name: str, other: str, function: Callable[..., Any]) -> Row:
    parsed = other == "string"
    masked = name == "containsCIDR"
    static = _static_contains(parsed, masked)
    return _row(identifier, name, (_CIDR, other), "bool", function, static, _contains_cost(parsed, masked))


_PARSED = (costs.static_traverse(), costs.traverse_first)

ROWS: tuple[Row, ...] = (
    _row("string_to_cidr", "cidr", ("string",), _CIDR, from_string, *_PARSED, member=False),
    _row("is_cidr", "isCIDR", ("string",), "bool", is_cidr, *_PARSED, member=False),
    _contains("cidr_contains_ip_ip", "containsIP", "net.IP", contains_ip),
    _contains("cidr_contains_ip_string", "containsIP", "string", contains_ip_string),
    _contains("cidr_contains_cidr", "containsCIDR", _CIDR, contains_cidr),
    _contains("cidr_contains_cidr_string", "containsCIDR", "string", contains_cidr_string),
    _row("cidr_ip", "ip", (_CIDR,), "net.IP", lambda cidr: IP(cidr.prefix.address)),
    _row("cidr_masked", "masked", (_CIDR,), _CIDR, lambda cidr: CIDR(cidr.prefix.masked)),
    _row("cidr_prefix_length", "prefixLength", (_CIDR,), "int", lambda cidr: cidr.prefix.length),
    _row("cidr_to_string", "string", (_CIDR,), "string", str, member=False, by_name=False),
)
