"""Match conditions: which requests an authorization webhook is asked about, in CEL over a SubjectAccessReview's spec.

A condition that is false means that the webhook has no opinion, whatever the others come to. Only if none is false do
errors count; the webhook's failure policy says how.

Upstream: apiserver/pkg/authorization/cel.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.program import Program
from apiserver_workers.apimachinery.cel.schema import Declared
from apiserver_workers.apimachinery.cel.types import BOOL, STRING, list_of, map_of
from apiserver_workers.apimachinery.cel.variables import object_type, structs_of
from apiserver_workers.apimachinery.validation import field
from apiserver_workers.apimachinery.validation.expressions import Refused, build_program, compile_checked, expected
from apiserver_workers.registry.cel_evaluation import evaluate

MOST_CONDITIONS = 64
_ATTRIBUTES = ("namespace", "verb", "group", "version", "resource", "subresource", "name")

Object = dict[str, Any]

_TEXT = Declared(STRING, smallest=2)
_TEXTS = Declared(list_of(STRING), smallest=2, largest=-1, element=_TEXT)
_EXTRA = Declared(map_of(STRING, _TEXTS.type), smallest=2, largest=-1, key=_TEXT, element=_TEXTS)


@cache
def _declarations() -> Declarations:
    requirement = object_type("kubernetes.SelectorRequirement", {"key": _TEXT, "operator": _TEXT, "values": _TEXTS})
    requirements = Declared(list_of(requirement.type), smallest=2, largest=-1, element=requirement)
    selector = {"rawSelector": _TEXT, "requirements": requirements}
    resource = {
        **dict.fromkeys(_ATTRIBUTES, _TEXT),
        "fieldSelector": object_type("kubernetes.FieldSelectorAttributes", selector),
        "labelSelector": object_type("kubernetes.LabelSelectorAttributes", selector),
    }
    spec = object_type(
        "kubernetes.SubjectAccessReviewSpec",
        {
            "resourceAttributes": object_type("kubernetes.ResourceAttributes", resource),
            "nonResourceAttributes": object_type("kubernetes.NonResourceAttributes", {"path": _TEXT, "verb": _TEXT}),
            "user": _TEXT,
            "groups": _TEXTS,
            "extra": _EXTRA,
            "uid": _TEXT,
        },
    )
    return Declarations({"request": spec.type}, structs=structs_of(spec), schemas={"request": spec})


def compile_condition(source: str) -> Program:
    """The program of a condition. Raises Refused."""
    environment, declarations = env.stored_expressions(), _declarations()
    checked = compile_checked(source, environment, declarations)
    if checked.type != BOOL:
        raise Refused(f"{expected((BOOL,))} but got {checked.type}")
    return build_program(checked, environment, declarations)


def validate_conditions(conditions: list[Object], path: str) -> field.Errors:
    """What is wrong with the conditions of a webhook."""
    if len(conditions) > MOST_CONDITIONS:
        return [field.too_many(path, len(conditions), MOST_CONDITIONS)]
    errors: field.Errors = []
    seen: set[str] = set()
    for where, condition in field.each(path, conditions):
        source, at = condition.get("expression", ""), f"{where}.expression"
        if not source.strip():
            errors.append(field.required(at))
        elif source in seen:
            errors.append(field.duplicate(at, source))
        else:
            seen.add(source)
            errors += _faults(source, at)
    return errors


def _faults(source: str, path: str) -> field.Errors:
    try:
        compile_condition(source)
    except Refused as refused:
        return [refused.as_error(path, source)]
    return []


class ConditionFault(Exception):
    """Conditions that failed while none of the others was false."""


class MatchConditions:
    """The compiled conditions of one webhook, all of which must be true for it to be asked."""

    def __init__(self, sources: Sequence[str]) -> None:
        """Raises Refused."""
        self._programs = [(source, compile_condition(source)) for source in sources]

    async def match(self, spec: Object) -> bool:
        """Whether the webhook is to be asked of this spec of v1. Raises ConditionFault."""
        if not self._programs:
            return True
        activation = {"request": whole(spec)}
        faults: list[str] = []
        for source, program in self._programs:
            outcome = await evaluate(program, activation)
            if outcome.failure is not None:
                faults.append(f"cel evaluation error: expression '{source}' resulted in error: {outcome.failure}")
            elif outcome.value is not True:
                return False
        if faults:
            distinct = list(dict.fromkeys(faults))
            raise ConditionFault(distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]")
        return True


def whole(spec: Object) -> Object:
    """The spec as conditions see it: texts that are empty are there, selectors that are empty are not."""
    seen: Object = {
        "user": spec.get("user", ""),
        "groups": spec.get("groups", []),
        "uid": spec.get("uid", ""),
        "extra": spec.get("extra", {}),
    }
    if (resource := spec.get("resourceAttributes")) is not None:
        seen["resourceAttributes"] = {**dict.fromkeys(_ATTRIBUTES, ""), **resource}
    if (other := spec.get("nonResourceAttributes")) is not None:
        seen["nonResourceAttributes"] = {"path": "", "verb": "", **other}
    return seen
