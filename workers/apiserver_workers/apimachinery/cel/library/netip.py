"""IP addresses and prefixes as Go's net/netip reads and writes them, with its error texts."""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from apiserver_workers.apimachinery.memo import memoized

from ..text import quote

_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")


class AddressError(ValueError):
    """The text is no address or prefix; the message is Go's."""


class Address(NamedTuple):
    """An address: its number, 32 or 128 bits, and the zone of an IPv6 address."""

    number: int
    bits: int
    zone: str = ""

    @property
    def text(self) -> str:
        """The canonical form."""
        if self.bits == 32:
            return str(ipaddress.IPv4Address(self.number))
        return _text_6(self.number) + (f"%{self.zone}" if self.zone else "")

    @property
    def is_mapped(self) -> bool:
        """Whether this is an IPv4 address in IPv6 form."""
        return self.bits == 128 and self.number >> 32 == 0xFFFF


def _text_6(number: int) -> str:
    if number >> 32 == 0xFFFF:
        return f"::ffff:{ipaddress.IPv4Address(number & 0xFFFFFFFF)}"
    return ipaddress.IPv6Address(number).compressed


class Prefix(NamedTuple):
    """A network: an address, which may have bits beyond the prefix, and the prefix' length."""

    address: Address
    length: int

    @property
    def text(self) -> str:
        """The canonical form."""
        return f"{self.address.text}/{self.length}"

    @property
    def masked(self) -> Prefix:
        """The prefix without bits beyond its length."""
        return Prefix(Address(_network(self.address, self.length), self.address.bits), self.length)

    def contains(self, address: Address) -> bool:
        """Whether an address lies within."""
        if address.bits != self.address.bits or address.zone:
            return False
        return _network(address, self.length) == _network(self.address, self.length)

    def overlaps(self, other: Prefix) -> bool:
        """Whether both have an address in common."""
        if self.address.bits != other.address.bits:
            return False
        length = min(self.length, other.length)
        return _network(self.address, length) == _network(other.address, length)


def _network(address: Address, length: int) -> int:
    shift = address.bits - length
    return address.number >> shift << shift


def _fault(text: str, message: str, at: str = "") -> AddressError:
    place = f" (at {quote(at)})" if at else ""
    return AddressError(f"ParseAddr({quote(text)}): {message}{place}")


@memoized
def parse_address(text: str) -> Address:
    """The address that the text is. Raises AddressError."""
    for character in text:
        if character == ".":
            return Address(_fields_4(text, text), 32)
        if character == ":":
            return _parse_6(text)
        if character == "%":
            raise _fault(text, "missing IPv6 address")
    raise _fault(text, "unable to parse IP")


def _fields_4(text: str, part: str) -> int:
    """The number of an IPv4 address that is `part` of the text."""
    fields: list[int] = []
    value = digits = 0
    for index, character in enumerate(part):
        if character in _DIGITS:
            if digits == 1 and value == 0:
                raise _fault(text, "IPv4 field has octet with leading zero")
            value = value * 10 + int(character)
            digits += 1
            if value > 255:
                raise _fault(text, "IPv4 field has value >255")
        elif character == ".":
            if index in (0, len(part) - 1) or part[index - 1] == ".":
                raise _fault(text, "IPv4 field must have at least one digit", part[index:])
            if len(fields) == 3:
                raise _fault(text, "IPv4 address too long")
            fields.append(value)
            value = digits = 0
        else:
            raise _fault(text, "unexpected character", part[index:])
    if len(fields) < 3:
        raise _fault(text, "IPv4 address too short")
    return fields[0] << 24 | fields[1] << 16 | fields[2] << 8 | value


def _parse_6(text: str) -> Address:
    rest, percent, zone = text.partition("%")
    if percent and not zone:
        raise _fault(text, "zone must be a non-empty string")
    ellipsis = -1
    groups: list[int] = []
    if rest.startswith("::"):
        ellipsis = 0
        rest = rest[2:]
        if not rest:
            return Address(0, 128, zone)
    while len(groups) < 8:
        length = _group_length(text, rest)
        if rest[length : length + 1] == ".":
            _check_embedded(text, rest, groups, ellipsis)
            number = _fields_4(text, rest)
            groups += [number >> 16, number & 0xFFFF]
            rest = ""
            break
        groups.append(int(rest[:length], 16))
        rest = rest[length:]
        if not rest:
            break
        rest, ellipsis = _after_group(text, rest, len(groups), ellipsis)
        if not rest:
            break
    if rest:
        raise _fault(text, "trailing garbage after address", rest)
    return Address(_expand(text, groups, ellipsis), 128, zone)


def _group_length(text: str, rest: str) -> int:
    length = 0
    while length < len(rest) and rest[length] in _HEX:
        length += 1
        if length > 4:
            raise _fault(text, "each group must have 4 or less digits", rest)
    if not length:
        raise _fault(text, "each colon-separated field must have at least one digit", rest)
    return length


def _check_embedded(text: str, rest: str, groups: list[int], ellipsis: int) -> None:
    if ellipsis < 0 and len(groups) != 6:
        raise _fault(text, "embedded IPv4 address must replace the final 2 fields of the address", rest)
    if len(groups) > 6:
        raise _fault(text, "too many hex fields to fit an embedded IPv4 at the end of the address", rest)


def _after_group(text: str, rest: str, count: int, ellipsis: int) -> tuple[str, int]:
    """What follows the colon behind a group, and where the ellipsis is."""
    if rest[0] != ":":
        raise _fault(text, "unexpected character, want colon", rest)
    if len(rest) == 1:
        raise _fault(text, "colon must be followed by more characters", rest)
    rest = rest[1:]
    if rest[0] != ":":
        return rest, ellipsis
    if ellipsis >= 0:
        raise _fault(text, "multiple :: in address", rest)
    return rest[1:], count


def _expand(text: str, groups: list[int], ellipsis: int) -> int:
    missing = 8 - len(groups)
    if missing and ellipsis < 0:
        raise _fault(text, "address string too short")
    if not missing and ellipsis >= 0:
        raise _fault(text, "the :: must expand to at least one field of zeros")
    if missing:
        groups = groups[:ellipsis] + [0] * missing + groups[ellipsis:]
    number = 0
    for group in groups:
        number = number << 16 | group
    return number


@memoized
def parse_prefix(text: str) -> Prefix:
    """The prefix that the text is. Raises AddressError."""
    before, slash, bits = text.rpartition("/")
    if not slash:
        raise _prefix_fault(text, "no '/'")
    try:
        address = parse_address(before)
    except AddressError as error:
        raise _prefix_fault(text, str(error)) from None
    if address.zone:
        raise _prefix_fault(text, "IPv6 zones cannot be present in a prefix")
    length = _length(text, bits)
    if length > address.bits:
        raise _prefix_fault(text, "prefix length out of range")
    return Prefix(address, length)


def _length(text: str, bits: str) -> int:
    plain = bits.isascii() and bits.isdigit() and len(bits) < 19
    if not plain or (len(bits) > 1 and bits[0] == "0"):
        raise _prefix_fault(text, f"bad bits after slash: {quote(bits)}")
    return int(bits)


def _prefix_fault(text: str, message: str) -> AddressError:
    return AddressError(f"netip.ParsePrefix({quote(text)}): {message}")
