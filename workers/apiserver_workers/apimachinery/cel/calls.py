"""Calls, comparisons and logical operators as closures.

Upstream charges a call after it has its arguments, errors among them: a call of one or two arguments evaluates them all
and is charged even if one failed, a call of more stops at the first that fails and is then not charged, unless that was
the last. A constant price is charged first, which comes to the same.

Upstream: cel-go interpreter/interpretable.go, interpreter/runtimecost.go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .attributes import Closure, Frame
from .equality import equal, not_equal
from .failures import CostExceeded, Failure, TooLong, no_such_overload
from .library.row import Runtime, is_of_result
from .values import MISSING, Opaque, Optional, size_for_cost


def over(frame: Frame) -> None:
    """The cost is above the frame's limit. Raises CostExceeded, or TooLong below the hard limit."""
    if frame[0] > frame[2]:
        raise CostExceeded
    raise TooLong


def attempt(closure: Closure, frame: Frame) -> Any:
    """The value, or the Failure as a value."""
    try:
        return closure(frame)
    except Failure as failure:
        return failure


def call(function: Callable[..., Any], args: Sequence[Closure], price: int | Runtime, stops: bool) -> Closure:
    """A call. `stops` says that later arguments are not evaluated after one that failed."""
    if not args:
        return _zero(function, price)
    if stops or len(args) > 2:
        return _many(function, tuple(args), price)
    if isinstance(price, int):
        return _fixed(function, args, price)
    if len(args) == 1:
        return _unary(function, args[0], price)
    return _binary(function, args[0], args[1], price)


def instant(called: Closure, price: int) -> Closure:
    """A call whose price stands for no time."""

    def run(frame: Frame) -> Any:
        value = called(frame)
        frame[1] = min(frame[1] + price, frame[2])
        return value

    return run


def _zero(function: Callable[..., Any], price: int | Runtime) -> Closure:
    def run(frame: Frame) -> Any:
        value = function()
        frame[0] += price if isinstance(price, int) else price((), value)
        return value

    return run


def _fixed(function: Callable[..., Any], args: Sequence[Closure], price: int) -> Closure:
    if len(args) == 1:
        (only,) = args

        def run_one(frame: Frame) -> Any:
            frame[0] += price
            return function(only(frame))

        return run_one
    left, right = args

    def run_two(frame: Frame) -> Any:
        frame[0] += price
        try:
            first = left(frame)
        except Failure:
            attempt(right, frame)
            raise
        return function(first, right(frame))

    return run_two


def with_constant(name: str, function: Callable[..., Any], left: Closure, constant: Any) -> Closure:
    """A call for 1 whose second argument is a constant."""
    if type(constant) is int and name in _ORDERS:
        return _ORDERS[name](function, left, constant)

    def run(frame: Frame) -> Any:
        frame[0] += 1
        return function(left(frame), constant)

    return run


def _less(function: Callable[..., Any], left: Closure, constant: int) -> Closure:
    def run(frame: Frame) -> Any:
        frame[0] += 1
        value = left(frame)
        return value < constant if type(value) is int else function(value, constant)

    return run


def _less_equals(function: Callable[..., Any], left: Closure, constant: int) -> Closure:
    def run(frame: Frame) -> Any:
        frame[0] += 1
        value = left(frame)
        return value <= constant if type(value) is int else function(value, constant)

    return run


def _greater(function: Callable[..., Any], left: Closure, constant: int) -> Closure:
    def run(frame: Frame) -> Any:
        frame[0] += 1
        value = left(frame)
        return value > constant if type(value) is int else function(value, constant)

    return run


def _greater_equals(function: Callable[..., Any], left: Closure, constant: int) -> Closure:
    def run(frame: Frame) -> Any:
        frame[0] += 1
        value = left(frame)
        return value >= constant if type(value) is int else function(value, constant)

    return run


_ORDERS = {"_<_": _less, "_<=_": _less_equals, "_>_": _greater, "_>=_": _greater_equals}


def _unary(function: Callable[..., Any], argument: Closure, price: Runtime) -> Closure:
    later = is_of_result(price)

    def run(frame: Frame) -> Any:
        try:
            value = argument(frame)
        except Failure as failure:
            frame[0] += price((failure,), failure)
            raise
        if later:
            return _call_and_charge(frame, function, (value,), price)
        frame[0] += price((value,), None)
        if frame[0] > frame[1]:
            over(frame)
        return function(value)

    return run


def _binary(function: Callable[..., Any], left: Closure, right: Closure, price: Runtime) -> Closure:
    later = is_of_result(price)

    def run(frame: Frame) -> Any:
        first = attempt(left, frame)
        second = attempt(right, frame)
        fault = _fault(first, second)
        if fault is not None:
            frame[0] += price((first, second), fault)
            raise fault
        if later:
            return _call_and_charge(frame, function, (first, second), price)
        frame[0] += price((first, second), None)
        if frame[0] > frame[1]:
            over(frame)
        return function(first, second)

    return run


