"""Quantities: quantity('1.5Gi').add(…) … Upstream: K/cel/library/quantity.go."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from apiserver_workers.apimachinery import quantity as quantities

from ..failures import Failure
from ..values import INT_MAX, INT_MIN, Opaque
from . import costs
from .row import Row

_Q = "kubernetes.Quantity"
_NANO = quantities.NANO


class Quantity(Opaque):
    """kubernetes.Quantity: an exact number in nano units and the format it is written in."""

    __slots__ = ("format", "nano")
    type_name = _Q

    def __init__(self, nano: int, form: str) -> None:
        self.nano = nano
        self.format = form

    def __eq__(self, other: object) -> bool:
        return type(other) is Quantity and other.nano == self.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __str__(self) -> str:
        return quantities.write(self.nano, self.format)


def from_string(text: str) -> Quantity:
    """quantity(text). Raises Failure."""
    try:
        parsed = quantities.parse(text)
    except quantities.QuantityError as error:
        raise Failure(str(error)) from None
    return Quantity(parsed.nano, parsed.format)


def is_quantity(text: str) -> bool:
    """isQuantity(text)"""
    try:
        quantities.parse(text)
    except quantities.QuantityError:
        return False
    return True


def is_integer(quantity: Quantity) -> bool:
    """Whether the number is a whole one that an int can hold."""
    whole, rest = divmod(quantity.nano, _NANO)
    return not rest and INT_MIN <= whole <= INT_MAX


def as_integer(quantity: Quantity) -> int:
    """The number as an int. Raises Failure."""
    if not is_integer(quantity):
        raise Failure("cannot convert value to integer")
    return quantity.nano // _NANO


def as_float(quantity: Quantity) -> float:
    """The number as a double, as near as that comes."""
    return float(Decimal(quantity.nano).scaleb(-9))


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def compare(quantity: Quantity, other: Quantity) -> int:
    """-1, 0 or 1."""
    return _sign(quantity.nano - other.nano)


def _add(quantity: Quantity, nano: int, form: str) -> Quantity:
    """Zero takes the format of what is added to it."""
    return Quantity(quantity.nano + nano, form if quantity.nano == 0 else quantity.format)


def _row(identifier: str, name: str, args: tuple[str, ...], result: str, function: Callable[..., Any]) -> Row:
    return Row(identifier, name, args, result, function, member=True, by_name=True, since=28, library="quantity")


def _parsing(identifier: str, name: str, result: str, function: Callable[..., Any]) -> Row:
    return Row(
        identifier,
        name,
        ("string",),
        result,
        function,
        static=costs.static_traverse(),
        runtime=costs.traverse_first,
        by_name=True,
        since=28,
        library="quantity",
    )


ROWS: tuple[Row, ...] = (
    _parsing("string_to_quantity", "quantity", _Q, from_string),
    _parsing("is_quantity_string", "isQuantity", "bool", is_quantity),
    # Upstream declares `sign` as a global function.
    Row(
        "quantity_sign",
        "sign",
        (_Q,),
        "int",
        lambda quantity: _sign(quantity.nano),
        by_name=True,
        since=28,
        library="quantity",
    ),
    _row("quantity_is_greater_than", "isGreaterThan", (_Q, _Q), "bool", lambda left, right: left.nano > right.nano),
    _row("quantity_is_less_than", "isLessThan", (_Q, _Q), "bool", lambda left, right: left.nano < right.nano),
    _row("quantity_compare_to", "compareTo", (_Q, _Q), "int", compare),
    _row("quantity_get_float", "asApproximateFloat", (_Q,), "double", as_float),
    _row("quantity_get_int", "asInteger", (_Q,), "int", as_integer),
    _row("quantity_is_integer", "isInteger", (_Q,), "bool", is_integer),
    _row("quantity_add", "add", (_Q, _Q), _Q, lambda left, right: _add(left, right.nano, right.format)),
    _row(
        "quantity_add_int", "add", (_Q, "int"), _Q, lambda left, right: _add(left, right * _NANO, quantities.EXPONENT)
    ),
    _row("quantity_sub", "sub", (_Q, _Q), _Q, lambda left, right: _add(left, -right.nano, right.format)),
    _row(
        "quantity_sub_int", "sub", (_Q, "int"), _Q, lambda left, right: _add(left, -right * _NANO, quantities.EXPONENT)
    ),
)
