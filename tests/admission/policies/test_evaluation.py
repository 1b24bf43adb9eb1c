"""Expressions of a policy: budgets, variables, long evaluations and long compilations beside the event loop."""

from __future__ import annotations

import asyncio
import time

import pytest
from apiserver_workers.admission.policies.compiled import compile_validating
from apiserver_workers.admission.policies.evaluation import OUT_OF_BUDGET, Activation, OutOfBudget, Pace
from apiserver_workers.admission.policies.source import Policy

VALUES = {"object": {"data": {"a": "1"}}, "oldObject": None, "params": None, "request": {}, "namespaceObject": None}


def activation(compiled, budget=10_000_000, **values) -> Activation:
    return Activation({**VALUES, **values}, compiled.variables, budget, Pace())


def spec(*expressions: str, **variables: str) -> dict:
    return {
        "variables": [{"name": name, "expression": source} for name, source in variables.items()],
        "validations": [{"expression": source} for source in expressions],
    }


def run(made: dict, budget: int = 10_000_000, **values):
    """The result of each validation's expression, and what is left of the budget."""

    async def scenario():
        compiled = compile_validating(made)
        group = activation(compiled, budget, **values)
        results = [await group.run(validation.expression) for validation in compiled.validations]
        return results, group.budget

    return asyncio.run(scenario())


def test_what_expressions_cost_is_taken_from_the_budget():
    (first, second), left = run(spec("object.data.a == '1'", "true"), 100)
    assert (first.value, second.value, left) == (True, True, 96)


def test_a_variable_is_paid_for_once_and_only_where_it_is_used():
    source = "object.data.a == '1'"
    _, unused = run(spec("true", v=source), 100)
    _, once = run(spec("variables.v", v=source), 100)
    _, twice = run(spec("variables.v && variables.v", "variables.v", v=source), 100)
    assert unused == 100
    assert 100 - once == 4 + 2
    assert 100 - twice == 4 + 3 * 2


def test_variables_are_made_of_variables():
    (result,), _ = run(spec("variables.c == 3", a="1", b="variables.a + 1", c="variables.a + variables.b"))
    assert result.value is True


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (spec("1"), "compilation error: must evaluate to bool but got int"),
        (spec("variables.none"), "compilation error: compilation failed: ERROR: <input>:1:10: undefined field 'none'"),
        (
            spec("variables.v == 1", v="object.none"),
            "expression 'variables.v == 1' resulted in error: composited variable \"v\" fails to evaluate: no such key: none",
        ),
        (
            spec("variables.v == 1", v="1 +"),
            "expression 'variables.v == 1' resulted in error: composited variable \"v\" fails to compile: "
            "compilation failed: ERROR: <input>:1:4: Syntax error",
        ),
        (spec("variables.v || true", v="object.none == 1"), ""),
    ],
)
def test_what_goes_wrong_is_told(made, error):
    (result,), _ = run(made)
    assert result.error.startswith(error) if error else result.value is True


def test_a_group_that_costs_too_much_ends():
    with pytest.raises(OutOfBudget, match=OUT_OF_BUDGET):
        run(spec("object.data.a == '1'", "object.data.a == '1'"), 7)
    with pytest.raises(OutOfBudget):
        run(spec("variables.v", v="object.data.a == '1'"), 5)


LONG = "object.data.x.split('').all(c, c != 'y')"


@pytest.mark.parametrize(
    "made", [spec(LONG), spec("variables.v", v=LONG), spec("variables.v", w=LONG, v="variables.w")]
)
def test_a_long_evaluation_leaves_the_event_loop_alone(made):
    async def scenario():
        compiled = compile_validating(made)
        text = "x" * 50_000
        group = activation(compiled, object={"data": {"x": text}})
        longest, last = 0.0, time.perf_counter()

        async def tick():
            nonlocal longest, last
            while True:
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - last)
                last = time.perf_counter()

        ticking = asyncio.create_task(tick())
        await asyncio.sleep(0)
        result = await group.run(compiled.validations[0].expression)
        ticking.cancel()
        return result, longest, group.budget

    result, longest, left = asyncio.run(scenario())
    assert result.value is True
    assert 10_000_000 - left > 200_000
    assert longest < 0.2


def policy(*expressions: str) -> dict:
    return {"metadata": {"name": "p"}, "spec": spec(*expressions)}


def test_many_requests_wait_for_one_compilation():
    async def scenario():
        compilations = 0

        def counted(made):
            nonlocal compilations
            compilations += 1
            return compile_validating(made)

        long = " && ".join(["object.data.a == '1'"] * 200)
        one = Policy(policy(long), counted)
        impatient = asyncio.create_task(one.compiled())
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(one.compiled()) for _ in range(3)]
        await asyncio.sleep(0)
        impatient.cancel()
        found = await asyncio.gather(*waiting)
        return compilations, found

    compilations, found = asyncio.run(scenario())
    assert compilations == 1
    assert found[0] is found[1] is found[2]
