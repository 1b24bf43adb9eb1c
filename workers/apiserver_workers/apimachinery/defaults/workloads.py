"""Defaults of controllers of pods: rollout strategies, jobs, autoscalers."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.defaults.pods import set_claim_spec, set_template
from apiserver_workers.apimachinery.defaults.resource_lists import round_list
from apiserver_workers.apimachinery.defaults.rules import Object

ROLLING_UPDATE = "RollingUpdate"
MAX_INT32 = 2**31 - 1


def _set_rolling_update(spec: Object, field: str, **limits: Any) -> None:
    """The strategy in spec[field]: a rolling update with these limits, unless it says otherwise."""
    strategy = spec.setdefault(field, {})
    strategy["type"] = strategy.get("type") or ROLLING_UPDATE
    if strategy["type"] == ROLLING_UPDATE:
        spec[field]["rollingUpdate"] = {**limits, **(strategy.get("rollingUpdate") or {})}


def set_deployment(deployment: Object) -> None:
    spec = deployment.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    _set_rolling_update(spec, "strategy", maxUnavailable="25%", maxSurge="25%")
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    set_template(spec)


def set_daemon_set(daemon_set: Object) -> None:
    spec = daemon_set.setdefault("spec", {})
    _set_rolling_update(spec, "updateStrategy", maxUnavailable=1, maxSurge=0)
    spec.setdefault("revisionHistoryLimit", 10)
    set_template(spec)


def set_replica_set(replica_set: Object) -> None:
    spec = replica_set.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    set_template(spec)


def set_stateful_set(stateful_set: Object) -> None:
    spec = stateful_set.setdefault("spec", {})
    spec["podManagementPolicy"] = spec.get("podManagementPolicy") or "OrderedReady"
    strategy = spec.setdefault("updateStrategy", {})
    if not strategy.get("type"):
        strategy["type"] = ROLLING_UPDATE
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == ROLLING_UPDATE and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    for field in ("whenDeleted", "whenScaled"):
        retention[field] = retention.get(field) or "Retain"
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    set_template(spec)
    for claim in spec.get("volumeClaimTemplates") or ():
        # the only embedded objects whose kind is always written
        claim.update(kind="PersistentVolumeClaim", apiVersion="v1")
        set_persistent_volume_claim(claim)


def set_persistent_volume_claim(claim: Object) -> None:
    status = claim.setdefault("status", {})
    status["phase"] = status.get("phase") or "Pending"
    set_claim_spec(claim.setdefault("spec", {}))
    round_list(status.get("capacity"))
    round_list(status.get("allocatedResources"))


def set_job(job: Object) -> None:
    spec = job.setdefault("spec", {})
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", MAX_INT32 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    metadata = job.setdefault("metadata", {})
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels and not metadata.get("labels"):
        metadata["labels"] = dict(labels)
    set_job_spec(spec)


def set_job_spec(spec: Object) -> None:
    """Defaults that a job template gets too."""
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"
    set_template(spec)


def set_autoscaler(autoscaler: Object) -> None:
    spec = autoscaler.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if behavior is not None:
        behavior["scaleUp"] = _scaling_rules(
            behavior.get("scaleUp"), {"Pods": 4, "Percent": 100}, stabilizationWindowSeconds=0
        )
        behavior["scaleDown"] = _scaling_rules(behavior.get("scaleDown"), {"Percent": 100})


def _scaling_rules(rules: Object | None, amounts: dict[str, int], **more: int) -> Object:
    policies = [{"type": kind, "value": value, "periodSeconds": 15} for kind, value in amounts.items()]
    return {**more, "selectPolicy": "Max", "policies": policies, **(rules or {})}
