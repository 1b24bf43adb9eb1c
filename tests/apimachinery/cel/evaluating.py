"""Expressions compiled and run as programs, for the tests of this folder."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.cel import ast
from apiserver_workers.apimachinery.cel.compiler import check_expression
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.env import PATCH, environment
from apiserver_workers.apimachinery.cel.program import Outcome, Program, build
from apiserver_workers.apimachinery.cel.schema import Declared, declare
from apiserver_workers.apimachinery.cel.types import Type, parse_type

ENVIRONMENT = environment(36, PATCH)
LIMIT = 1_000_000


def compiled(expression: str, variables: dict[str, str] | None = None) -> tuple[ast.Checked, Program]:
    """The checked tree and the program of an expression; `variables` gives the text of each variable's type."""
    types = {name: parse_type(text) for name, text in (variables or {}).items()}
    checked = check_expression(expression, ENVIRONMENT, Declarations(variables=types))
    return checked, build(checked, ENVIRONMENT.by_name)


def evaluate(expression: str, /, *, limit: int = LIMIT, **values: Any) -> Outcome:
    """The outcome of an expression whose variables have no declared type."""
    program = compiled(expression, dict.fromkeys(values, "dyn"))[1]
    return program.run(values, limit)


def value(expression: str, /, **values: Any) -> Any:
    """The value of an expression that does not fail."""
    outcome = evaluate(expression, **values)
    assert outcome.failure is None, outcome.failure
    return outcome.value


def failure(expression: str, /, **values: Any) -> str:
    """The error text of an expression that fails."""
    outcome = evaluate(expression, **values)
    assert outcome.failure is not None, outcome.value
    return str(outcome.failure)


def cost(expression: str, /, **values: Any) -> int:
    """What evaluating an expression costs."""
    return evaluate(expression, **values).cost


def rule(expression: str, schema: dict[str, Any], **variables: Any) -> Outcome:
    """The outcome of a rule of a custom resource: `self` and perhaps `oldSelf` are JSON of the schema."""
    declared = declare(schema)
    assert declared is not None
    return rule_program(expression, declared).run(variables, LIMIT)


def rule_program(expression: str, declared: Declared) -> Program:
    """The program of a rule of a custom resource."""
    types: dict[str, Type] = {"self": declared.type, "oldSelf": declared.type}
    declarations = Declarations(variables=types, structs=declared.structs, root=declared)
    checked = check_expression(expression, ENVIRONMENT, declarations)
    return build(checked, ENVIRONMENT.by_name, {"self": declared, "oldSelf": declared})
