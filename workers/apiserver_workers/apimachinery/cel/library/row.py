"""One overload of a CEL function: everything that the checker, both costs and the evaluation know of it.

The types of arguments and of the result are written as the checker prints them: `list(A)`, `map(K, V)`,
`optional_type(V)`, `type(A)`, `kubernetes.Quantity`; a single capital letter is a type parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..estimates import Static

# (arguments with the target first, result) -> cost. One that looks at the result is marked by `of_result`.
Runtime = Callable[[Sequence[Any], Any], int]
_OF_RESULT: set[Runtime] = set()


def of_result(price: Runtime) -> Runtime:
    """Marks a price that depends on the result; any other is charged before the call does its work."""
    _OF_RESULT.add(price)
    return price


def is_of_result(price: Runtime) -> bool:
    """Whether the price depends on the result."""
    return price in _OF_RESULT


@dataclass(frozen=True, slots=True)
class Row:
    """An overload.

    `static` estimates the cost of a call without its arguments; None stands for 1. `runtime` is what a call costs:
    a number, or a function of the arguments and the result. Upstream charges standard functions by overload, and only
    when the checker found exactly one; `by_name` says that the cost holds for calls of several candidate overloads too.
    `since` is the first minor of Kubernetes that has the overload, in the form 1.27 → 27; `until` is the first without.
    `library` names the group that an environment switches on as a whole. `guarded` functions are called only with
    arguments of the row's types, and the error of others names their types; the rest look at their arguments themselves.
    """

    id: str
    name: str
    args: tuple[str, ...]
    result: str
    function: Callable[..., Any] | None
    member: bool = False
    static: Static | None = None
    runtime: int | Runtime = 1
    by_name: bool = False
    since: int = 0
    until: int = 99
    library: str = "std"
    guarded: bool = True
    # The cost is a price, not time: a soft limit, which is about time, moves up by it.
    instant: bool = False
    # Only the parser and the checker may use the overload's name: it has no spelling in the source.
    hidden: bool = False
