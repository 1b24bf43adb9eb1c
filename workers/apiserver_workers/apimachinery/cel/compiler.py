"""Expressions to programs: parse, check, validate, build, each only if the step before found nothing.

Upstream: cel-go cel/env.go (Env.Compile), cel/program.go; apiserver/pkg/admission/plugin/cel/compile.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from . import cost
from .ast import Checked, Expr
from .checker import check
from .declarations import Declarations
from .env import Environment
from .estimates import Range
from .faults import NOWHERE, CompileError, Fault
from .lexer import Unlexable, tokenize
from .parser import Parser, Syntax, SyntaxFailure
from .program import Program, build
from .syntax import explain
from .validators import validate

LONGEST_SOURCE = 100_000
_CACHED_PROGRAMS = 4096


def parse_expression(source: str, syntax: Syntax) -> Expr:
    """The tree of a source with its macros expanded.

    Raises CompileError for a source that is too long, too deep, not in the grammar, or has other faults.
    """
    if len(source) > LONGEST_SOURCE:
        message = f"expression code point size exceeds limit: size: {len(source)}, limit {LONGEST_SOURCE}"
        raise CompileError(source, [Fault(NOWHERE, message)])
    try:
        parser = Parser(tokenize(source), syntax)
        tree = parser.parse()
    except (Unlexable, SyntaxFailure):
        raise CompileError(source, explain(source, syntax)) from None
    if parser.faults:
        raise CompileError(source, parser.faults)
    return tree


def check_expression(source: str, environment: Environment, declarations: Declarations) -> Checked:
    """The checked tree of an expression. Raises CompileError, whose text is upstream's."""
    expression = parse_expression(source, environment.syntax)
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
