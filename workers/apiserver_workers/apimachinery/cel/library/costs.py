"""Cost functions that the libraries' rows share. Upstream: K/cel/library/cost.go, cel-go checker/cost.go, interpreter/runtimecost.go.

`traversal` is a tenth of a unit for each character, rounded up. Static costs see sizes as ranges, runtime costs as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..estimates import ONE, PATTERN, TRAVERSAL, CallEstimate, Operand, Range, Static
from ..text import pairs
from ..values import is_list, is_map, size_for_cost
from .row import of_result


def traversal(size: int) -> int:
    """A tenth of a unit for each element, rounded up."""
    return math.ceil(size * TRAVERSAL)


def traverse_first(args: Sequence[Any], _result: Any) -> int:
    """One traversal of the first argument, which is the target of a member function."""
    return traversal(size_for_cost(args[0]))


def traverse_first_twice(args: Sequence[Any], _result: Any) -> int:
    """A traversal, and the construction of the result."""
    return math.ceil(size_for_cost(args[0]) * 2 * TRAVERSAL)


@of_result
def traverse_result_twice(_args: Sequence[Any], result: Any) -> int:
    """The construction of the result, counted twice at run time."""
    return math.ceil(size_for_cost(result) * 2 * TRAVERSAL)


def traverse_smaller(args: Sequence[Any], _result: Any) -> int:
    """A traversal of the smaller of two arguments."""
    return traversal(min(size_for_cost(args[0]), size_for_cost(args[1])))


def traverse_both(args: Sequence[Any], _result: Any) -> int:
    """A traversal of two arguments one after the other."""
    return traversal(size_for_cost(args[0]) + size_for_cost(args[1]))


def traverse_product(args: Sequence[Any], _result: Any) -> int:
    """A traversal of the second argument for each step of the first."""
    return traversal(size_for_cost(args[0])) * traversal(size_for_cost(args[1]))


def match_pattern(args: Sequence[Any], _result: Any) -> int:
    """A pattern (second argument) run over a string (first)."""
    return traversal(1 + size_for_cost(args[0])) * math.ceil(size_for_cost(args[1]) * PATTERN)


def size_of_second(args: Sequence[Any], _result: Any) -> int:
    """One unit for each element of the second argument."""
    return size_for_cost(args[1])


def traverse_tree(args: Sequence[Any], _result: Any) -> int:
    """A traversal of a list with all that is in it: 1 for a scalar, a tenth for each byte of a string, rounded down."""
    return _tree(args[0])


def _tree(value: Any) -> int:
    if isinstance(value, str):
        return int(len(value.encode("utf-8", "surrogatepass")) * TRAVERSAL)
    if isinstance(value, bytes):
        return int(len(value) * TRAVERSAL)
    if is_list(value):
        return sum(map(_tree, value))
    if is_map(value):
        return sum(_tree(key) + _tree(item) for key, item in pairs(value))
    return 1


def allocating(factor: float, size: int) -> int:
    """A call that makes a new list: 1 for the call, 10 for the list, the factor for each element."""
    return int(size * factor) + 11


# static


def fixed(cost: int) -> Static:
    """The same cost whatever the arguments are."""
    estimate = CallEstimate(Range(cost, cost))
    return lambda _target, _args: estimate


def first(target: Operand | None, args: Sequence[Operand]) -> Operand:
    """The target, or the first argument of a global function."""
    return args[0] if target is None else target


def static_traverse(factor: float = TRAVERSAL, sized: bool = False) -> Static:
    """A traversal of the target or of the first argument; `sized`: the result is as long."""

    def estimate(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
        size = first(target, args).size
        return CallEstimate(size.factor(factor), size if sized else None)

    return estimate


def static_traverse_argument(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """A traversal of the first argument, not of the target."""
    return CallEstimate(args[0].size.factor(TRAVERSAL))


def static_match(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """A pattern run over the target."""
    return CallEstimate(_pattern_cost(first(target, args), args[-1]))


def static_find(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """A pattern run over the target; the result is no longer than that."""
    subject = first(target, args)
    return CallEstimate(_pattern_cost(subject, args[0]), Range(0, subject.size.max))


def _pattern_cost(subject: Operand, pattern: Operand) -> Range:
    return subject.size.plus(ONE).factor(TRAVERSAL).times(pattern.size.factor(PATTERN))


def static_product(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """A traversal of the argument for each step of the target."""
    subject = first(target, args)
    return CallEstimate(subject.size.factor(TRAVERSAL).times(args[-1].size.factor(TRAVERSAL)))


def static_compare(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """A traversal of the smaller of two arguments, at least 1 if neither is surely empty."""
    most = min(args[0].size.max, args[1].size.max)
    least = 1 if most > 0 else 0
    return CallEstimate(Range(least, most).factor(TRAVERSAL))


def static_concatenate(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """A traversal of both arguments."""
    size = args[0].size.plus(args[1].size)
    return CallEstimate(size.factor(TRAVERSAL), size)


def static_append(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """Lists are put together at once; the result is as long as both."""
    return CallEstimate(ONE, args[0].size.plus(args[1].size))


def static_in_list(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """One unit for each element of the list."""
    return CallEstimate(args[1].size.factor(1))


def static_tree(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    """A comparison of each element of a list, or a traversal of a string."""
    subject = first(target, args)
    element = subject.element
    if element is None:
        return CallEstimate(subject.size.factor(TRAVERSAL))
    each = ONE
    if element.type.name in ("string", "bytes"):
        each = each.plus(element.size.factor(TRAVERSAL))
    return CallEstimate(subject.size.times(each))


def static_allocating(factor: float, size: Range) -> CallEstimate:
    """A call that makes a new list of this size."""
    return CallEstimate(size.factor(factor).plus(Range(11, 11)), size)


def literal_int(node: Operand, otherwise: int) -> int:
    """A constant integer, 0 for a negative one; `otherwise` if the operand is no constant integer."""
    if type(node.literal) is not int or node.type.name != "int":
        return otherwise
    return max(node.literal, 0)
