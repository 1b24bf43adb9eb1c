"""Cells of jobs and autoscalers, and what the other controllers of pods share."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.tables.cells import NONE, UNKNOWN, Object, condition, format_selector, get, items
from apiserver_workers.apimachinery.tables.durations import age, human_duration, seconds_of

# A job's status is the first of these conditions that is true; deletion comes between them.
ENDED = (("Complete", "Complete"), ("Failed", "Failed"))
ALIVE = (("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"))
SHOWN_METRICS = 2


def ready_of_desired(obj: Object, now: float) -> str:
    return f"{get(obj, 'status.readyReplicas') or 0}/{get(obj, 'spec.replicas') or 0}"


def plain_selector(obj: Object, now: float) -> str:
    """The selector of a deployment, which alone shows none as nothing."""
    return format_selector(get(obj, "spec.selector"))


def controller(obj: Object, now: float) -> str:
    """The owner that controls the object: daemonset.apps/name."""
    for owner in items(obj, "metadata.ownerReferences"):
        if owner.get("controller"):
            group, _, _ = owner.get("apiVersion", "").rpartition("/")
            kind = f"{owner.get('kind', '')}.{group}" if group else owner.get("kind", "")
            return f"{kind.lower()}/{owner.get('name', '')}"
    return NONE


def job_status(job: Object, now: float) -> str:
    for kind, shown in ENDED:
        if _is_true(job, kind):
            return shown
    if get(job, "metadata.deletionTimestamp"):
        return "Terminating"
    for kind, shown in ALIVE:
        if _is_true(job, kind):
            return shown
    return "Running"


def _is_true(obj: Object, kind: str) -> bool:
    return (condition(obj, kind) or {}).get("status") == "True"


def job_completions(job: Object, now: float) -> str:
    succeeded = get(job, "status.succeeded") or 0
    completions = get(job, "spec.completions")
    if completions is not None:
        return f"{succeeded}/{completions}"
    parallelism = get(job, "spec.parallelism") or 0
    return f"{succeeded}/1 of {parallelism}" if parallelism > 1 else f"{succeeded}/1"


def job_duration(job: Object, now: float) -> str:
    start, end = get(job, "status.startTime"), get(job, "status.completionTime")
    if not start:
        return ""
    return human_duration(seconds_of(end) - seconds_of(start)) if end else age(start, now)


def suspended(obj: Object, now: float) -> str:
    value = get(obj, "spec.suspend")
    return "<unset>" if value is None else str(value)


def scale_target(autoscaler: Object, now: float) -> str:
    target = get(autoscaler, "spec.scaleTargetRef") or {}
    return f"{target.get('kind', '')}/{target.get('name', '')}"


def min_pods(autoscaler: Object, now: float) -> str:
    value = get(autoscaler, "spec.minReplicas")
    return "<unset>" if value is None else str(value)


def targets(autoscaler: Object, now: float) -> str:
    """The metrics of an autoscaler (v2): current/target of each, two at most."""
    specs, current = items(autoscaler, "spec.metrics"), items(autoscaler, "status.currentMetrics")
    if not specs:
        return NONE
    shown = [
        _metric(spec, current[index] if index < len(current) else {})
        for index, spec in enumerate(specs[:SHOWN_METRICS])
    ]
    text = ", ".join(shown)
    return f"{text} + {len(specs) - SHOWN_METRICS} more..." if len(specs) > SHOWN_METRICS else text


# metric type -> (its field, whether values that are no averages may be the target, whether its name is shown)
METRICS = {
    "External": ("external", True, False),
    "Pods": ("pods", False, False),
    "Object": ("object", True, False),
    "Resource": ("resource", False, True),
    "ContainerResource": ("containerResource", False, True),
}


def _metric(spec: Object, status: Object) -> str:
    if spec.get("type") not in METRICS:
        return "<unknown type>"
    field, absolute, named = METRICS[spec["type"]]
    target: Object = get(spec, f"{field}.target") or {}
    now = get(status, f"{field}.current")
    if named:
        text = _resource(target, now)
        return f"{spec[field].get('name', '')}: {text}"
    if absolute and "averageValue" not in target:
        return f"{_quantity(now, 'value')}/{_quantity(target, 'value')}"
    text = (
        f"{_quantity(now, 'averageValue', absent=UNKNOWN if absolute else '<nil>')}/{_quantity(target, 'averageValue')}"
    )
    return f"{text} (avg)" if absolute else text


def _quantity(amounts: Object | None, field: str, *, absent: str = "<nil>") -> Any:
    """A quantity of a metric; a metric without status is unknown."""
    return UNKNOWN if amounts is None else amounts.get(field, absent)


def _resource(target: Object, now: Object | None) -> str:
    if "averageValue" in target:
        return f"{_quantity(now, 'averageValue')}/{target['averageValue']}"
    used = (now or {}).get("averageUtilization")
    wanted = target.get("averageUtilization")
    return f"{UNKNOWN if used is None else f'{used}%'}/{'<auto>' if wanted is None else f'{wanted}%'}"
