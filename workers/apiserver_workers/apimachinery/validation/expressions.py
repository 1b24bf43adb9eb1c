"""Expressions of admission policies and of match conditions, compiled when they are written.

An expression that the object has already compiles in the environment of stored expressions, every other one in that of
new expressions (`cel/env.py`). A policy's variables have the types of their expressions in all expressions that follow.
Nothing is kept of what is compiled here: an object of many long expressions must not hold memory after its request.
Whoever runs stored expressions keeps their programs (`Expressions.program`).

Upstream: apiserver/pkg/admission/plugin/cel/compile.go, composition.go; the results are those of policy/validating,
policy/mutating and webhook/matchconditions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.cel.ast import Checked
from apiserver_workers.apimachinery.cel.compiler import check_expression
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.env import Environment
from apiserver_workers.apimachinery.cel.faults import CompileError
from apiserver_workers.apimachinery.cel.program import Program, ProgramFault, build
from apiserver_workers.apimachinery.cel.schema import DeclaredField
from apiserver_workers.apimachinery.cel.types import BOOL, NULL, STRING, Type, list_of, struct
from apiserver_workers.apimachinery.cel.variables import admission_declarations, variable, with_variables
from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.validation.field import Errors, internal_error, invalid


@dataclass(frozen=True, slots=True)
class Use:
    """What a field's expression may come to, and what it may use.

    No `results` are any result; `authorizer` says that there is one, `patch` that there are the types of patches.
    """

    results: tuple[Type, ...] = ()
    authorizer: bool = True
    patch: bool = False


CONDITION = Use((BOOL,))
MESSAGE = Use((STRING,), authorizer=False)
ANNOTATION = Use((STRING, NULL))
VARIABLE = Use()
APPLY_CONFIGURATION = Use((struct("Object"),), patch=True)
JSON_PATCH = Use((list_of(struct("JSONPatch")),), patch=True)


class Refused(Exception):
    """An expression that may not be written; `broken` says that the program and not the source is the reason."""

    def __init__(self, detail: str, *, broken: bool = False) -> None:
        super().__init__(detail)
        self.broken = broken

    def as_error(self, path: str, shown: str) -> FieldError:
        """The cause of a Status; `shown` is the expression."""
        return internal_error(path, str(self)) if self.broken else invalid(path, shown, str(self))


class Expressions:
    """The expressions of one object, given in the order in which they are written.

    `params` says that there are parameters, `composed` that there are variables. `matching` gives the same without
    variables, for match conditions.
    """

    def __init__(self, *, params: bool, composed: bool) -> None:
        self._params = params
        self._fields: dict[str, DeclaredField] | None = {} if composed else None

    def matching(self) -> Expressions:
        """For conditions that decide whether the policy is looked at at all."""
        return Expressions(params=self._params, composed=False)

    def validate(self, use: Use, source: str, path: str, stored: bool, shown: str | None = None) -> Errors:
        """What is wrong with an expression; errors show `shown`, else the expression."""
        try:
            self._compile(use, source, stored)
        except Refused as refused:
            return [refused.as_error(path, source if shown is None else shown)]
        return []

    def declare(self, name: str, source: str, path: str, stored: bool) -> Errors:
        """What is wrong with a variable's expression; expressions that follow know the variable in any case."""
        assert self._fields is not None
        result: Type | None = None
        errors: Errors = []
        try:
            result = self._compile(VARIABLE, source, stored)
        except Refused as refused:
            errors.append(refused.as_error(path, source))
        self._fields[name] = variable(name, result)
        return errors

    def program(self, use: Use, source: str) -> Program:
        """The program of a stored expression, to be run with plain JSON. Raises Refused."""
        return build_program(*self._check(use, source, stored=True), plain=True)

    def variable(self, name: str, source: str) -> Program:
        """The program of a stored variable, which expressions that follow know in any case. Raises Refused."""
        assert self._fields is not None
        result: Type | None = None
        try:
            checked, environment, declarations = self._check(VARIABLE, source, stored=True)
            result = checked.type
        finally:
            self._fields[name] = variable(name, result)
        return build_program(checked, environment, declarations, plain=True)

    def _compile(self, use: Use, source: str, stored: bool) -> Type:
        checked, environment, declarations = self._check(use, source, stored)
        build_program(checked, environment, declarations)
        return checked.type

    def _check(self, use: Use, source: str, stored: bool) -> tuple[Checked, Environment, Declarations]:
        extra = (env.PATCH,) if use.patch else ()
        environment = env.stored_expressions(*extra) if stored else env.new_expressions(*extra)
        declarations = admission_declarations(params=self._params, authorizer=use.authorizer, patch=use.patch)
        if self._fields is not None:
            declarations = with_variables(declarations, self._fields)
        checked = compile_checked(source, environment, declarations)
        if use.results and checked.type not in use.results:
            raise Refused(f"{expected(use.results)} but got {checked.type.long_text}")
        return checked, environment, declarations


def compile_checked(source: str, environment: Environment, declarations: Declarations) -> Checked:
    """The checked tree of an expression. Raises Refused."""
    try:
        return check_expression(source, environment, declarations)
    except CompileError as error:
        raise Refused(f"compilation failed: {error}") from None


def build_program(
    checked: Checked, environment: Environment, declarations: Declarations, *, plain: bool = False
) -> Program:
    """The program of a checked expression. `plain` takes all values as they are, as policies do. Raises Refused."""
    try:
        return build(checked, environment.by_name, {} if plain else declarations.schemas)
    except ProgramFault as fault:
        raise Refused(f"program instantiation failed: {fault}", broken=True) from None


def expected(results: Collection[Type]) -> str:
    """What an expression of another type is told."""
    texts = [result.long_text for result in results]
    return f"must evaluate to {texts[0]}" if len(texts) == 1 else f"must evaluate to one of [{' '.join(texts)}]"
