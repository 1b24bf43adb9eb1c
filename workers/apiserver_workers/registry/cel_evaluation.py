"""Runs CEL programs without holding up the event loop, and with authorizers that have to wait.

Most rules cost a few units and a few microseconds, so they run where they are called. One that comes above `SOFT_LIMIT`
(about 5 ms) is given up and started again in a thread with its own limit: CEL has no side effects. There is one such
thread in a process, because a second would only take the first one's turns.

An authorizer's decision that is missing ends the evaluation too; it is awaited, remembered, and the evaluation starts
again with it. A check costs 350,000 of the 1,000,000 units that an evaluation may cost, so this happens twice at most.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from apiserver_workers.apimachinery.cel.failures import NeedDecision, TooLong
from apiserver_workers.apimachinery.cel.library.authz import Answer, Question
from apiserver_workers.apimachinery.cel.program import Outcome, Program

SOFT_LIMIT = 20_000
PER_CALL_LIMIT = 1_000_000

Decide = Callable[[Question], Awaitable[Answer]]


@functools.cache
def _thread() -> ThreadPoolExecutor:
    """Made when it is needed first, thus after the fork of a worker."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="cel")


async def evaluate(
    program: Program,
    activation: Mapping[str, Any],
    limit: int = PER_CALL_LIMIT,
    *,
    memo: dict[Question, Answer] | None = None,
    decide: Decide | None = None,
    lift: Callable[[], None] | None = None,
) -> Outcome:
    """The outcome of a program, which may cost `limit`.

    `memo` is the one of the activation's Authorizer; `decide` answers what it does not have yet. `lift` is called before the
    evaluation starts again in the thread: what the activation runs itself need not be short there.
    """
    soft: int | None = SOFT_LIMIT
    while True:
        try:
            if soft is not None:
                return program.run(activation, limit, soft)
            return await asyncio.get_running_loop().run_in_executor(_thread(), program.run, activation, limit)
        except TooLong:
            soft = None
            if lift is not None:
                lift()
        except NeedDecision as need:
            if memo is None or decide is None:
                raise
            memo[need.attributes] = await decide(need.attributes)
