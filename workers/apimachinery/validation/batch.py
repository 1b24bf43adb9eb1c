"""batch: Job and CronJob (pkg/apis/batch/validation)."""

from __future__ import annotations

import zoneinfo
from typing import Any

from workers.apimachinery.label_selectors import label_selector_matches
from workers.apimachinery.validation import names
from workers.apimachinery.validation.cron import schedule_fault
from workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    duplicate,
    each,
    invalid,
    key,
    not_supported,
    one_of,
    required,
    section,
    unchanged,
)
from workers.apimachinery.validation.pod_spec import validate_pod_template
from workers.apimachinery.validation.rules import KindValidation
from workers.apimachinery.validation.selectors import validate_label_selector

Object = dict[str, Any]
GROUP = "batch"

MODES = ("NonIndexed", "Indexed")
REPLACEMENT = ("Failed", "TerminatingOrFailed")
CONCURRENCY = ("Allow", "Forbid", "Replace")
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
MAX_INDEXED_PARALLELISM, MAX_COMPLETIONS = 100_000, 2**31 - 1
UID_LABEL, OLD_UID_LABEL = "batch.kubernetes.io/controller-uid", "controller-uid"
NAME_LABEL, OLD_NAME_LABEL = "batch.kubernetes.io/job-name", "job-name"


def validate_job(job: Object) -> Errors:
    """ValidateJob, after the selector was generated."""
    spec = section(job, "spec")
    errors = _validate_generated_selector(job, spec)
    errors += validate_job_spec(spec, "spec")
    if spec.get("completionMode") == "Indexed" and (completions := spec.get("completions") or 0) > 0:
        # The pods' host names are made of the job's name and the index.
        own = job["metadata"].get("name", "")
        pod = f"{own}-{completions - 1}"
        if names.is_dns1123_label(pod):
            text = f"will not able to create pod with invalid DNS label: {pod}"
            errors.append(invalid("metadata.name", own, text))
    return errors


def _validate_generated_selector(job: Object, spec: Object) -> Errors:
    """validateGeneratedSelector: labels and selector are those that the server makes."""
    if spec.get("manualSelector") or spec.get("selector") is None:
        return []
    uid, name = job["metadata"].get("uid", ""), job["metadata"].get("name", "")
    labels = section(spec, "template", "metadata").get("labels") or {}
    errors: Errors = []
    for label, expected in ((OLD_UID_LABEL, uid), (UID_LABEL, uid), (OLD_NAME_LABEL, name), (NAME_LABEL, name)):
        at = key("spec.template.metadata.labels", label)
        if label not in labels:
            errors.append(required(at, f"must be '{expected}'"))
        elif labels[label] != expected:
            errors.append(invalid(at, labels, f"must be '{expected}'"))
    if not label_selector_matches(spec["selector"], {UID_LABEL: uid, OLD_UID_LABEL: uid}):
        errors.append(invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))
    return errors


def validate_job_spec(spec: Object, path: str, *, in_template: bool = False) -> Errors:
    """ValidateJobSpec; a job template (of a CronJob) has no selector yet."""
    errors = _validate_numbers(spec, path)
    errors += one_of(spec.get("completionMode"), MODES, f"{path}.completionMode")
    errors += _validate_indexed(spec, path)
    if policy := spec.get("podFailurePolicy"):
        errors += _validate_failure_policy(spec, policy, f"{path}.podFailurePolicy")
    if policy := spec.get("successPolicy"):
        errors += _validate_success_policy(spec, policy, f"{path}.successPolicy")
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        choices = REPLACEMENT if spec.get("podFailurePolicy") is None else REPLACEMENT[:1]
        errors += one_of(replacement, choices, f"{path}.podReplacementPolicy", needed=True)
    if (manager := spec.get("managedBy")) is not None:
        errors += [invalid(f"{path}.managedBy", manager, fault) for fault in names.is_qualified_name(manager)]
    if not in_template:
        errors += _validate_selector(spec, path)
    return errors + _validate_template(spec, path)


