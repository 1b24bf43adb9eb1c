"""ValidatingAdmissionWebhook: all webhooks that a request concerns are asked at once (plugin/webhook/validating)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

from apiserver_workers.admission.metrics import VALIDATING
from apiserver_workers.admission.plugin import Pending
from apiserver_workers.admission.policies.matching import Match
from apiserver_workers.admission.policies.write import Write
from apiserver_workers.admission.webhook.calls import CallFailed, failed_closed
from apiserver_workers.admission.webhook.plugin import WebhookPlugin
from apiserver_workers.admission.webhook.source import Candidate, Hook
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.attributes import Attributes

FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/round_0_index_{}"


class ValidatingAdmissionWebhook(WebhookPlugin):
    """Sees every write and CONNECT but those of webhook configurations and policies."""

    name = "ValidatingAdmissionWebhook"
    configurations = "validatingwebhookconfigurations"
    follows = (configurations, "namespaces", "services/specs")
    phase = VALIDATING
    mutating = False

    def validate(self, attributes: Attributes) -> Pending:
        candidates = self.source.candidates(attributes)
        return self._dispatch(attributes, candidates) if candidates else None

    async def _dispatch(self, attributes: Attributes, candidates: Sequence[Candidate]) -> None:
        write = Write(attributes, self.initializer)
        calls: list[tuple[Hook, Match]] = []
        for candidate in candidates:
            match = await self.called(candidate, write)
            if match is not None:
                await write.versioned(match.served)
                calls.append((candidate.hook, match))
        errors: list[ApiError] = []
        asked = [self._ask(number, hook, write, match, errors) for number, (hook, match) in enumerate(calls)]
        if len(asked) == 1:
            await asked[0]
        elif asked:
            await asyncio.gather(*asked)
        if errors:
            raise errors[0]

    async def _ask(self, number: int, hook: Hook, write: Write, match: Match, errors: list[ApiError]) -> None:
        """Call one webhook, and put the error down that refuses the request. The first that comes is the client's."""
        began = perf_counter()
        failure: CallFailed | ApiError | None = None
        try:
            await self.caller.verdict(hook, write, match)
        except CallFailed as error:
            failure = error
            if hook.ignores_failure:
                self.caller.failed_open(hook, error)
                write.attributes.annotate(FAILED_OPEN.format(number), hook.name)
            else:
                errors.append(failed_closed(hook, error))
        except ApiError as error:
            failure = error
            errors.append(error)
        self.caller.observe(hook, write.attributes.operation, began, failure)
