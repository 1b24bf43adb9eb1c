"""Quantities: `500m`, `1.5Gi`, `12e6`, parsed and written as Kubernetes' resource.Quantity does.

A quantity is a decimal number in one of three formats, told by its suffix. Its canonical form has the largest suffix
that leaves no fraction and at most nano precision (rounded away from zero). A text that is canonical by a cheap look
is kept as it was written; that look is upstream's too, so `1.500` stays and `1.50` becomes `1500m`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import NamedTuple

from apiserver_workers.apimachinery.memo import memoized

BINARY, DECIMAL, EXPONENT = "BinarySI", "DecimalSI", "DecimalExponent"

# No part may begin with what the part before it may go on with: else a long text takes quadratic time.
_PATTERN = re.compile(
    r"([+-]?)0*((?:[1-9][0-9]*)?)(?:\.([0-9]*))?((?:[eEinumkKMGTP]+[+-]?[0-9]*|[+-][0-9]*)?)", re.ASCII
)
_EXPONENT = re.compile(r"[eE][+-]?[0-9]{1,18}", re.ASCII)

_DECIMAL_SUFFIXES = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY_SUFFIXES = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_NAMES = {exponent: suffix for suffix, exponent in _DECIMAL_SUFFIXES.items()}
_BINARY_NAMES = {exponent: suffix for suffix, exponent in _BINARY_SUFFIXES.items()}

NANO = 10**9
_MAX = (2**63 - 1) * NANO
_FAST_DIGITS = 18
_MOST_DIGITS = 1000
_LARGEST_EXPONENT = 1000

FORMAT_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
SUFFIX_ERROR = "unable to parse quantity's suffix"


class QuantityError(ValueError):
    """The text is no quantity; the message is upstream's."""


class Quantity(NamedTuple):
    """A value in nano units (an int, so exact), the format it was written in, and its canonical text."""

    nano: int
    format: str
    text: str

    @property
    def value(self) -> Decimal:
        """The number itself."""
        return Decimal(self.nano).scaleb(-9)

    @property
    def milli(self) -> int:
        """In thousandths, rounded away from zero as upstream's MilliValue."""
        return _round_up(self.nano, 10**6)

    @property
    def whole(self) -> int:
        """In whole units, rounded away from zero as upstream's Value."""
        return _round_up(self.nano, NANO)


@memoized
def parse(text: str) -> Quantity:
    """The quantity that the text stands for. Raises QuantityError with upstream's message."""
    match = _PATTERN.fullmatch(text)
    if match is None or not text:
        raise QuantityError(FORMAT_ERROR)
    sign, whole, fraction, suffix = match.groups()
    whole, fraction = whole or "0", fraction or ""
    exponent, form = _suffix(suffix)
    if len(whole) + len(fraction) > _MOST_DIGITS:
        raise QuantityError(FORMAT_ERROR)
    digits = int(whole + fraction)
    if form == BINARY:
        nano = _round_up((digits << exponent) * NANO, 10 ** len(fraction))
    else:
        scale = exponent - len(fraction) + 9
        nano = digits * 10**scale if scale >= 0 else _round_up(digits, 10**-scale)
    if form == BINARY and nano > _MAX:
        nano = _MAX
    kept = _is_canonical(whole, fraction, exponent, form)
    if form == BINARY and 0 < nano < NANO:
        form = DECIMAL
    if sign == "-":
        nano = -nano
    return Quantity(nano, form, text if kept else write(nano, form))


@memoized
def canonical(text: str) -> str:
    """The canonical form of a quantity's text. Raises QuantityError with upstream's message."""
    return parse(text).text


def write(nano: int, form: str) -> str:
    """The canonical text of a value in nano units."""
    if nano == 0:
        return "0"
    sign, nano = ("-", -nano) if nano < 0 else ("", nano)
    if form == BINARY and nano >= 1024 * NANO and nano % NANO == 0:
        number, exponent = _factor_out(nano // NANO, 1024, 0, 10, 60)
        return f"{sign}{number}{_BINARY_NAMES.get(exponent, '')}"
    if form == EXPONENT:
        number, exponent = _factor_out(nano, 1000, -9, 3, _LARGEST_EXPONENT)
        return f"{sign}{number}e{exponent}" if exponent else f"{sign}{number}"
    number, exponent = _factor_out(nano, 1000, -9, 3, 18)
    return f"{sign}{number}{_DECIMAL_NAMES[exponent]}"


def _suffix(suffix: str) -> tuple[int, str]:
    """The exponent and the format that a suffix stands for."""
    if suffix in _DECIMAL_SUFFIXES:
        return _DECIMAL_SUFFIXES[suffix], DECIMAL
    if suffix in _BINARY_SUFFIXES:
        return _BINARY_SUFFIXES[suffix], BINARY
    if _EXPONENT.fullmatch(suffix):
        return max(-_LARGEST_EXPONENT, min(_LARGEST_EXPONENT, int(suffix[1:]))), EXPONENT
    raise QuantityError(SUFFIX_ERROR)


def _is_canonical(whole: str, fraction: str, exponent: int, form: str) -> bool:
    """Upstream's cheap look at whether a text can stay as it is, sign and leading zeros included."""
    shifted = whole + fraction
    if form == BINARY:
        room = _FAST_DIGITS - 4 - len(whole) - exponent * 3 // 10
        return not fraction and room >= 0 and int(whole) & 7 != 0
    scale = exponent - len(fraction)
    fits = len(shifted) <= _FAST_DIGITS and scale >= -9
    return fits and scale % 3 == 0 and not shifted.endswith("000") and shifted[0] != "0"


def _factor_out(number: int, factor: int, exponent: int, step: int, limit: int) -> tuple[int, int]:
    while number % factor == 0 and exponent < limit:
        number //= factor
        exponent += step
    return number, exponent


def _round_up(number: int, divisor: int) -> int:
    """Division that rounds away from zero."""
    return -(-number // divisor) if number >= 0 else number // divisor
