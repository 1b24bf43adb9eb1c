"""What both webhook plugins share: which webhooks a request concerns, and the clients that ask them."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import ClassVar

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.metrics import CONDITION_ERRORS, CONDITION_EXCLUSIONS, CONDITION_SECONDS
from apiserver_workers.admission.plugin import Plugin, aggregate
from apiserver_workers.admission.policies.evaluation import (
    MATCH_CONDITIONS_BUDGET,
    Activation,
    Expression,
    OutOfBudget,
)
from apiserver_workers.admission.policies.matching import Match
from apiserver_workers.admission.policies.write import Write
from apiserver_workers.admission.webhook.calls import Caller
from apiserver_workers.admission.webhook.clients import hook_clients
from apiserver_workers.admission.webhook.source import Candidate, Hook, HookSource
from apiserver_workers.apimachinery.errors import forbidden
from apiserver_workers.registry.attributes import CONNECT, CREATE, DELETE, UPDATE

GROUP = "admissionregistration.k8s.io"
# What decides about requests is not decided about by it: else a configuration could not be mended any more.
EXEMPT_RESOURCES = {
    GROUP: frozenset((
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    )),
}  # fmt: skip
NO_VARIABLES: dict[str, Expression] = {}


class WebhookPlugin(Plugin):
    """Base of both. `configurations` is the storage prefix of their configurations."""

    operations = frozenset((CREATE, UPDATE, DELETE, CONNECT))
    subresources = None
    configurations: ClassVar[str]
    phase: ClassVar[str]
    mutating: ClassVar[bool]

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer)
        self.source = HookSource(initializer, self.configurations)

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        return super().handles(operation, group, resource, subresource) and resource not in EXEMPT_RESOURCES.get(
            group, ()
        )

    async def start(self) -> None:
        self.caller = Caller(hook_clients(self.initializer.registry), self.phase, mutating=self.mutating)

    async def called(self, candidate: Candidate, write: Write) -> Match | None:
        """What the webhook is called with; None if the request does not concern it. Raises ApiError."""
        match = await write.matches(candidate.criteria)
        if match is None:
            return None
        conditions = await candidate.hook.conditions()
        if conditions and not await self._hold(candidate.hook, conditions, write, match):
            return None
        return match

    async def _hold(self, hook: Hook, conditions: Sequence[Expression], write: Write, match: Match) -> bool:
        """Whether the match conditions hold. Raises ApiError 403 where one cannot be evaluated and the webhook must not fail."""
        attributes = write.attributes
        labels = (hook.name, "webhook", self.phase, attributes.operation)
        began = perf_counter()
        try:
            fault = await self._evaluate(conditions, write, match, labels)
        finally:
            CONDITION_SECONDS.observe(perf_counter() - began, labels)
        if fault is None or (fault and hook.ignores_failure):
            CONDITION_EXCLUSIONS.inc(labels)
            return False
        if fault:
            info = attributes.requested.info
            raise forbidden(info.resource, info.group, attributes.name, fault)
        return True

    async def _evaluate(
        self, conditions: Sequence[Expression], write: Write, match: Match, labels: tuple[str, ...]
    ) -> str | None:
        """None if a condition is false, else what is wrong with those that cannot be evaluated ("" if all are true)."""
        seen = await write.versioned(match.served)
        own = Match(write.attributes.requested, match.gvk)
        values = {**write.values(own, seen, None, None), **write.authorizer}
        activation = Activation(values, NO_VARIABLES, MATCH_CONDITIONS_BUDGET, write.pace, write.checks)
        errors: list[str] = []
        for condition in conditions:
            try:
                result = await activation.run(condition)
            except OutOfBudget as error:
                return str(error)
            if result.error:
                errors.append(result.error)
                CONDITION_ERRORS.inc(labels)
            elif result.value is False:
                return None
        return aggregate(errors) if errors else ""
