"""Expressions to programs: parse, check, validate, build, each only if the step before found nothing.

Upstream: cel-go cel/env.go (Env.Compile), cel/program.go; apiserver/pkg/admission/plugin/cel/compile.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from . import cost
from .ast import Checked
from .checker import check
from .declarations import Declarations
from .env import Environment
from .estimates import Range
from .faults import CompileError
from .parser import parse
from .program import Program, build
from .validators import validate

_CACHED_PROGRAMS = 4096


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


@dataclass(frozen=True, slots=True)
class Compiled:
    """An expression that can be run: `program.run(activation, limit)`."""

    checked: Checked
    program: Program


@lru_cache(maxsize=_CACHED_PROGRAMS)
def compile_expression(source: str, environment: Environment, declarations: Declarations) -> Compiled:
    """The program of an expression; the same one for the same environment and the same declarations object.

    Raises CompileError, and ProgramFault if constant parts of the expression cannot be evaluated.
    """
    checked = check_expression(source, environment, declarations)
    return Compiled(checked, build(checked, environment.by_name, declarations.schemas))
