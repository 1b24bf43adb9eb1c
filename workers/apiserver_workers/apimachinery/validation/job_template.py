"""What an update of a Job may change of its pod template (pkg/apis/batch/validation: validatePodTemplateUpdate).

Nothing while its pods may run. Of a suspended job without pods, where its pods are scheduled and what they request.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.validation.field import IMMUTABLE, Errors, invalid, section
from apiserver_workers.apimachinery.validation.internal import invalid_internal

Object = dict[str, Any]

POD_SPEC = "io.k8s.api.core.v1.PodSpec"
# What says where pods are scheduled, besides the node affinity.
SCHEDULING_METADATA = ("labels", "annotations")
SCHEDULING_SPEC = ("nodeSelector", "tolerations", "schedulingGates")


def validate_template_update(new: Object, old: Object) -> Errors:
    """The faults of a job's template that replaces another."""
    now = section(new, "spec", "template")
    before = section(old, "spec", "template")
    if now == before:
        return []
    suspended = bool(section(old, "spec").get("suspend"))
    if _may_be_scheduled_anew(old, suspended):
        before = _with_scheduling_of(now, before)
    if suspended and _has_no_pods(old) and feature_gates.enabled("MutablePodResourcesForSuspendedJobs"):
        return _validate_only_resources(now.get("spec") or {}, before.get("spec") or {})
    return [] if now == before else [invalid("spec.template", now, IMMUTABLE)]


def _may_be_scheduled_anew(job: Object, suspended: bool) -> bool:
    """Whether labels, annotations, node affinity, tolerations and the like may change."""
    if not suspended:
        return False
    if feature_gates.enabled("MutableSchedulingDirectivesForSuspendedJobs"):
        return _has_no_pods(job)
    return section(job, "status").get("startTime") is None


def _has_no_pods(job: Object) -> bool:
    """Whether a suspended job never began, or has been stopped, and nothing of it runs."""
    status = section(job, "status")
    if status.get("active"):
        return False
    conditions = status.get("conditions") or ()
    stopped = any(one.get("type") == "Suspended" and one.get("status") == "True" for one in conditions)
    return stopped or status.get("startTime") is None


def _with_scheduling_of(now: Object, before: Object) -> Object:
    """The template `before` with what `now` says of scheduling."""
    metadata = _taking(section(before, "metadata"), section(now, "metadata"), SCHEDULING_METADATA)
    spec = _taking(section(before, "spec"), section(now, "spec"), SCHEDULING_SPEC)
    affinity = _affinity(section(now, "spec").get("affinity"), spec.pop("affinity", None))
    if affinity is not None:
        spec["affinity"] = affinity
    template = {**before, "spec": spec}
    if metadata or "metadata" in now:
        template["metadata"] = metadata
    return template


def _taking(held: Object, other: Object, names: tuple[str, ...]) -> Object:
    """`held` with the members of those names as `other` has them."""
    kept = {name: value for name, value in held.items() if name not in names}
    return kept | {name: other[name] for name in names if name in other}


def _affinity(now: Object | None, before: Object | None) -> Object | None:
    """The affinity `before` with the node affinity of `now`; one that held nothing else may go."""
    others = {name: value for name, value in (before or {}).items() if name != "nodeAffinity"}
    if now is None:
        return others or None
    return others | {name: value for name, value in now.items() if name == "nodeAffinity"}


def _validate_only_resources(now: Object, before: Object) -> Errors:
    """Whether nothing but resources of containers differs; the metadata are free."""
    allowed = dict(before)
    for field in ("containers", "initContainers"):
        if field in before:
            allowed[field] = _with_resources_of(now.get(field) or [], before[field])
    return [] if now == allowed else [invalid_internal("spec.template.spec", POD_SPEC, now, IMMUTABLE)]


def _with_resources_of(now: list[Object], before: list[Object]) -> list[Object]:
    """The containers `before` with the resources that those of the same name and place have `now`."""
    if len(now) != len(before):
        return before
    return [
        _taking(held, other, ("resources",)) if held.get("name") == other.get("name") else held
        for other, held in zip(now, before, strict=True)
    ]
