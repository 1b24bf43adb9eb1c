"""Ranges of sizes and of costs, as the static cost estimate computes with them (upstream: cel-go checker/cost.go).

All numbers are unsigned 64 bit and saturate. A size that nobody knows is `UNKNOWN`, from 0 to the largest number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

LARGEST = 2**64 - 1
# Costs of one element: of a traversal, of a pattern's length (upstream: cel-go common/cost.go).
TRAVERSAL = 0.1
PATTERN = 0.25


def _saturate(number: int) -> int:
    return number if number < LARGEST else LARGEST


def times_factor(number: int, factor: float) -> int:
    """The product rounded up, at most `LARGEST`."""
    product = float(number) * factor
    if product > float(LARGEST):
        return LARGEST
    return _saturate(math.ceil(product))


class Range(NamedTuple):
    """The least and the most that a size or a cost can be."""

    min: int
    max: int

    def plus(self, other: Range) -> Range:
        """The sum of both."""
        return Range(_saturate(self.min + other.min), _saturate(self.max + other.max))

    def times(self, other: Range) -> Range:
        """The product of both."""
        return Range(_saturate(self.min * other.min), _saturate(self.max * other.max))

    def factor(self, factor: float) -> Range:
        """Each end times a factor, rounded up."""
        return Range(times_factor(self.min, factor), times_factor(self.max, factor))

    def union(self, other: Range) -> Range:
        """The least range that holds both."""
        return Range(min(self.min, other.min), max(self.max, other.max))


UNKNOWN = Range(0, LARGEST)
ZERO = Range(0, 0)
ONE = Range(1, 1)


class Operand(Protocol):
    """What a static cost may ask of a call's target and arguments."""

    @property
    def size(self) -> Range:
        """The size: computed, else from the literal, the schema or the type, else `UNKNOWN`."""

    @property
    def computed(self) -> Range | None:
        """The size if an earlier step computed it."""

    @property
    def type(self) -> Any:
        """The checked type (types.py)."""

    @property
    def literal(self) -> Any:
        """The constant's value, None if the operand is not a constant."""

    @property
    def element(self) -> Operand | None:
        """The elements of a list; None if the type has no parameter."""


class CallEstimate(NamedTuple):
    """What a call costs without its arguments, and the size of its result if that is known."""

    cost: Range
    size: Range | None = None


# (target, arguments): the target is None for a global function.
Static = Callable[[Operand | None, Sequence[Operand]], CallEstimate]
