"""One call of a webhook, and what its failure or its refusal means for the request (webhook/errors, util/webhook/error.go)."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import Any

from apiserver_workers.admission.metrics import WEBHOOK_FAIL_OPEN, observe_call, observe_rejection
from apiserver_workers.admission.policies.matching import Match
from apiserver_workers.admission.policies.write import Write
from apiserver_workers.admission.webhook.review import ReviewError, Verdict, review_of, verdict_of, version_for
from apiserver_workers.admission.webhook.source import Hook
from apiserver_workers.apimachinery.errors import ApiError, bad_request, internal_error
from apiserver_workers.server.client.hooks import HookClients, HookError

Object = dict[str, Any]

WITHOUT_SIDE_EFFECTS = ("None", "NoneOnDryRun")
SUCCESS_CODE, BAD_REQUEST, UNAVAILABLE = 200, 400, 503
CALLING_ERROR, OWN_ERROR, NO_ERROR = "calling_webhook_error", "apiserver_internal_error", "no_error"
LAST_CODE = 999  # what HTTP can say

log = logging.getLogger(__name__)


class CallFailed(Exception):
    """A webhook could not be called, or gave an answer that cannot be used: its failurePolicy decides. `code` is for metrics."""

    def __init__(self, hook: Hook, why: str, code: int) -> None:
        super().__init__(f'failed calling webhook "{hook.name}": {why}')
        self.code = code


class Refused(ApiError):
    """A webhook does not allow the request."""


class Caller:
    """Calls webhooks. `phase` is how metrics name what they do."""

    def __init__(self, clients: HookClients, phase: str, *, mutating: bool) -> None:
        self._clients = clients
        self._phase = phase
        self._mutating = mutating

    async def verdict(self, hook: Hook, write: Write, match: Match) -> Verdict:
        """What the webhook says. Raises CallFailed; Refused; ApiError 400 where a dry run may not reach the webhook."""
        if write.attributes.dry_run:
            _check_side_effects(hook)
        seen = await write.versioned(match.served)
        try:
            version = version_for(hook.versions)
        except ReviewError as error:
            raise CallFailed(hook, f"could not create admission objects: {error}", BAD_REQUEST) from None
        uid, body = review_of(write.request(match), version, seen.obj, seen.old_obj)
        try:
            answer = await self._clients.post(hook.client_config, body, timeout=hook.timeout)
            verdict = verdict_of(answer, uid=uid, version=version, mutating=self._mutating)
        except HookError as error:
            raise CallFailed(hook, f"failed to call webhook: {error}", error.code or UNAVAILABLE) from None
        except ReviewError as error:
            what = "received invalid webhook response" if error.decoded else "failed to call webhook"
            raise CallFailed(hook, f"{what}: {error}", UNAVAILABLE) from None
        self._note(hook, write, verdict)
        if not verdict.allowed:
            raise refusal(hook.name, verdict.result)
        return verdict

    def _note(self, hook: Hook, write: Write, verdict: Verdict) -> None:
        """Take the webhook's warnings and audit annotations over."""
        for key, value in verdict.annotations.items():
            write.attributes.annotate(f"{hook.name}/{key}", value)
        write.attributes.warnings += verdict.warnings

    def observe(self, hook: Hook, operation: str, began: float, error: Exception | None) -> None:
        """Count a call that began at `began` and ended with an error, or None."""
        code, rejected, error_type = _outcome(hook, error)
        if error_type:
            observe_rejection(hook.name, self._phase, operation, error_type, code)
        observe_call(hook.name, self._phase, operation, perf_counter() - began, code, rejected)

    def failed_open(self, hook: Hook, error: CallFailed) -> None:
        """Note that a request goes on although the webhook could not be asked."""
        log.warning("Failed calling webhook, failing open %s: %s", hook.name, error)
        WEBHOOK_FAIL_OPEN.inc((hook.name, self._phase))


def failed_closed(hook: Hook, error: CallFailed) -> ApiError:
    """The error of a request whose webhook could not be asked."""
    log.warning("Failed calling webhook, failing closed %s: %s", hook.name, error)
    return internal_error(str(error))


def _outcome(hook: Hook, error: Exception | None) -> tuple[int, bool, str]:
    """The code of a call, whether the request is refused, and how metrics name the reason ("" if it is not)."""
    if error is None:
        return SUCCESS_CODE, False, ""
    if isinstance(error, CallFailed):
        return error.code, not hook.ignores_failure, "" if hook.ignores_failure else CALLING_ERROR
    if isinstance(error, Refused):
        return error.code, True, NO_ERROR
    return 0, True, OWN_ERROR


def _check_side_effects(hook: Hook) -> None:
    if hook.side_effects is None:
        raise CallFailed(hook, "Webhook SideEffects is nil", BAD_REQUEST)
    if hook.side_effects not in WITHOUT_SIDE_EFFECTS:
        raise bad_request(f'admission webhook "{hook.name}" does not support dry run')


def refusal(name: str, result: Object | None) -> Refused:
    """The Status of a webhook that refuses, with a message that names it, and never the code of a success."""
    result = result or {}
    denied = f'admission webhook "{name}" denied the request'
    said = result.get("message") or result.get("reason")
    message = f"{denied}: {said}" if said else f"{denied} without explanation"
    code = result.get("code") or 0
    if code > LAST_CODE:
        code = 500
    details = result.get("details")
    seconds = (details or {}).get("retryAfterSeconds")
    headers = [("Retry-After", str(seconds))] if isinstance(seconds, int) and seconds > 0 else []
    return Refused(max(code, BAD_REQUEST), result.get("reason") or "", message, details, headers)
