"""Metrics of policies, by upstream's names (policy/validating/metrics, policy/mutating/metrics)."""

from __future__ import annotations

from apiserver_workers.apimachinery.metrics import REGISTRY

BUCKETS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
_VALIDATING = ("policy", "policy_binding", "error_type", "enforcement_action")
_MUTATING = ("policy", "policy_binding", "error_type")

VALIDATIONS = REGISTRY.counter(
    "apiserver_validating_admission_policy_check_total",
    "Validation admission policy check total, labeled by policy and further identified by binding and enforcement action "
    "taken.",
    _VALIDATING,
)
VALIDATION_SECONDS = REGISTRY.histogram(
    "apiserver_validating_admission_policy_check_duration_seconds",
    "Validation admission latency for individual validation expressions in seconds, labeled by policy and further including "
    "binding and enforcement action taken.",
    _VALIDATING,
    buckets=BUCKETS,
)
MUTATIONS = REGISTRY.counter(
    "apiserver_mutating_admission_policy_check_total",
    "Mutation admission policy check total, labeled by policy and further identified by binding.",
    _MUTATING,
)
MUTATION_SECONDS = REGISTRY.histogram(
    "apiserver_mutating_admission_policy_check_duration_seconds",
    "Mutation admission latency for individual mutation expressions in seconds, labeled by policy and binding.",
    _MUTATING,
    buckets=BUCKETS,
)


def observe_validation(policy: str, binding: str, error_type: str, action: str, seconds: float) -> None:
    """Note a validation that does not hold, and what was done."""
    labels = (policy, binding, error_type, action)
    VALIDATIONS.inc(labels)
    VALIDATION_SECONDS.observe(seconds, labels)


def observe_mutation(policy: str, binding: str, error_type: str, seconds: float) -> None:
    """Note a mutation that was tried."""
    labels = (policy, binding, error_type)
    MUTATIONS.inc(labels)
    MUTATION_SECONDS.observe(seconds, labels)
