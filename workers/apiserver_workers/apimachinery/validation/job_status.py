"""The status of a Job, as other controllers than the job controller may write it (pkg/apis/batch/validation).

Most rules only hold for what an update changes: what was written before they existed stays writable.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from apiserver_workers.apimachinery.integers import whole
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    duplicate,
    each,
    invalid,
    invalid_unshown,
    required,
    section,
    shown,
)
from apiserver_workers.apimachinery.validation.internal import invalid_internal

Object = dict[str, Any]

UNCOUNTED = "io.k8s.api.batch.v1.UncountedTerminatedPods"
# Conditions that stay True once they are.
TERMINAL = ("Failed", "Complete", "FailureTarget")


class _Status:
    """A job's status with its conditions by type and the counts that may be absent."""

    def __init__(self, job: Object) -> None:
        self.fields = section(job, "status")
        conditions = self.fields.get("conditions") or ()
        self.true = frozenset(c.get("type") for c in conditions if c.get("status") == "True")
        self.false = frozenset(c.get("type") for c in conditions if c.get("status") == "False")
        self.complete, self.failed = "Complete" in self.true, "Failed" in self.true
        self.finished = self.complete or self.failed
        self.target, self.criteria = "FailureTarget" in self.true, "SuccessCriteriaMet" in self.true
        self.start, self.end = self.fields.get("startTime"), self.fields.get("completionTime")
        self.active = self.fields.get("active") or 0
        self.completed_indexes = self.fields.get("completedIndexes", "")
        self.failed_indexes = self.fields.get("failedIndexes")
        self.uncounted = self.fields.get("uncountedTerminatedPods")


def validate_job_status(new: Object, old: Object) -> Errors:
    """ValidateJobStatusUpdate."""
    now, was = _Status(new), _Status(old)
    spec = section(new, "spec")
    return [
        *_validate_counts(now),
        *_validate_conditions(now, was),
        *_validate_finished(now, was, spec),
        *_validate_indexes(now, was, spec),
        *_validate_pods(now, was),
        *_validate_criteria(now, spec),
        *_validate_transition(now, was, spec),
    ]


def _validate_counts(now: _Status) -> Errors:
    errors: Errors = []
    for field in ("active", "succeeded", "failed", "ready", "terminating"):
        errors += at_least_zero(now.fields.get(field), f"status.{field}")
    seen: set[str] = set()
    for field in ("succeeded", "failed"):
        for at, uid in each(f"status.uncountedTerminatedPods.{field}", (now.uncounted or {}).get(field)):
            if not uid:
                errors.append(invalid(at, uid, "must not be empty"))
            elif uid in seen:
                errors.append(duplicate(at, uid))
            seen.add(uid)
    return errors


def _validate_conditions(now: _Status, was: _Status) -> Errors:
    errors: Errors = []
    conditions, end = "status.conditions", "status.completionTime"
    completed = now.complete != was.complete
    ended = now.end != was.end
    if (completed or now.failed != was.failed) and now.complete and now.failed:
        errors.append(invalid_unshown(conditions, "cannot set Complete=True and Failed=true conditions"))
    if (completed or now.target != was.target) and now.complete and now.target:
        errors.append(invalid_unshown(conditions, "cannot set Complete=True and FailureTarget=true conditions"))
    if (completed or ended) and now.end is not None and not now.complete:
        errors.append(invalid(end, now.end, "cannot set completionTime when there is no Complete=True condition"))
    if (completed or ended) and now.end is None and now.complete:
        errors.append(required(end, "completionTime is required for Complete jobs"))
    if (ended or now.start != was.start) and now.start and now.end and now.end < now.start:
        errors.append(invalid(end, now.end, "must be equal to or after `startTime`"))
    if (now.failed != was.failed or now.target != was.target) and now.failed and not now.target:
        text = "cannot set Failed=True condition without the FailureTarget=true condition"
        errors.append(invalid_unshown(conditions, text))
    if (completed or now.criteria != was.criteria) and now.complete and not now.criteria:
        text = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        errors.append(invalid_unshown(conditions, text))
    return errors


def _validate_finished(now: _Status, was: _Status, spec: Object) -> Errors:
    if not now.finished:
        return []
    errors: Errors = []
    if (not was.finished or now.active != was.active) and now.active > 0:
        errors.append(invalid("status.active", now.active, "active>0 is invalid for finished job"))
    never_starts = spec.get("suspend") is True and spec.get("completions") == 0
    if (not was.finished or now.start != was.start) and now.start is None and not never_starts:
        errors.append(required("status.startTime", "startTime is required for finished job"))
    if (not was.finished or now.uncounted != was.uncounted) and any((now.uncounted or {}).values()):
        text = "must be empty for finished job"
        errors.append(invalid_internal("status.uncountedTerminatedPods", UNCOUNTED, now.uncounted, text))
    return errors


