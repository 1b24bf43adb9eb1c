"""MutatingAdmissionWebhook: one webhook after the other, each with what the others have made of the object.

A webhook with `reinvocationPolicy: IfNeeded` is called a second time if something has changed the object after it: a later
webhook, or in the second round a plugin. Upstream: plugin/webhook/mutating (dispatcher.go, reinvocationcontext.go).
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import orjson

from apiserver_workers.admission.metrics import ADMIT
from apiserver_workers.admission.plugin import Pending
from apiserver_workers.admission.policies.matching import Match
from apiserver_workers.admission.policies.write import Write
from apiserver_workers.admission.reinvocation import Reinvocations
from apiserver_workers.admission.versions import put
from apiserver_workers.admission.webhook.calls import UNAVAILABLE, CallFailed, failed_closed
from apiserver_workers.admission.webhook.plugin import WebhookPlugin
from apiserver_workers.admission.webhook.review import JSON_PATCH, Verdict
from apiserver_workers.admission.webhook.source import Candidate, Hook
from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.codec import jsontext
from apiserver_workers.apimachinery.errors import ApiError, internal_error
from apiserver_workers.apimachinery.goformat import cannot_unmarshal
from apiserver_workers.apimachinery.patch import PatchError, json_patch
from apiserver_workers.registry.attributes import REQUEST_LEVEL, Attributes

Object = dict[str, Any]

MUTATION = "mutation.webhook.admission.k8s.io/round_{}_index_{}"
PATCH = "patch.webhook.admission.k8s.io/round_{}_index_{}"
FAILED_OPEN = "failed-open.mutation.webhook.admission.k8s.io/round_{}_index_{}"


class MutatingAdmissionWebhook(WebhookPlugin):
    """Sees every write and CONNECT but those of webhook configurations and policies."""

    name = "MutatingAdmissionWebhook"
    configurations = "mutatingwebhookconfigurations"
    follows = (configurations, "namespaces", "services/specs")
    phase = ADMIT
    mutating = True

    def admit(self, attributes: Attributes) -> Pending:
        candidates = self.candidates(attributes)
        return self._dispatch(attributes, candidates) if candidates else None

    async def _dispatch(self, attributes: Attributes, candidates: Sequence[Candidate]) -> None:
        rounds = attributes.rounds
        reinvocations: Reinvocations[str] = rounds.values.setdefault(self.name, Reinvocations())
        if rounds.again and reinvocations.changed(attributes.obj):
            reinvocations.require()
        write = Write(attributes, self.initializer)
        try:
            for candidate in candidates:
                match = await self.called(candidate, write)
                if match is not None and (not rounds.again or candidate.hook.key in reinvocations.again):
                    await self._call(candidate, write, match, reinvocations)
        finally:
            reinvocations.leave(attributes.obj)

    async def _call(self, candidate: Candidate, write: Write, match: Match, reinvocations: Reinvocations[str]) -> None:
        """Call one webhook, and take its changes over. Raises ApiError."""
        hook, attributes = candidate.hook, write.attributes
        place = (int(attributes.rounds.again), candidate.number)
        began = perf_counter()
        changed = False
        failure: CallFailed | ApiError | None = None
        try:
            verdict = await self.caller.verdict(hook, write, match)
            changed = await self._take(hook, write, match, verdict, place)
        except (CallFailed, ApiError) as error:
            failure = error
        attributes.annotate(MUTATION.format(*place), _mutation(hook, changed))
        self.caller.observe(hook, attributes.operation, began, failure)
        if changed:
            reinvocations.require()
            attributes.rounds.wanted = True
        if hook.reinvoked:
            reinvocations.invoked.add(hook.key)
        if failure is not None:
            self._fail(hook, attributes, failure, place)

    def _fail(self, hook: Hook, attributes: Attributes, failure: CallFailed | ApiError, place: tuple[int, int]) -> None:
        if not isinstance(failure, CallFailed):
            raise failure
        if not hook.ignores_failure:
            raise failed_closed(hook, failure)
        self.caller.failed_open(hook, failure)
        attributes.annotate(FAILED_OPEN.format(*place), hook.name)

    async def _take(self, hook: Hook, write: Write, match: Match, verdict: Verdict, place: tuple[int, int]) -> bool:
        """Change the object as the webhook says; whether that makes a difference. Raises CallFailed, ApiError."""
        if not verdict.patch:
            return False
        operations = _operations(hook, verdict.patch)
        if not operations:
            return False
        before = (await write.versioned(match.served)).obj
        if before is None:
            why = f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this operation'
            raise internal_error(why)
        if verdict.patch_type != JSON_PATCH:
            raise CallFailed(hook, f'unsupported patch type "{verdict.patch_type}"', UNAVAILABLE)
        try:
            document = json_patch(before, operations)
            check_kind(document, match)
            changed = await put(write.attributes, match.served, before, document)
        except PatchError as error:
            raise internal_error(error.why) from None
        except codec.DecodeError as error:
            raise internal_error(str(error)) from None
        write.forget_objects()
        write.attributes.annotate(PATCH.format(*place), _patch(hook, operations), REQUEST_LEVEL)
        return changed


def _operations(hook: Hook, patch: bytes) -> list[Object]:
    """The operations of a JSON patch. Raises CallFailed."""
    try:
        try:
            operations = orjson.loads(patch)
        except orjson.JSONDecodeError:
            operations = jsontext.loads(patch)
        if operations is not None and not isinstance(operations, list):
            raise codec.DecodeError(cannot_unmarshal(operations, "value of type jsonpatch.Patch"))
        for operation in operations or ():
            if not isinstance(operation, dict):
                raise codec.DecodeError(cannot_unmarshal(operation, "value of type jsonpatch.Operation"))
    except codec.DecodeError as error:
        raise CallFailed(hook, f"received undecodable patch in webhook response: {error}", UNAVAILABLE) from None
    return operations or []


def check_kind(document: Any, match: Match) -> None:
    """A patched document is of the kind that it was. Raises DecodeError."""
    group, version, kind = match.gvk
    api_version = f"{group}/{version}" if group else version
    if not isinstance(document, dict):
        raise codec.DecodeError(
            f"couldn't get version/kind; json parse error: {cannot_unmarshal(document, f'value of type {version}.{kind}')}"
        )
    found = document.get("kind"), document.get("apiVersion")
    if found == (kind, api_version):
        return
    for name, value in zip(("Kind", "apiVersion"), found, strict=True):
        if not value:
            raise codec.DecodeError(f"Object '{name}' is missing in '{orjson.dumps(document).decode()}'")
    raise codec.DecodeError(
        f'no kind "{found[0]}" is registered for version "{found[1]}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
    )


def _mutation(hook: Hook, changed: bool) -> str:
    return _json({"configuration": hook.configuration, "webhook": hook.name, "mutated": changed})


def _patch(hook: Hook, operations: list[Object]) -> str:
    told = [dict(sorted(operation.items())) for operation in operations]
    return _json({"configuration": hook.configuration, "webhook": hook.name, "patch": told, "patchType": JSON_PATCH})


def _json(value: Object) -> str:
    return orjson.dumps(value).decode()