def _validate_numbers(spec: Object, path: str) -> Errors:
    errors: Errors = []
    for field in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
    ):
        errors += at_least_zero(spec.get(field), f"{path}.{field}")
    limit = spec.get("maxFailedIndexes")
    if limit is not None:
        errors += at_least_zero(limit, f"{path}.maxFailedIndexes")
        if spec.get("backoffLimitPerIndex") is None:
            errors.append(required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    return errors


def _validate_indexed(spec: Object, path: str) -> Errors:
    errors: Errors = []
    mode, completions, parallelism = spec.get("completionMode"), spec.get("completions"), spec.get("parallelism")
    if mode != "Indexed":
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if (value := spec.get(field)) is not None:
                errors.append(invalid(f"{path}.{field}", value, "requires indexed completion mode"))
        return errors
    if completions is None:
        errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > MAX_INDEXED_PARALLELISM:
        text = f"must be less than or equal to {MAX_INDEXED_PARALLELISM} when completion mode is Indexed"
        errors.append(invalid(f"{path}.parallelism", parallelism, text))
    limit = spec.get("maxFailedIndexes")
    if limit is not None and completions is not None and limit > completions:
        errors.append(invalid(f"{path}.maxFailedIndexes", limit, "must be less than or equal to completions"))
    return errors


def _validate_failure_policy(spec: Object, policy: Object, path: str) -> Errors:
    errors: Errors = []
    rules = policy.get("rules") or []
    if len(rules) > 20:
        errors.append(invalid(f"{path}.rules", len(rules), "must have at most 20 items"))
    containers = {
        container.get("name", "")
        for field in ("containers", "initContainers")
        for container in section(spec, "template", "spec").get(field) or ()
    }
    for at, rule in each(f"{path}.rules", rules):
        errors += _validate_failure_rule(rule, at, containers)
    return errors


def _validate_failure_rule(rule: Object, path: str, containers: set[str]) -> Errors:
    errors = one_of(rule.get("action"), ACTIONS, f"{path}.action", needed=True)
    exit_codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
    if exit_codes is not None:
        at = f"{path}.onExitCodes"
        errors += one_of(exit_codes.get("operator"), ("In", "NotIn"), f"{at}.operator", needed=True)
        name = exit_codes.get("containerName")
        if name is not None and name not in containers:
            text = "must be one of the container or initContainer names in the pod template"
            errors.append(invalid(f"{at}.containerName", name, text))
        errors += _validate_exit_codes(exit_codes, f"{at}.values")
    for at, condition in each(f"{path}.onPodConditions", conditions):
        kind = condition.get("type", "")
        errors += [invalid(f"{at}.type", kind, fault) for fault in names.is_qualified_name(kind)]
        errors += one_of(condition.get("status"), ("False", "True", "Unknown"), f"{at}.status", needed=True)
    if exit_codes is not None and conditions:
        errors.append(invalid(path, "", "specifying both OnExitCodes and OnPodConditions is not supported"))
    if exit_codes is None and not conditions:
        errors.append(invalid(path, "", "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _validate_exit_codes(requirement: Object, path: str) -> Errors:
    errors: Errors = []
    values = requirement.get("values") or []
    if not values:
        errors.append(invalid(path, values, "at least one value is required"))
    for index, value in enumerate(values):
        if requirement.get("operator") == "In" and value == 0:
            errors.append(invalid(f"{path}[{index}]", value, "must not be 0 for the In operator"))
        if value in values[:index]:
            errors.append(duplicate(f"{path}[{index}]", value))
    if values != sorted(values):
        errors.append(invalid(path, values, "must be ordered"))
    return errors


def _validate_success_policy(spec: Object, policy: Object, path: str) -> Errors:
    rules = policy.get("rules") or []
    if spec.get("completionMode") != "Indexed":
        shown = [
            {"SucceededIndexes": rule.get("succeededIndexes"), "SucceededCount": rule.get("succeededCount")}
            for rule in rules
        ]
        return [invalid(path, {"Rules": shown}, "requires indexed completion mode")]
    if not rules:
        return [required(f"{path}.rules", "at least one rules must be specified when the successPolicy is specified")]
    errors: Errors = []
    for at, rule in each(f"{path}.rules", rules):
        count = rule.get("succeededCount")
        if count is None and rule.get("succeededIndexes") is None:
            errors.append(required(at, "at least one of succeededCount or succeededIndexes must be specified"))
        errors += at_least_zero(count, f"{at}.succeededCount")
        if count is not None and count > (spec.get("completions") or 0):
            text = f"must be less than or equal to {spec.get('completions') or 0} (the number of specified completions)"
            errors.append(invalid(f"{at}.succeededCount", count, text))
    return errors


def _validate_selector(spec: Object, path: str) -> Errors:
    selector = spec.get("selector")
    errors = (
        [required(f"{path}.selector")] if selector is None else validate_label_selector(selector, f"{path}.selector")
    )
    labels = section(spec, "template", "metadata").get("labels")
    if not label_selector_matches(selector, labels or {}):
        text = "`selector` does not match template `labels`"
        errors.append(invalid(f"{path}.template.metadata.labels", labels, text))
    return errors


def _validate_template(spec: Object, path: str) -> Errors:
    template = spec.get("template") or {}
    errors = validate_pod_template(template, f"{path}.template")
    policy, at = section(template, "spec").get("restartPolicy", ""), f"{path}.template.spec.restartPolicy"
    if policy in ("", "Always"):
        errors.append(required(at, 'valid values: "OnFailure", "Never"'))
    elif policy not in ("OnFailure", "Never"):
        errors.append(not_supported(at, policy, ("OnFailure", "Never")))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        errors.append(invalid(at, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return errors


def _job_update(new: Object, old: Object) -> Errors:
    spec, was = section(new, "spec"), section(old, "spec")
    errors = validate_job_spec(spec, "spec")
    completions = spec.get("completions"), was.get("completions")
    elastic = spec.get("completionMode") == "Indexed" and completions[0] == spec.get("parallelism")
    if not elastic:
        errors += unchanged(*completions, "spec.completions")
    errors += unchanged(spec.get("selector"), was.get("selector"), "spec.selector")
    errors += _template_unchanged(spec, was)
    for field in (
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        errors += unchanged(spec.get(field), was.get(field), f"spec.{field}")
    return errors


# Scheduling directives that a suspended job's template may change.
MUTABLE_WHEN_SUSPENDED = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def _template_unchanged(spec: Object, was: Object) -> Errors:
    now, before = spec.get("template") or {}, was.get("template") or {}
    if was.get("suspend"):
        pod = {**section(now, "spec")}
        for field in MUTABLE_WHEN_SUSPENDED:
            if field in section(before, "spec"):
                pod[field] = before["spec"][field]
            else:
                pod.pop(field, None)
        meta = {**section(now, "metadata")}
        for field in ("labels", "annotations"):
            if field in section(before, "metadata"):
                meta[field] = before["metadata"][field]
            else:
                meta.pop(field, None)
        now = {**now, "metadata": meta, "spec": pod} if meta or "metadata" in now else {**now, "spec": pod}
    return unchanged(now, before, "spec.template")


def _job_status(new: Object, old: Object) -> Errors:
    status = section(new, "status")
    return [
        e for field in ("active", "succeeded", "failed") for e in at_least_zero(status.get(field), f"status.{field}")
    ]


# CronJob


def cron_job_name(name: str) -> list[str]:
    """A CronJob's name leaves room for the time that its jobs' names get."""
    return [names.too_long(52)] if len(name) > 52 else names.is_dns1123_subdomain(name)


def validate_cron_job(obj: Object) -> Errors:
    spec = section(obj, "spec")
    errors: Errors = []
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not schedule:
        errors.append(required("spec.schedule"))
    else:
        errors += _validate_schedule(schedule, zone)
    if zone is not None:
        errors += _validate_time_zone(zone)
    errors += at_least_zero(spec.get("startingDeadlineSeconds"), "spec.startingDeadlineSeconds")
    errors += one_of(spec.get("concurrencyPolicy"), CONCURRENCY, "spec.concurrencyPolicy", needed=True)
    template = section(spec, "jobTemplate", "spec")
    path = "spec.jobTemplate.spec"
    errors += validate_job_spec(template, path, in_template=True)
    if template.get("manualSelector"):
        errors.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        errors += at_least_zero(spec.get(field), f"spec.{field}")
    return errors


def _validate_schedule(schedule: str, zone: str | None) -> Errors:
    errors: Errors = []
    if fault := schedule_fault(schedule):
        errors.append(invalid("spec.schedule", schedule, fault))
    if "TZ" in schedule and zone is not None:
        text = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(invalid("spec.schedule", schedule, text))
    elif "TZ" in schedule:
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid("spec.schedule", schedule, text))
    return errors


def _validate_time_zone(zone: str) -> Errors:
    path = "spec.timeZone"
    if not zone:
        return [invalid(path, zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        return [
            invalid(path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")
        ]
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return [invalid(path, zone, f"unknown time zone {zone}")]
    return []


KINDS = {
    (GROUP, "Job"): KindValidation(create=validate_job, updates={"": _job_update, "status": _job_status}),
    (GROUP, "CronJob"): KindValidation(
        name=cron_job_name, create=validate_cron_job, updates={"": lambda new, old: validate_cron_job(new)}
    ),
}
