"""The Webhook authorizer: asks a remote service by SubjectAccessReview (k8s.io/apiserver/plugin/pkg/authorizer/webhook).

Answers are kept for a while, unless the question is so long that it may be meant to fill memory.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.apimachinery.selectors import parse_labels
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import Attributes, Decision, EvaluationError
from apiserver_workers.authorization.match_conditions import ConditionFault, MatchConditions
from apiserver_workers.authorization.rules import HeldRules
from apiserver_workers.server.client.webhook import Webhook, WebhookError
from apiserver_workers.server.metrics import WEBHOOK_EVALUATIONS, WEBHOOK_FAIL_OPEN, WEBHOOK_SECONDS

GROUP = "authorization.k8s.io"
VERSIONS = ("v1", "v1beta1")
CACHE_ROOM = 64 << 20  # bytes
MAX_CACHED_LENGTH = 10000
BOTH = "webhook subject access review returned both allow and deny response"
LABEL_OPERATORS = {
    **dict.fromkeys(("in", "=", "=="), "In"),
    **dict.fromkeys(("notin", "!="), "NotIn"),
    "exists": "Exists",
    "!": "DoesNotExist",
}
DEADLINE = "context deadline exceeded"

Object = dict[str, Any]

log = logging.getLogger(__name__)


class WebhookAuthorizer:
    """One webhook. `on_error` is the decision when it gives none."""

    kind = "Webhook"

    def __init__(
        self,
        webhook: Webhook,
        *,
        version: str,
        authorized_ttl: float,
        unauthorized_ttl: float,
        on_error: Decision = Decision.NO_OPINION,
        name: str = "webhook",
        conditions: MatchConditions | None = None,
    ) -> None:
        """Raises ValueError for another version than v1 and v1beta1."""
        self._conditions = conditions
        check_version(version)
        self.name = name
        self._webhook = webhook
        self._version = version
        self._ttl = {True: authorized_ttl, False: unauthorized_ttl}
        self._on_error = on_error
        self._kept: Kept[bytes, tuple[float, Object]] = Kept(longest=2 * MAX_CACHED_LENGTH, room=CACHE_ROOM)

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        """Raises EvaluationError when the webhook does not answer, or says both yes and no, or conditions fail."""
        spec = spec_of(attributes)
        if self._conditions is not None and not await self._matches(self._conditions, spec):
            return Decision.NO_OPINION, ""
        key = orjson.dumps(spec, option=orjson.OPT_SORT_KEYS)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > time.monotonic():
            status = kept[1]
        else:
            status = await self._ask(spec)
            if controlled_length(attributes) < MAX_CACHED_LENGTH:
                self._keep(key, status)
        reason = str(status.get("reason") or "")
        allowed, denied = status.get("allowed") is True, status.get("denied") is True
        if allowed and denied:
            raise EvaluationError(Decision.DENY, reason, BOTH)
        if denied:
            return Decision.DENY, reason
        return (Decision.ALLOW if allowed else Decision.NO_OPINION), reason

    def rules_for(self, user: UserInfo, namespace: str) -> HeldRules:
        return HeldRules(incomplete=True, error="webhook authorizer does not support user rule resolution")

    def close(self) -> None:
        self._webhook.close()

    async def _matches(self, conditions: MatchConditions, spec: Object) -> bool:
        try:
            return await conditions.match(spec)
        except ConditionFault as fault:
            raise EvaluationError(self._on_error, "", str(fault)) from None

    async def _ask(self, spec: Object) -> Object:
        review = {
            "kind": "SubjectAccessReview",
            "apiVersion": f"{GROUP}/{self._version}",
            "metadata": {},
            "spec": spec if self._version == "v1" else as_v1beta1(spec),
        }
        start, result = time.perf_counter(), "success"
        try:
            answer = await self._webhook.review(review)
        except WebhookError as error:
            result = "timeout" if DEADLINE in str(error) else "error"
            log.error("Failed to make webhook authorizer request: %s", error)
            if self._on_error is Decision.NO_OPINION:
                WEBHOOK_FAIL_OPEN.inc((self.name, result))
            raise EvaluationError(self._on_error, "", str(error)) from error
        finally:
            WEBHOOK_EVALUATIONS.inc((self.name, result))
            WEBHOOK_SECONDS.observe(time.perf_counter() - start, (self.name, result))
        return answer.get("status") or {}

    def _keep(self, key: bytes, status: Object) -> None:
        seconds = self._ttl[status.get("allowed") is True]
        if seconds > 0:
            self._kept.pop(key, None)  # so that it is the newest
            self._kept.keep(key, (time.monotonic() + seconds, status))


def check_version(version: str) -> None:
    """Raises ValueError for a version that nobody speaks."""
    if version not in VERSIONS:
        raise ValueError(f'unsupported webhook authorizer version "{version}", supported versions are "v1", "v1beta1"')


def spec_of(attributes: Attributes) -> Object:
    """The question as a SubjectAccessReviewSpec of v1."""
    user = attributes.user
    asked = {"user": user.name, "groups": list(user.groups), "extra": user.extra, "uid": user.uid}
    if not attributes.resource_request:
        about: Object = {"path": attributes.path, "verb": attributes.verb}
        return _filled({"nonResourceAttributes": _filled(about), **asked})
    about = {
        "namespace": attributes.namespace,
        "verb": attributes.verb,
        "group": attributes.api_group,
        "version": attributes.api_version,
        "resource": attributes.resource,
        "subresource": attributes.subresource,
        "name": attributes.name,
        "fieldSelector": _selector(_field_requirements(attributes)),
        "labelSelector": _selector(_label_requirements(attributes)),
    }
    return _filled({"resourceAttributes": _filled(about), **asked})


def _filled(fields: Object) -> Object:
    return {name: value for name, value in fields.items() if value}


def _selector(requirements: list[Object]) -> Object:
    return {"requirements": requirements} if requirements else {}


def _field_requirements(attributes: Attributes) -> list[Object]:
    return [
        {"key": term.field, "operator": "NotIn" if term.operator == "!=" else "In", "values": [term.value]}
        for term in attributes.fields
    ]


def _label_requirements(attributes: Attributes) -> list[Object]:
    """Of a selector that does not parse none are passed on: a request without them is only judged more strictly."""
    if not attributes.label_selector:
        return []
    try:
        selector = parse_labels(attributes.label_selector)
    except ApiError:
        return []
    return [
        {"key": term.key, "operator": LABEL_OPERATORS[term.operator]}
        | ({"values": sorted(term.values)} if term.values else {})
        for term in selector.requirements
        if term.operator in LABEL_OPERATORS
    ]


def as_v1beta1(spec: Object) -> Object:
    """The spec as v1beta1 has it, where groups are called group."""
    renamed = {name: value for name, value in spec.items() if name != "groups"}
    return renamed | ({"group": spec["groups"]} if "groups" in spec else {})


def controlled_length(attributes: Attributes) -> int:
    """How much of the question the client chose."""
    a = attributes
    parts = (a.namespace, a.verb, a.api_group, a.api_version, a.resource, a.subresource, a.name, a.path)
    return sum(map(len, parts))
