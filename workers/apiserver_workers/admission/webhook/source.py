"""The webhooks of all configurations of one kind (admission/configuration).

They are read from the watch cache: whatever it holds when a write passes is in force. Configurations are in the order of
their names, the webhooks of each in its own. What is compiled of a configuration is kept while it stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from apiserver_workers.admission.initializer import Initializer, Lister
from apiserver_workers.admission.policies.evaluation import Expression
from apiserver_workers.admission.policies.matching import Criteria, Narrowed, kind_of_write
from apiserver_workers.apimachinery.validation.expressions import CONDITION, Expressions, Refused
from apiserver_workers.registry.attributes import Attributes
from apiserver_workers.registry.strategies.expressions import MOST_AT_ONCE, compile_thread
from apiserver_workers.storage.interface import Entry

Object = dict[str, Any]

DEFAULT_TIMEOUT = 30


class Hook:
    """One webhook. `key` tells it apart from all others, also from those of the same name."""

    __slots__ = (
        "_conditions",
        "_given",
        "client_config",
        "configuration",
        "criteria",
        "ignores_failure",
        "key",
        "name",
        "reinvoked",
        "side_effects",
        "timeout",
        "versions",
    )

    def __init__(self, configuration: str, spec: Object, number: int) -> None:
        """`number` counts the webhooks of that name in the configuration."""
        self.configuration = configuration
        self.name: str = spec.get("name", "")
        self.key = f"{configuration}/{self.name}/{number}"
        self.client_config: Object = spec.get("clientConfig") or {}
        self.criteria = Criteria({**spec, "resourceRules": spec.get("rules")})
        self.ignores_failure = spec.get("failurePolicy") == "Ignore"
        self.reinvoked = spec.get("reinvocationPolicy") == "IfNeeded"
        self.side_effects: str | None = spec.get("sideEffects")
        self.timeout = float(spec.get("timeoutSeconds") or DEFAULT_TIMEOUT)
        self.versions: Sequence[str] = spec.get("admissionReviewVersions") or ()
        self._given: Sequence[Object] = spec.get("matchConditions") or ()
        self._conditions: tuple[Expression, ...] | None = None if self._given else ()

    async def conditions(self) -> tuple[Expression, ...]:
        """The match conditions, compiled when they are first needed; long ones off the event loop."""
        if self._conditions is None:
            if sum(len(condition.get("expression", "")) for condition in self._given) <= MOST_AT_ONCE:
                self._conditions = compile_conditions(self._given)
            else:
                loop = asyncio.get_running_loop()
                self._conditions = await loop.run_in_executor(compile_thread(), compile_conditions, self._given)
        return self._conditions


def compile_conditions(given: Sequence[Object]) -> tuple[Expression, ...]:
    """The expressions of match conditions."""
    expressions = Expressions(params=False, composed=False)
    return tuple(_compiled(expressions, condition.get("expression", "")) for condition in given)


def _compiled(expressions: Expressions, source: str) -> Expression:
    try:
        return Expression(source, expressions.program(CONDITION, source))
    except Refused as refused:
        return Expression(source, None, str(refused))


class Candidate(NamedTuple):
    """A webhook that can match a kind of write; `number` is its place among all webhooks."""

    number: int
    hook: Hook
    criteria: Narrowed


class Plan(NamedTuple):
    """The candidates of a kind of write, and what they were found in."""

    hooks: Sequence[Hook]
    served: object
    candidates: tuple[Candidate, ...]


class HookSource:
    """The webhooks of the configurations below a storage prefix."""

    def __init__(self, initializer: Initializer, storage_prefix: str) -> None:
        self._initializer = initializer
        self._storage_prefix = storage_prefix
        self._lister: Lister | None = None
        self._changes = -1
        self._known: dict[str, tuple[Entry, tuple[Hook, ...]]] = {}
        self._hooks: tuple[Hook, ...] = ()

    def candidates(self, attributes: Attributes) -> tuple[Candidate, ...]:
        """The webhooks that can match a write. Without any webhook, this is all that a write costs."""
        hooks = self.hooks()
        if not hooks:
            return ()
        equivalents = self._initializer.equivalents
        served = equivalents.served()
        key = (self, attributes.operation, attributes.subresource)
        kept: Plan | None = attributes.requested.compiled.get(key)
        if kept is None or kept.hooks is not hooks or kept.served is not served:
            write = kind_of_write(attributes, equivalents)
            narrowed = ((number, hook, hook.criteria.narrow(write)) for number, hook in enumerate(hooks))
            found = tuple(Candidate(number, hook, one) for number, hook, one in narrowed if one is not None)
            kept = attributes.requested.compiled[key] = Plan(hooks, served, found)
        return kept.candidates

    def hooks(self) -> tuple[Hook, ...]:
        """All webhooks now, in order; the same tuple while nothing changes. Raises Unreadable."""
        lister = self._lister
        if lister is None:
            lister = self._lister = self._initializer.lister(self._storage_prefix)
        changes = lister.cache.changes
        if changes != self._changes:
            self._known = {entry.key: self._configured(entry) for entry in lister.list()}
            self._hooks = tuple(hook for _, hooks in self._known.values() for hook in hooks)
            self._changes = changes
        return self._hooks

    def _configured(self, entry: Entry) -> tuple[Entry, tuple[Hook, ...]]:
        """The webhooks of a configuration as they were compiled, unless it is another one now."""
        before = self._known.get(entry.key)
        return before if before is not None and before[0] is entry else (entry, hooks_of(entry.obj))


def hooks_of(configuration: Object) -> tuple[Hook, ...]:
    """The webhooks of a configuration that can ever be called: those with rules."""
    name = configuration["metadata"]["name"]
    seen: dict[str, int] = {}
    hooks = []
    for spec in configuration.get("webhooks") or ():
        called = spec.get("name", "")
        number = seen.get(called, 0)
        seen[called] = number + 1
        if spec.get("rules"):
            hooks.append(Hook(name, spec, number))
    return tuple(hooks)
