"""Rules of schemas (x-kubernetes-validations) to programs, with their costs.

Upstream: apiextensions-apiserver/pkg/apiserver/schema/cel/compilation.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from apiserver_workers.apimachinery.cel.compiler import check_expression, estimate_cost
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.env import Environment
from apiserver_workers.apimachinery.cel.faults import CompileError
from apiserver_workers.apimachinery.cel.program import Program, ProgramFault, build
from apiserver_workers.apimachinery.cel.schema import LARGEST_REQUEST, Declared
from apiserver_workers.apimachinery.cel.types import BOOL, STRING, Type, optional_of
from apiserver_workers.apimachinery.structural.field_paths import FieldPathError, field_path
from apiserver_workers.apimachinery.structural.model import Schema, Structural

SELF, OLD_SELF = "self", "oldSelf"


@dataclass(slots=True, kw_only=True)
class CompiledRule:
    """One rule: its program, or `error`; neither for an empty rule.

    `max_cost` and `message_max_cost` are worst cases in units; `cardinality` is how often the rule can run at most where
    nothing bounds the lists and maps around it. `field_path` is the path to blame, relative to the node.
    """

    rule: Schema
    program: Program | None = None
    error: str = ""
    uses_old: bool = False
    max_cost: int = 0
    cardinality: int = 0
    message: Program | None = None
    message_error: str = ""
    message_max_cost: int = 0
    field_path: str = ""

    @property
    def optional_old(self) -> bool:
        """Whether oldSelf is an optional, so that the rule also runs where there is no old value."""
        return bool(self.rule.get("optionalOldSelf"))

    @property
    def text(self) -> str:
        """How messages name the rule."""
        return str(self.rule.get("message") or self.rule.get("rule") or "").strip()


def compile_rules(
    schema: Structural,
    rules: Sequence[Schema],
    declared: Declared,
    structs: dict[str, Declared],
    environment: Environment,
) -> list[CompiledRule]:
    """The programs of rules about values of `schema`, in their order; rules of nodes below are not looked at."""
    plain = _declarations(declared, structs, optional=False)
    optional = _declarations(declared, structs, optional=True)
    compiled = []
    for rule in rules:
        declarations = optional if rule.get("optionalOldSelf") else plain
        one = CompiledRule(rule=rule, cardinality=cardinality(declared))
        if str(rule.get("rule") or "").strip():
            _compile_rule(one, declarations, environment)
            _find_path(one, schema)
        compiled.append(one)
    return compiled


def cardinality(declared: Declared) -> int:
    """How many values of a type a request can hold at most."""
    return LARGEST_REQUEST // (declared.smallest + 1)


def _declarations(declared: Declared, structs: dict[str, Declared], *, optional: bool) -> Declarations:
    old = optional_of(declared.type) if optional else declared.type
    schemas = {SELF: declared} if optional else {SELF: declared, OLD_SELF: declared}
    return Declarations({SELF: declared.type, OLD_SELF: old}, structs=structs, schemas=schemas, root=declared)


def _compile_rule(one: CompiledRule, declarations: Declarations, environment: Environment) -> None:
    try:
        one.program, one.max_cost, one.uses_old = _program(
            one.rule["rule"], BOOL, "cel expression must evaluate to a bool", declarations, environment
        )
    except CompileError as error:
        one.error = f"compilation failed: {error}"
    except ProgramFault as error:
        one.error = f"program instantiation failed: {error}"
    except _WrongResult as error:
        one.error = str(error)
    if one.error or not one.rule.get("messageExpression"):
        return
    wrong = "messageExpression must evaluate to a string"
    try:
        one.message, one.message_max_cost, _ = _program(
            one.rule["messageExpression"], STRING, wrong, declarations, environment
        )
    except CompileError as error:
        one.message_error = f"messageExpression compilation failed: {error}"
    except ProgramFault as error:
        one.message_error = f"messageExpression instantiation failed: {error}"
    except _WrongResult as error:
        one.message_error = str(error)


class _WrongResult(Exception):
    """An expression has a result of another type than its field wants."""


def _program(
    source: str, result: Type, wrong: str, declarations: Declarations, environment: Environment
) -> tuple[Program, int, bool]:
    """The program of an expression, its worst case cost, and whether it uses oldSelf."""
    checked = check_expression(source, environment, declarations)
    if checked.type != result:
        raise _WrongResult(wrong)
    program = build(checked, environment.by_name, declarations.schemas)
    uses_old = any(reference.name == OLD_SELF for reference in checked.references.values())
    return program, estimate_cost(checked, environment, declarations).max, uses_old


def _find_path(one: CompiledRule, schema: Structural) -> None:
    if path := one.rule.get("fieldPath"):
        try:
            one.field_path = field_path(path, schema)[0]
        except FieldPathError:
            one.field_path = ""
