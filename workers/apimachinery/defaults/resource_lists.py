"""Resource lists (cpu, memory, ...): upstream stores no amount finer than a thousandth, and rounds finer ones up."""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal

from workers.apimachinery.defaults.rules import Defaulter, Object, split, structs

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_QUANTITY = re.compile(r"([+-]?[0-9.]+)(?:([numkMGTPE]?)|([KMGTPE]i)|[eE]([+-]?[0-9]+))")
_MILLI = Decimal("0.001")


def amount(quantity: str) -> Decimal:
    """The number a canonical quantity stands for."""
    match = _QUANTITY.fullmatch(quantity)
    if match is None:
        raise ValueError(f"not a quantity: {quantity!r}")
    number, decimal, binary, exponent = match.groups()
    if binary:
        return Decimal(number) * 1024 ** _BINARY[binary]
    return Decimal(number).scaleb(int(exponent) if exponent else _DECIMAL[decimal or ""])


def canonical(number: Decimal, like: str) -> str:
    """The canonical quantity for a number of thousandths or coarser, in the notation of the quantity `like`."""
    if like[-1:] == "i" and number == number.to_integral_value() and abs(number) >= 1024:
        return _scaled(int(number), 1024, ("", *_BINARY))
    thousandths = int((number / _MILLI).to_integral_value(ROUND_UP))
    if re.search(r"[eE][+-]?[0-9]", like):
        exponent = _scaled(thousandths, 1000, tuple(f"e{power}" for power in range(-3, 21, 3)))
        return exponent.removesuffix("e0")
    return _scaled(thousandths, 1000, ("m", "", "k", "M", "G", "T", "P", "E"))


def _scaled(number: int, base: int, units: tuple[str, ...]) -> str:
    step = 0
    while number and number % base == 0 and step < len(units) - 1:
        number, step = number // base, step + 1
    return f"{number}{units[step]}" if number else "0"


def round_list(resources: Object | None) -> None:
    """Round a resource list's quantities up to thousandths, in place."""
    for name, quantity in (resources or {}).items():
        # cheap first: almost every quantity is an integer or has a unit that is coarse enough
        if isinstance(quantity, str) and ("u" in quantity or "n" in quantity or "e-" in quantity):
            resources[name] = canonical(amount(quantity), quantity)  # type: ignore[index]


def resource_lists(path: str, *fields: str) -> Defaulter:
    """A rule: the named fields of the structs at path are resource lists."""
    steps = split(path)

    def default(obj: Object) -> None:
        for struct in structs(obj, steps):
            for name in fields:
                round_list(struct.get(name))

    return default
