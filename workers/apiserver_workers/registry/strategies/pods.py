"""Pods (pkg/registry/core/pod/strategy.go)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation.pods import qos_class
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.options import DeleteOptions
from apiserver_workers.registry.strategies.base import Object, Strategy, now, take_over

GATED = "Scheduling is blocked due to non-empty scheduling gates"
ENDED = ("Succeeded", "Failed")
CONTAINERS = ("containers", "initContainers")


class PodStrategy(Strategy):
    """Status is the kubelet's; deletion gives a running pod time to end."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        obj["metadata"]["generation"] = 1
        spec = obj["spec"]
        if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
            spec["terminationGracePeriodSeconds"] = 1
        status: Object = {"phase": "Pending", "qosClass": qos_class(obj)}
        obj["status"] = status
        if spec.get("schedulingGates"):
            status["conditions"] = [gated_condition()]
        add_label_keys(obj)

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        handler = getattr(self, f"_prepare_{context.subresource or 'pod'}")
        handler(new, old)
        spec = new["spec"]
        if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
            spec["terminationGracePeriodSeconds"] = 1
        if context.subresource != "status" and self.changed(new, old):
            new["metadata"]["generation"] = new["metadata"].get("generation", 0) + 1

    def _prepare_pod(self, new: Object, old: Object) -> None:
        take_over(new, old, "status")

    def _prepare_status(self, new: Object, old: Object) -> None:
        self.keep_all_but_status(new, old)
        status = new.setdefault("status", {})
        if not status.get("qosClass"):
            take_over(status, old.get("status") or {}, "qosClass")

    def _prepare_ephemeralcontainers(self, new: Object, old: Object) -> None:
        containers = (new.get("spec") or {}).get("ephemeralContainers")
        _keep(new, old)
        if containers is not None:
            new["spec"]["ephemeralContainers"] = containers
        else:
            new["spec"].pop("ephemeralContainers", None)

    def _prepare_resize(self, new: Object, old: Object) -> None:
        asked, before = new.get("spec") or {}, old["spec"]
        if any(len(asked.get(field) or ()) != len(before.get(field) or ()) for field in CONTAINERS):
            return  # containers come and go: validation says so
        _keep(new, old)
        spec = new["spec"]
        for field in CONTAINERS:
            if before.get(field):
                spec[field] = _resized(asked[field], before[field])
        take_over(spec, asked, "resources")

    def check_graceful_delete(self, obj: Object, options: DeleteOptions, context: Context) -> bool:
        spec = obj["spec"]
        period = options.grace_period
        if period is None:
            period = spec.get("terminationGracePeriodSeconds", 0)
        if not spec.get("nodeName") or (obj.get("status") or {}).get("phase") in ENDED:
            period = 0  # nothing runs that would need time
        options.grace_period = max(period, 1) if period < 0 else period
        return True


def _keep(new: Object, old: Object) -> None:
    """The old pod but for what the subresource takes from the new one; metadata only keeps up with the update."""
    for field in (new.keys() | old.keys()) - {"metadata"}:
        take_over(new, old, field)
    new["spec"] = dict(old["spec"])
    metadata = new["metadata"]
    own = {field: metadata[field] for field in ("resourceVersion", "managedFields") if field in metadata}
    metadata.clear()
    metadata.update({field: value for field, value in old["metadata"].items() if field not in own}, **own)


def _resized(asked: list[Object], before: list[Object]) -> list[Object]:
    """The old containers with the resources that are asked for; those asked for where names or order differ."""
    if any(one.get("name") != other.get("name") for one, other in zip(asked, before, strict=True)):
        return asked
    resized = [dict(container) for container in before]
    for container, wanted in zip(resized, asked, strict=True):
        take_over(container, wanted, "resources")
        take_over(container, wanted, "resizePolicy")
    return resized


def gated_condition() -> dict[str, Any]:
    """The condition of a pod that waits behind its scheduling gates."""
    return {
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": now(),
        "reason": "SchedulingGated",
        "message": GATED,
    }


def add_label_keys(pod: Object) -> None:
    """matchLabelKeys and mismatchLabelKeys of pod (anti-)affinity and of topology spread become expressions."""
    labels = pod["metadata"].get("labels") or {}
    spec = pod["spec"]
    for constraint in spec.get("topologySpreadConstraints") or ():
        _extend(constraint, "matchLabelKeys", "In", labels)
    affinity = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted["podAffinityTerm"] for weighted in preferred if weighted.get("podAffinityTerm")]
        for term in terms:
            _extend(term, "matchLabelKeys", "In", labels)
            _extend(term, "mismatchLabelKeys", "NotIn", labels)


def _extend(term: Object, field: str, operator: str, labels: dict[str, str]) -> None:
    selector, keys = term.get("labelSelector"), term.get(field)
    if selector is None or not keys:
        return
    added = [{"key": key, "operator": operator, "values": [labels[key]]} for key in keys if key in labels]
    if added:
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), *added]


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {("", "pods"): PodStrategy}
