"""Policies with their expressions compiled. An expression that does not compile is kept with the reason.

Upstream: policy/validating/plugin.go (compilePolicy), policy/mutating/compilation.go.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from apiserver_workers.admission.policies.evaluation import Expression
from apiserver_workers.apimachinery.cel.program import Program
from apiserver_workers.apimachinery.validation.expressions import (
    ANNOTATION,
    APPLY_CONFIGURATION,
    CONDITION,
    JSON_PATCH,
    MESSAGE,
    Expressions,
    Refused,
    Use,
)

Object = dict[str, Any]

INVALID = "Invalid"
# The patch types of a mutation: the field that has the expression, and what the expression is.
PATCHES: Mapping[str, tuple[str, Use]] = {
    "ApplyConfiguration": ("applyConfiguration", APPLY_CONFIGURATION),
    "JSONPatch": ("jsonPatch", JSON_PATCH),
}


class Condition(NamedTuple):
    """A match condition."""

    name: str
    expression: Expression


class Validation(NamedTuple):
    """What must be true, and what is said where it is not."""

    expression: Expression
    message_expression: Expression | None
    message: str
    reason: str


class Annotation(NamedTuple):
    """An audit annotation."""

    key: str
    expression: Expression


class Mutation(NamedTuple):
    """A patch that an expression makes; `patch_type` is one of PATCHES."""

    patch_type: str
    expression: Expression


class Compiled(NamedTuple):
    """The expressions of a policy. A validating one has no mutations, a mutating one nothing but those and conditions."""

    variables: Mapping[str, Expression]
    conditions: tuple[Condition, ...]
    validations: tuple[Validation, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    mutations: tuple[Mutation, ...] = ()


def compile_validating(spec: Object) -> Compiled:
    """The expressions of a ValidatingAdmissionPolicy's spec."""
    expressions, variables = _begin(spec)
    return Compiled(
        variables,
        _conditions(expressions, spec),
        validations=tuple(_validation(expressions, validation) for validation in spec.get("validations") or ()),
        annotations=tuple(
            Annotation(annotation["key"], _compile(expressions, ANNOTATION, annotation["valueExpression"]))
            for annotation in spec.get("auditAnnotations") or ()
        ),
    )


def compile_mutating(spec: Object) -> Compiled:
    """The expressions of a MutatingAdmissionPolicy's spec."""
    expressions, variables = _begin(spec)
    mutations = tuple(
        Mutation(mutation["patchType"], _compile(expressions, use, (mutation.get(field) or {}).get("expression", "")))
        for mutation in spec.get("mutations") or ()
        for field, use in (PATCHES[mutation["patchType"]],)
    )
    return Compiled(variables, _conditions(expressions, spec), mutations=mutations)


def _begin(spec: Object) -> tuple[Expressions, dict[str, Expression]]:
    """The compiler of a policy that knows its variables, and these."""
    expressions = Expressions(params=spec.get("paramKind") is not None, composed=True)
    variables = {
        variable["name"]: _attempt(variable["expression"], functools.partial(expressions.variable, variable["name"]))
        for variable in spec.get("variables") or ()
    }
    return expressions, variables


def _conditions(expressions: Expressions, spec: Object) -> tuple[Condition, ...]:
    return tuple(
        Condition(condition["name"], _compile(expressions, CONDITION, condition["expression"]))
        for condition in spec.get("matchConditions") or ()
    )


def _validation(expressions: Expressions, validation: Object) -> Validation:
    message = validation.get("messageExpression")
    return Validation(
        _compile(expressions, CONDITION, validation["expression"]),
        _compile(expressions, MESSAGE, message) if message else None,
        validation.get("message", ""),
        validation.get("reason") or INVALID,
    )


def _compile(expressions: Expressions, use: Use, source: str) -> Expression:
    return _attempt(source, functools.partial(expressions.program, use))


def _attempt(source: str, compile_source: Callable[[str], Program]) -> Expression:
    try:
        return Expression(source, compile_source(source))
    except Refused as refused:
        return Expression(source, None, str(refused))