def _validate_indexes(now: _Status, was: _Status, spec: Object) -> Errors:
    errors: Errors = []
    completed, failed = "status.completedIndexes", "status.failedIndexes"
    completions, limit = spec.get("completions"), spec.get("backoffLimitPerIndex")
    completed_changed = now.completed_indexes != was.completed_indexes
    failed_changed = now.failed_indexes != was.failed_indexes
    if completed_changed and completions is not None and (fault := _fault(now.completed_indexes, completions)):
        errors.append(invalid(completed, now.completed_indexes, f"error parsing completedIndexes: {fault}"))
    if failed_changed and completions is not None and limit is not None:
        if now.failed_indexes is not None and (fault := _fault(now.failed_indexes, completions)):
            errors.append(invalid(failed, now.failed_indexes, f"error parsing failedIndexes: {fault}"))
    if completed_changed and now.completed_indexes and spec.get("completionMode") != "Indexed":
        text = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(invalid(completed, now.completed_indexes, text))
    if failed_changed and limit is None and now.failed_indexes is not None:
        text = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(invalid(failed, now.failed_indexes, text))
    if (failed_changed or completed_changed) and completions is not None and now.failed_indexes is not None:
        overlap = _overlap(now.completed_indexes, now.failed_indexes, completions)
        if overlap is not None:
            text = f"failedIndexes and completedIndexes overlap at index: {overlap}"
            errors.append(invalid(failed, now.failed_indexes, text))
    return errors


def _validate_pods(now: _Status, was: _Status) -> Errors:
    errors: Errors = []
    terminating, ready = now.fields.get("terminating"), now.fields.get("ready")
    if (now.finished != was.finished or terminating != was.fields.get("terminating")) and now.finished:
        if (terminating or 0) > 0:
            errors.append(invalid("status.terminating", terminating, "terminating>0 is invalid for finished job"))
    if (ready != was.fields.get("ready") or now.active != was.active) and (ready or 0) > now.active:
        errors.append(invalid("status.ready", ready, "cannot set more ready pods than active"))
    return errors


def _validate_criteria(now: _Status, spec: Object) -> Errors:
    errors: Errors = []
    if now.criteria and now.failed:
        text = "cannot set SuccessCriteriaMet=True and Failed=true conditions"
        errors.append(invalid_unshown("status.conditions", text))
    if now.criteria and now.target:
        text = "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"
        errors.append(invalid_unshown("status.conditions", text))
    if spec.get("successPolicy") is not None and not now.criteria and now.complete:
        text = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        errors.append(invalid_unshown("status.conditions", text))
    return errors


def _validate_transition(now: _Status, was: _Status, spec: Object) -> Errors:
    errors: Errors = []
    for kind in TERMINAL:
        if kind in was.true and kind not in now.true:
            text = f"cannot disable the terminal {kind}=True condition"
            errors.append(invalid_unshown("status.conditions", text))
    # Succeeded pods of a job whose completions follow its parallelism go when it shrinks.
    elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get("parallelism")
    counters = ("failed",) if elastic else ("failed", "succeeded")
    for field in counters:
        value = now.fields.get(field) or 0
        if value < (was.fields.get(field) or 0):
            errors.append(invalid(f"status.{field}", value, f"cannot decrease the {field} counter"))
    if now.end is not None and was.end is not None and now.end != was.end:
        errors.append(invalid("status.completionTime", now.end, "field is immutable"))
    # The controller hears of a resumed job after its spec has changed, and writes both at once.
    resumed = "Suspended" in was.true and "Suspended" in now.false
    if was.start is not None and now.start != was.start and not spec.get("suspend") and not resumed:
        errors.append(invalid("status.startTime", now.start, "field is immutable for unsuspended job once set"))
    if was.criteria and not now.criteria:
        text = "cannot disable the SuccessCriteriaMet=True condition"
        errors.append(invalid_unshown("status.conditions", text))
    if was.complete and not was.criteria and now.criteria:
        text = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.append(invalid_unshown("status.conditions", text))
    return errors


# Indexes written as "1,3-5"


def count_indexes(text: str, completions: int) -> int:
    """How many indexes the text names, all below `completions`; ValueError says what is wrong."""
    intervals = [_interval(part, completions) for part in text.split(",")] if text else []
    for (_, last), (first, _) in pairwise(intervals):
        if last >= first:
            raise ValueError(f"non-increasing order, previous: {last}, current: {first}")
    return sum(last - first + 1 for first, last in intervals)


def _interval(text: str, completions: int) -> tuple[int, int]:
    parts = text.split("-")
    if len(parts) > 2:
        limit = "that an index interval can have at most two parts separated by '-'"
        raise ValueError(f"the fragment {shown(text)} violates the requirement {limit}")
    numbers = [_index(part, completions) for part in parts]
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        raise ValueError(f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}")
    return numbers[0], numbers[-1]


def _index(text: str, completions: int) -> int:
    if not (text.removeprefix("+").isascii() and text.removeprefix("+").isdigit()):
        raise ValueError(f"cannot convert string to integer for index: {shown(text)}")
    number = whole(text)
    if number >= completions:
        raise ValueError(f"too large index: {shown(text)}")
    return number


def _fault(text: str, completions: int) -> str:
    try:
        count_indexes(text, completions)
    except ValueError as fault:
        return str(fault)
    return ""


def _overlap(completed: str, failed: str, completions: int) -> int | None:
    """The first index that is in both."""
    intervals = []
    for text in (completed, failed):
        parsed = []
        for part in text.split(",") if text else ():
            try:
                parsed.append(_interval(part, completions))
            except ValueError:
                continue  # said elsewhere
        intervals.append(parsed)
    done, lost = intervals
    at = to = 0
    while at < len(done) and to < len(lost):
        if done[at][0] <= lost[to][1] and lost[to][0] <= done[at][1]:
            return max(done[at][0], lost[to][0])
        if done[at][0] <= lost[to][0]:
            at += 1
        else:
            to += 1
    return None
