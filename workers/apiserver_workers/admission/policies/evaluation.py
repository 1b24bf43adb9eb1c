"""Runs the expressions of a policy: the values that they see, their budget, and the values of its variables.

One `Activation` is what a group of expressions shares: match conditions, validations, messages and audit annotations
have one each, so that a variable is worked out, and paid for, once in each group. An expression runs where it is called;
one that takes long, or needs an authorizer's decision, is started again as `registry/cel_evaluation.py` says.

Upstream: apiserver/pkg/admission/plugin/cel/activation.go, condition.go, composition.go.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from apiserver_workers.apimachinery.cel.failures import Failure, NeedDecision, TooLong
from apiserver_workers.apimachinery.cel.library.authz import Answer, Question
from apiserver_workers.apimachinery.cel.program import Outcome, Program
from apiserver_workers.apimachinery.cel.text import quote
from apiserver_workers.apimachinery.cel.values import Fields
from apiserver_workers.registry.cel_evaluation import PER_CALL_LIMIT, SOFT_LIMIT, Decide, evaluate

# What the expressions of one group may cost together, for one binding and parameter.
BUDGET = 10_000_000
MATCH_CONDITIONS_BUDGET = PER_CALL_LIMIT * 5 // 2

OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


class OutOfBudget(Exception):
    """The expressions of a group cost more than they may together; its text is upstream's."""

    def __init__(self) -> None:
        super().__init__(OUT_OF_BUDGET)


class Expression(NamedTuple):
    """A compiled expression; without a program `fault` says why it does not compile."""

    source: str
    program: Program | None
    fault: str = ""


class Result(NamedTuple):
    """What one expression came to: a value, or what went wrong (not "")."""

    value: Any
    error: str = ""


class Checks(NamedTuple):
    """The authorizer of a request: the decisions that are known, and who makes others."""

    memo: dict[Question, Answer]
    decide: Decide


class Pace:
    """Lets other requests have their turn between the expressions of one: each may be short, but there may be many."""

    __slots__ = ("_cost",)

    def __init__(self) -> None:
        self._cost = 0

    async def after(self, cost: int) -> None:
        """Wait for the next turn of the event loop if enough has been evaluated in this one."""
        self._cost += cost
        if self._cost > SOFT_LIMIT:
            self._cost = 0
            await asyncio.sleep(0)


class Activation:
    """The values of variables for one group of expressions, and what the group may still cost.

    `checks` is None where expressions have no authorizer.
    """

    __slots__ = ("_checks", "_pace", "_soft", "_spent", "_values", "_variables", "budget")

    def __init__(
        self,
        values: Mapping[str, Any],
        variables: Mapping[str, Expression],
        budget: int,
        pace: Pace,
        checks: Checks | None = None,
    ) -> None:
        """`variables` are those that are composed of expressions, in the order in which they are declared."""
        self._values = dict(values)
        self._checks = checks
        self._pace = pace
        self._variables = variables
        self._spent = 0
        self._soft: int | None = SOFT_LIMIT
        self.budget = budget
        if variables:
            self._values["variables"] = Fields({name: functools.partial(self._variable, name) for name in variables})

    async def run(self, expression: Expression) -> Result:
        """The result of an expression. Raises OutOfBudget."""
        program = expression.program
        if program is None:
            return Result(None, f"compilation error: {expression.fault}")
        self._soft = SOFT_LIMIT
        try:
            outcome = program.run(self._values, PER_CALL_LIMIT, SOFT_LIMIT)
        except (TooLong, NeedDecision):
            outcome = await self._again(program)
        await self._pace.after(outcome.cost + self._spent)
        self._pay(self._spent)
        self._spent = 0
        self._pay(outcome.cost)
        if outcome.failure is not None:
            return Result(None, f"expression '{expression.source}' resulted in error: {outcome.failure}")
        return Result(outcome.value)

    async def run_all(self, expressions: Sequence[Expression | None]) -> list[Result | None]:
        """The results of a group's expressions; None where there is no expression. Raises OutOfBudget."""
        return [None if expression is None else await self.run(expression) for expression in expressions]

    async def _again(self, program: Program) -> Outcome:
        memo, decide = (None, None) if self._checks is None else self._checks
        return await evaluate(program, self._values, PER_CALL_LIMIT, memo=memo, decide=decide, lift=self._lift)

    def _lift(self) -> None:
        """Variables may take long as well: the evaluation is off the event loop now."""
        self._soft = None

    def _pay(self, cost: int) -> None:
        if cost > self.budget:
            raise OutOfBudget
        self.budget -= cost

    def _variable(self, name: str) -> Any:
        """The value of a composed variable. Raises Failure."""
        expression = self._variables[name]
        if expression.program is None:
            raise Failure(f"composited variable {quote(name)} fails to compile: {expression.fault}")
        outcome = expression.program.run(self._values, PER_CALL_LIMIT, self._soft)
        self._spent += outcome.cost
        if outcome.failure is not None:
            raise Failure(f"composited variable {quote(name)} fails to evaluate: {outcome.failure}")
        return outcome.value
