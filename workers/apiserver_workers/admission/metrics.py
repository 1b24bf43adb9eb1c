"""Metrics of admission, by upstream's names (apiserver/pkg/admission/metrics).

A plugin that has nothing to wait for is not timed by itself: looking at the clock would take longer than most plugins do.
"""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter

from apiserver_workers.apimachinery.metrics import REGISTRY

ADMIT, VALIDATE = "admit", "validate"
# How webhooks name the validating phase.
VALIDATING = "validating"
MAX_CODE = 600
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)

STEPS = REGISTRY.histogram(
    "apiserver_admission_step_admission_duration_seconds",
    "Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type "
    "(validate or admit).",
    ("type", "operation", "rejected"),
    buckets=BUCKETS,
)
CONTROLLERS = REGISTRY.histogram(
    "apiserver_admission_controller_admission_duration_seconds",
    "Admission controller latency histogram in seconds, identified by name and broken out for each operation and API "
    "resource and type (validate or admit).",
    ("name", "type", "operation", "rejected"),
    buckets=BUCKETS,
)
WEBHOOKS = REGISTRY.histogram(
    "apiserver_admission_webhook_admission_duration_seconds",
    "Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource "
    "and type (validate or admit).",
    ("name", "type", "operation", "rejected"),
    buckets=(*BUCKETS, 10, 25),
)
WEBHOOK_REQUESTS = REGISTRY.counter(
    "apiserver_admission_webhook_request_total",
    "Admission webhook request total, identified by name and broken out for each admission type (validating or admit) and "
    "operation. Additional labels specify whether the request was rejected or not and an HTTP status code. Codes greater "
    "than 600 are truncated to 600, to keep the metrics cardinality bounded.",
    ("name", "type", "operation", "code", "rejected"),
)
WEBHOOK_REJECTIONS = REGISTRY.counter(
    "apiserver_admission_webhook_rejection_count",
    "Admission webhook rejection count, identified by name and broken out for each admission type (validating or admit) and "
    "operation. Additional labels specify an error type (calling_webhook_error or apiserver_internal_error if an error "
    "occurred; no_error otherwise) and optionally a non-zero rejection code if the webhook rejects the request with an HTTP "
    "status code (honored by the apiserver when the code is greater or equal to 400). Codes greater than 600 are truncated "
    "to 600, to keep the metrics cardinality bounded.",
    ("name", "type", "operation", "error_type", "rejection_code"),
)
WEBHOOK_FAIL_OPEN = REGISTRY.counter(
    "apiserver_admission_webhook_fail_open_count",
    "Admission webhook fail open count, identified by name and broken out for each admission type (validating or admit).",
    ("name", "type"),
)
CONDITION_ERRORS = REGISTRY.counter(
    "apiserver_admission_match_condition_evaluation_errors_total",
    "Admission match condition evaluation errors count, identified by name of resource containing the match condition and "
    "broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or "
    "admit).",
    ("name", "kind", "type", "operation"),
)
CONDITION_EXCLUSIONS = REGISTRY.counter(
    "apiserver_admission_match_condition_exclusions_total",
    "Admission match condition evaluation exclusions count, identified by name of resource containing the match condition "
    "and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or "
    "admit).",
    ("name", "kind", "type", "operation"),
)
CONDITION_SECONDS = REGISTRY.histogram(
    "apiserver_admission_match_condition_evaluation_seconds",
    "Admission match condition evaluation time in seconds, identified by name and broken out for each kind containing "
    "matchConditions (webhook or policy), operation and type (validate or admit).",
    ("name", "kind", "type", "operation"),
    buckets=(0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25),
)


async def measured(pending: Awaitable[None], name: str, phase: str, operation: str) -> None:
    """Await a plugin that has to wait, and note how long it took."""
    began = perf_counter()
    rejected = "true"
    try:
        await pending
        rejected = "false"
    finally:
        CONTROLLERS.observe(perf_counter() - began, (name, phase, operation, rejected))


def observe_call(name: str, phase: str, operation: str, seconds: float, code: int, rejected: bool) -> None:
    """Note a call of a webhook."""
    told = "true" if rejected else "false"
    WEBHOOK_REQUESTS.inc((name, phase, operation, str(min(code, MAX_CODE)), told))
    WEBHOOKS.observe(seconds, (name, phase, operation, told))


def observe_rejection(name: str, phase: str, operation: str, error_type: str, code: int) -> None:
    """Note that a webhook, or the failure to call it, refuses a request."""
    WEBHOOK_REJECTIONS.inc((name, phase, operation, error_type, str(min(code, MAX_CODE))))
