"""How an evaluation ends without a value.

A `Failure` is an error of the expression: `&&`, `||`, `all` and `exists` absorb it if another operand decides. An
`Interrupt` ends the evaluation whatever surrounds it.
"""

from __future__ import annotations

from typing import Any


class Failure(Exception):
    """An error of evaluation; its text is upstream's."""


class Interrupt(Exception):
    """The evaluation cannot go on here; nothing in the expression absorbs it."""


class CostExceeded(Interrupt):
    """The evaluation cost more than its limit."""

    def __init__(self) -> None:
        super().__init__("operation cancelled: actual cost limit exceeded")


class TooLong(Interrupt):
    """The evaluation cost more than the soft limit: start it again off the event loop, with the hard limit alone."""


class NeedDecision(Interrupt):
    """`authorizer…check()` needs a decision that the activation's memo does not have yet.

    `attributes` is hashable: decide, put the decision under it into the memo, start again.
    """

    def __init__(self, attributes: Any) -> None:
        super().__init__("an authorization decision is missing")
        self.attributes = attributes


def no_such_overload(function: str = "") -> Failure:
    """The error of a call whose arguments have types that no overload takes."""
    return Failure(f"no such overload: {function}" if function else "no such overload")