def _call_and_charge(frame: Frame, function: Callable[..., Any], values: Sequence[Any], price: Runtime) -> Any:
    """A call whose price depends on the result."""
    try:
        result = function(*values)
    except Failure as failure:
        frame[0] += price(values, failure)
        raise
    frame[0] += price(values, result)
    if frame[0] > frame[1]:
        over(frame)
    return result


def _fault(first: Any, second: Any) -> Failure | None:
    if type(first) is Failure:
        return first
    return second if type(second) is Failure else None


def _many(function: Callable[..., Any], args: tuple[Closure, ...], price: int | Runtime) -> Closure:
    last = len(args) - 1
    cost: Runtime = _constantly(price) if isinstance(price, int) else price
    later = is_of_result(cost)

    def run(frame: Frame) -> Any:
        values: list[Any] = []
        for position, argument in enumerate(args):
            try:
                values.append(argument(frame))
            except Failure as failure:
                if position == last:
                    frame[0] += cost([*values, failure], failure)
                raise
        if later:
            return _call_and_charge(frame, function, values, cost)
        frame[0] += cost(values, None)
        if frame[0] > frame[1]:
            over(frame)
        return function(*values)

    return run


def _constantly(price: int) -> Runtime:
    return lambda _args, _result: price


# equality


def equality_price(left: Any, right: Any) -> int:
    """A tenth of the smaller size, rounded up; 1 for what is no string, list or map."""
    if isinstance(left, Opaque):
        return 1
    return inequality_price(left, right)


def inequality_price(left: Any, right: Any) -> int:
    """As that of equality, but libraries' own values count by their size."""
    return math.ceil(min(size_for_cost(left), size_for_cost(right)) * 0.1)


def equals(left: Closure, right: Closure, negated: bool) -> Closure:
    """left == right, or left != right."""
    function = not_equal if negated else equal
    price = inequality_price if negated else equality_price

    def run(frame: Frame) -> Any:
        first = attempt(left, frame)
        second = attempt(right, frame)
        if type(first) is str and type(second) is str:
            frame[0] += math.ceil(min(len(first), len(second)) * 0.1)
            return (first == second) is not negated
        frame[0] += price(first, second)
        fault = _fault(first, second)
        if fault is not None:
            raise fault
        return function(first, second)

    return run


def equals_constant(left: Closure, constant: Any, negated: bool) -> Closure:
    """left == constant for a string or an int."""
    kind = type(constant)
    general = not_equal if negated else equal
    price = inequality_price if negated else equality_price
    size = len(constant) if kind is str else 1

    def run(frame: Frame) -> Any:
        try:
            value = left(frame)
        except Failure as failure:
            frame[0] += price(failure, constant)
            raise
        if type(value) is kind:
            frame[0] += math.ceil(min(len(value), size) * 0.1) if kind is str else 1
            return (value == constant) is not negated
        frame[0] += price(value, constant)
        return general(value, constant)

    return run


# logic


def logical_and(left: Closure, right: Closure) -> Closure:
    """left && right: an error counts only if the other operand is not false."""

    def run(frame: Frame) -> bool:
        try:
            first = left(frame)
        except Failure as failure:
            return _absorb(right, frame, failure, False)
        if first is False:
            return False
        if first is not True:
            return _absorb(right, frame, no_such_overload(), False)
        second = right(frame)
        if second is True or second is False:
            return bool(second)
        raise no_such_overload()

    return run


def logical_or(left: Closure, right: Closure) -> Closure:
    """left || right: an error counts only if the other operand is not true."""

    def run(frame: Frame) -> bool:
        try:
            first = left(frame)
        except Failure as failure:
            return _absorb(right, frame, failure, True)
        if first is True:
            return True
        if first is not False:
            return _absorb(right, frame, no_such_overload(), True)
        second = right(frame)
        if second is True or second is False:
            return bool(second)
        raise no_such_overload()

    return run


def _absorb(right: Closure, frame: Frame, failure: Failure, deciding: bool) -> bool:
    if attempt(right, frame) is deciding:
        return deciding
    raise failure


# optional values


def optional_or(target: Closure, other: Closure, unwrapped: bool) -> Closure:
    """target.or(other), or target.orValue(other): `other` is evaluated only if the target has no value. Both are free."""

    def run(frame: Frame) -> Any:
        value = target(frame)
        if type(value) is not Optional:
            return value
        if value.value is not MISSING:
            return value.value if unwrapped else value
        return other(frame)

    return run
