"""Expressions to checked trees: parse, check, validate, each only if the step before found nothing.

Upstream: cel-go cel/env.go (Env.Compile).
"""

from __future__ import annotations

from . import cost
from .ast import Checked
from .checker import check
from .declarations import Declarations
from .env import Environment
from .estimates import Range
from .faults import CompileError
from .parser import parse
from .validators import validate


def check_expression(source: str, environment: Environment, declarations: Declarations) -> Checked:
    """The checked tree of an expression. Raises CompileError, whose text is upstream's."""
    expression = parse(source, environment.syntax)
    checked = check(source, expression, environment.scope(declarations))
    faults = validate(checked, environment.rows, literals=environment.checks_literals)
    if faults:
        raise CompileError(source, faults)
    return checked


def estimate_cost(checked: Checked, environment: Environment, declarations: Declarations) -> Range:
    """Between how much and how much one evaluation costs."""
    return cost.estimate(checked, environment.statics, declarations.root)
