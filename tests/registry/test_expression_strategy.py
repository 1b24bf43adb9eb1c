"""Objects with long expressions are validated off the event loop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.validation.objects import validate_create
from apiserver_workers.registry.strategies import STRATEGIES
from apiserver_workers.registry.strategies.expressions import MOST_AT_ONCE, ExpressionStrategy, expressions_length

Object = dict[str, Any]
HOOK = {
    "name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://h"},
}  # fmt: skip
INFO = resource("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations")


def strategy() -> ExpressionStrategy:
    made = ExpressionStrategy.__new__(ExpressionStrategy)
    made.kind = SimpleNamespace(  # type: ignore[assignment]
        validate_create=lambda obj: validate_create(INFO, obj), validate_update=None
    )
    return made


def configuration(expression: str) -> Object:
    conditions = [{"name": "a", "expression": expression}]
    return {"metadata": {"name": "p"}, "webhooks": [HOOK | {"matchConditions": conditions}]}


@pytest.mark.parametrize(
    ("obj", "length"),
    [
        ({}, 0),
        ({"metadata": {"expression": "x"}}, 0),
        ({"spec": {"validations": [{"expression": "abc", "messageExpression": "d"}]}}, 4),
        ({"spec": {"auditAnnotations": [{"valueExpression": "ab"}, {"valueExpression": None}]}}, 2),
        ({"spec": {"expression": {"expression": "abc"}}}, 3),
    ],
)
def test_how_long_expressions_are(obj: Object, length: int) -> None:
    assert expressions_length(obj) == length


def test_short_expressions_are_compiled_at_once() -> None:
    faults = strategy().validate_create(configuration("x"), None)  # type: ignore[arg-type]
    assert isinstance(faults, list)
    assert len(faults) == 1


def test_long_expressions_leave_the_loop_to_others() -> None:
    source = "true" + " && true" * 4000 + " && x"
    assert len(source) > MOST_AT_ONCE

    async def scenario() -> tuple[int, list[Any]]:
        turns = 0
        waiting = asyncio.ensure_future(strategy().validate_create(configuration(source), None))  # type: ignore[arg-type]
        while not waiting.done():
            await asyncio.sleep(0)
            turns += 1
        return turns, await waiting

    turns, faults = asyncio.run(scenario())
    assert turns > 10
    assert "undeclared reference to 'x'" in str(faults[0])


def test_every_kind_with_expressions_may_wait() -> None:
    kinds = [
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
        ("resource.k8s.io", "deviceclasses"),
        ("resource.k8s.io", "resourceclaims"),
        ("resource.k8s.io", "resourceclaimtemplates"),
    ]
    assert all(issubclass(STRATEGIES[kind], ExpressionStrategy) for kind in kinds)
