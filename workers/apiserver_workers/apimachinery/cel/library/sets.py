"""The sets extension: sets.contains, sets.equivalent, sets.intersects of lists. Upstream: cel-go ext/sets.go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..equality import contains
from ..estimates import ONE, CallEstimate, Operand, Static
from ..values import size_for_cost
from .row import Row, Runtime


def sets_contains(items: Any, part: Any) -> bool:
    """Whether every element of `part` is in `items`. Raises Failure."""
    return all(contains(items, element) for element in part)


def equivalent(left: Any, right: Any) -> bool:
    """Whether each list has every element of the other. Raises Failure."""
    return sets_contains(left, right) and sets_contains(right, left)


def intersects(left: Any, right: Any) -> bool:
    """Whether an element is in both lists. Raises Failure."""
    return any(contains(right, element) for element in left)


def _static(factor: float) -> Static:
    def estimate(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
        return CallEstimate(args[0].size.times(args[1].size).factor(factor).plus(ONE))

    return estimate


def _runtime(factor: int) -> Runtime:
    return lambda args, _result: 1 + size_for_cost(args[0]) * size_for_cost(args[1]) * factor


def _row(name: str, function: Callable[..., Any], factor: int) -> Row:
    return Row(
        f"list_sets_{name}_list",
        f"sets.{name}",
        ("list(T)", "list(T)"),
        "bool",
        function,
        static=_static(factor),
        runtime=_runtime(factor),
        since=29,
        library="sets",
    )


ROWS: tuple[Row, ...] = (
    _row("contains", sets_contains, 1),
    _row("equivalent", equivalent, 2),
    _row("intersects", intersects, 1),
)
