"""Kinds whose objects carry CEL expressions: those that take long to compile are validated off the event loop.

Compiling takes about 15 µs for each code point. An object's expressions of more than `MOST_AT_ONCE` together are compiled
in a thread of their own, so that neither requests nor long evaluations wait for them.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from apiserver_workers.apimachinery.served_kind import Faults, FaultsToCome
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Object, Strategy

MOST_AT_ONCE = 1000
_FIELDS = ("expression", "messageExpression", "valueExpression")


class ExpressionStrategy(Strategy):
    """Validation waits for a thread if the object's expressions are long."""

    def validate_create(self, obj: Object, context: Context) -> FaultsToCome:
        validate = super().validate_create
        return _perhaps_later(obj, functools.partial(validate, obj, context))

    def validate_update(self, new: Object, old: Object, context: Context) -> FaultsToCome:
        validate = super().validate_update
        return _perhaps_later(new, functools.partial(validate, new, old, context))


@functools.cache
def compile_thread() -> ThreadPoolExecutor:
    """Made when it is needed first, thus after the fork of a worker."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="cel-compile")


def _perhaps_later(obj: Object, validate: Callable[[], FaultsToCome]) -> FaultsToCome:
    return in_compile_thread(validate) if expressions_length(obj) > MOST_AT_ONCE else validate()


async def in_compile_thread(validate: Callable[[], FaultsToCome]) -> Faults:
    """What a validation finds that is run off the event loop."""
    found = await asyncio.get_running_loop().run_in_executor(compile_thread(), validate)
    return found if isinstance(found, list) else await found


def expressions_length(obj: Object) -> int:
    """How many characters the expressions of an object have together."""
    length = 0
    rest: list[object] = [value for name, value in obj.items() if name != "metadata"]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            length += sum(len(text) for name in _FIELDS if isinstance(text := value.get(name), str))
            rest += value.values()
        elif isinstance(value, list):
            rest += value
    return length


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {("resource.k8s.io", "deviceclasses"): ExpressionStrategy}
