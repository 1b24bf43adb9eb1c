"""Programs that run beside the event loop: dear ones in a thread, authorizers awaited."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from apiserver_workers.apimachinery.cel.failures import CostExceeded, NeedDecision
from apiserver_workers.apimachinery.cel.library.authz import Answer, Authorizer, Question
from apiserver_workers.registry.cel_evaluation import PER_CALL_LIMIT, evaluate

from tests.apimachinery.cel.evaluating import compiled

CHEAP = compiled("l.all(i, i >= 0)", {"l": "list(int)"})[1]
CHECKS = compiled(
    "authorizer.path('/a').check('get').allowed() && authorizer.path('/b').check('get').allowed()",
    {"authorizer": "kubernetes.authorization.Authorizer"},
)[1]


class Heartbeat:
    """How long the event loop was busy with something else at most."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Heartbeat:
        self._task = asyncio.create_task(self._beat())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: Any) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)


async def test_a_cheap_program_runs_where_it_is_called() -> None:
    outcome = await evaluate(CHEAP, {"l": [1, 2, 3]})
    assert outcome.value is True


async def test_a_rule_at_the_limit_leaves_the_loop_free() -> None:
    """The loop's own CPU time between two turns: other processes on the machine do not count."""
    numbers = list(range(400_000))
    async with Heartbeat() as heartbeat:
        outcome = await evaluate(CHEAP, {"l": numbers})
    assert isinstance(outcome.failure, CostExceeded)
    assert outcome.cost > PER_CALL_LIMIT
    assert heartbeat.longest < 0.020


@pytest.mark.parametrize("count", [1, 3])
async def test_dear_rules_at_the_same_time(count: int) -> None:
    numbers = list(range(20_000))
    outcomes = await asyncio.gather(*(evaluate(CHEAP, {"l": numbers}) for _ in range(count)))
    assert [outcome.value for outcome in outcomes] == [True] * count


async def test_decisions_are_awaited_and_remembered() -> None:
    memo: dict[Question, Answer] = {}
    asked: list[str] = []

    async def decide(question: Question) -> Answer:
        asked.append(question.path)
        await asyncio.sleep(0)
        return Answer(allowed=True)

    for _ in range(2):
        outcome = await evaluate(CHECKS, {"authorizer": Authorizer(memo)}, memo=memo, decide=decide)
        assert outcome.value is True
        assert outcome.cost == 700_006
    assert asked == ["/a", "/b"]


async def test_nobody_to_decide() -> None:
    with pytest.raises(NeedDecision):
        await evaluate(CHECKS, {"authorizer": Authorizer({})})


async def test_what_the_decider_raises() -> None:
    async def decide(question: Question) -> Answer:
        raise ConnectionError(question.path)

    memo: dict[Question, Answer] = {}
    with pytest.raises(ConnectionError, match="/a"):
        await evaluate(CHECKS, {"authorizer": Authorizer(memo)}, memo=memo, decide=decide)
