"""batch: Job and CronJob (pkg/apis/batch/validation)."""

from __future__ import annotations

import re
import zoneinfo
from typing import Any

from apiserver_workers.apimachinery.label_selectors import label_selector_matches
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.cron import schedule_fault
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    duplicate,
    each,
    invalid,
    invalid_unshown,
    key,
    not_supported,
    one_of,
    repeated,
    required,
    section,
    shown,
    too_long,
    too_many,
    unchanged,
)
from apiserver_workers.apimachinery.validation.job_status import count_indexes, validate_job_status
from apiserver_workers.apimachinery.validation.job_template import validate_template_update
from apiserver_workers.apimachinery.validation.networking import validate_domain_prefixed_path
from apiserver_workers.apimachinery.validation.pod_spec import validate_pod_template
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector

Object = dict[str, Any]
GROUP = "batch"

MODES = ("NonIndexed", "Indexed")
REPLACEMENT = ("Failed", "TerminatingOrFailed")
CONCURRENCY = ("Allow", "Forbid", "Replace")
ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
MAX_INDEXED, MANY_COMPLETIONS, MAX_WITH_MANY = 100_000, 100_000, 10_000
MAX_MANAGER, MAX_RULES, MAX_EXIT_CODES, MAX_INDEXES_TEXT = 63, 20, 255, 64 * 1024
UID_LABEL, OLD_UID_LABEL = "batch.kubernetes.io/controller-uid", "controller-uid"
NAME_LABEL, OLD_NAME_LABEL = "batch.kubernetes.io/job-name", "job-name"


def validate_job(job: Object, old: Object | None = None) -> Errors:
    """ValidateJob, after the selector was generated; a job of old may lack the labels that came later."""
    spec = section(job, "spec")
    held = section(old or {}, "spec", "template", "metadata").get("labels") or {}
    prefixed = old is None or (NAME_LABEL in held and UID_LABEL in held)
    errors = _validate_generated_selector(job, spec, prefixed)
    errors += validate_job_spec(spec, "spec", was=section(old or {}, "spec"))
    if spec.get("completionMode") == "Indexed" and (completions := spec.get("completions") or 0) > 0:
        # The pods' host names are made of the job's name and the index.
        own = job["metadata"].get("name", "")
        pod = f"{own}-{completions - 1}"
        if names.is_dns1123_label(pod):
            text = f"will not able to create pod with invalid DNS label: {pod}"
            errors.append(invalid("metadata.name", own, text))
    return errors


def _validate_generated_selector(job: Object, spec: Object, prefixed: bool) -> Errors:
    """validateGeneratedSelector: labels and selector are those that the server makes."""
    if spec.get("manualSelector") or spec.get("selector") is None:
        return []
    uid, name = job["metadata"].get("uid", ""), job["metadata"].get("name", "")
    labels = section(spec, "template", "metadata").get("labels") or {}
    expected_labels = {OLD_UID_LABEL: uid, OLD_NAME_LABEL: name}
    if prefixed:
        expected_labels |= {UID_LABEL: uid, NAME_LABEL: name}
    errors: Errors = [] if uid else [required("metadata.uid")]
    for label, expected in expected_labels.items():
        at = key("spec.template.metadata.labels", label)
        if label not in labels:
            errors.append(required(at, f"must be '{expected}'"))
        elif labels[label] != expected:
            errors.append(invalid(at, labels, f"must be '{expected}'"))
    usable = not validate_label_selector(spec["selector"], "")
    if usable and not label_selector_matches(spec["selector"], expected_labels):
        errors.append(invalid("spec.selector", spec["selector"], "`selector` not auto-generated"))
    return errors


def validate_job_spec(spec: Object, path: str, *, in_template: bool = False, was: Object | None = None) -> Errors:
    """ValidateJobSpec; a job template (of a CronJob) has no selector yet, and `was` is the spec that is replaced."""
    errors = _validate_numbers(spec, path)
    if (manager := spec.get("managedBy")) is not None:
        errors += validate_domain_prefixed_path(manager, f"{path}.managedBy")
        if len(manager) > MAX_MANAGER:
            errors.append(too_long(f"{path}.managedBy", MAX_MANAGER))
    mode = spec.get("completionMode")
    if mode is not None and mode not in MODES:
        errors.append(not_supported(f"{path}.completionMode", mode, MODES))
    errors += _validate_indexed(spec, path)
    if (policy := spec.get("podFailurePolicy")) is not None:
        errors += _validate_failure_policy(spec, policy, f"{path}.podFailurePolicy")
    if (policy := spec.get("successPolicy")) is not None:
        errors += _validate_success_policy(spec, policy, f"{path}.successPolicy")
    replacement = spec.get("podReplacementPolicy")
    if replacement is not None:
        choices = REPLACEMENT if spec.get("podFailurePolicy") is None else REPLACEMENT[:1]
        if replacement not in choices:
            errors.append(not_supported(f"{path}.podReplacementPolicy", replacement, choices))
    errors += _validate_template(spec, path)
    return errors if in_template else errors + _validate_selector(spec, path, was or {})


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
    if mode not in (None, "NonIndexed", "Indexed"):
        return errors
    if mode != "Indexed":
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if (value := spec.get(field)) is not None:
                errors.append(invalid(f"{path}.{field}", value, "requires indexed completion mode"))
        return errors
    if completions is None:
        errors.append(required(f"{path}.completions", "when completion mode is Indexed"))
    if parallelism is not None and parallelism > MAX_INDEXED:
        text = f"must be less than or equal to {MAX_INDEXED} when completion mode is Indexed"
        errors.append(invalid(f"{path}.parallelism", parallelism, text))
    limit = spec.get("maxFailedIndexes")
    if limit is not None and completions is not None and limit > completions:
        errors.append(invalid(f"{path}.maxFailedIndexes", limit, "must be less than or equal to completions"))
    if limit is not None and limit > MAX_INDEXED:
        errors.append(invalid(f"{path}.maxFailedIndexes", limit, f"must be less than or equal to {MAX_INDEXED}"))
    if (completions or 0) > MANY_COMPLETIONS and spec.get("backoffLimitPerIndex") is not None:
        errors += _validate_many_indexes(limit, parallelism, path)
    return errors


def _validate_many_indexes(limit: int | None, parallelism: int | None, path: str) -> Errors:
    """With very many completions and a limit for each, few may run or fail."""
    errors: Errors = []
    if limit is None:
        text = f"must be specified when completions is above {MANY_COMPLETIONS}"
        errors.append(required(f"{path}.maxFailedIndexes", text))
    for field, value in (("parallelism", parallelism), ("maxFailedIndexes", limit)):
        if value is not None and value > MAX_WITH_MANY:
            text = f"must be less than or equal to {MAX_WITH_MANY} when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
            errors.append(invalid(f"{path}.{field}", value, text))
    return errors


def _validate_failure_policy(spec: Object, policy: Object, path: str) -> Errors:
    errors: Errors = []
    rules = policy.get("rules") or []
    if len(rules) > MAX_RULES:
        errors.append(too_many(f"{path}.rules", len(rules), MAX_RULES))
    containers = {
        container.get("name", "")
        for field in ("containers", "initContainers")
        for container in section(spec, "template", "spec").get(field) or ()
    }
    for at, rule in each(f"{path}.rules", rules):
        errors += _validate_failure_rule(spec, rule, at, containers)
    return errors


def _choice(value: str | None, choices: tuple[str, ...], path: str) -> Errors:
    """One of the choices, which are listed if nothing was chosen."""
    if not value:
        return [required(path, f"valid values: [{' '.join(map(shown, choices))}]")]
    return [] if value in choices else [not_supported(path, value, choices)]


def _validate_failure_rule(spec: Object, rule: Object, path: str, containers: set[str]) -> Errors:
    errors: Errors = []
    if rule.get("action") != "FailIndex":
        errors += _choice(rule.get("action"), ACTIONS, f"{path}.action")
    elif spec.get("backoffLimitPerIndex") is None:
        errors.append(invalid(f"{path}.action", "FailIndex", "requires the backoffLimitPerIndex to be set"))
    exit_codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    if exit_codes is not None:
        at = f"{path}.onExitCodes"
        errors += _choice(exit_codes.get("operator"), ("In", "NotIn"), f"{at}.operator")
        name = exit_codes.get("containerName")
        if name is not None and name not in containers:
            text = "must be one of the container or initContainer names in the pod template"
            errors.append(invalid(f"{at}.containerName", name, text))
        errors += _validate_exit_codes(exit_codes, f"{at}.values")
    if len(conditions) > MAX_RULES:
        errors.append(too_many(f"{path}.onPodConditions", len(conditions), MAX_RULES))
    for at, condition in each(f"{path}.onPodConditions", conditions):
        kind = condition.get("type", "")
        errors += [invalid(f"{at}.type", kind, fault) for fault in names.is_qualified_name(kind)]
        errors += _choice(condition.get("status"), ("False", "True", "Unknown"), f"{at}.status")
    if exit_codes is not None and conditions:
        errors.append(invalid_unshown(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if exit_codes is None and not conditions:
        errors.append(invalid_unshown(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _validate_exit_codes(requirement: Object, path: str) -> Errors:
    errors: Errors = []
    values = requirement.get("values") or []
    if not values:
        errors.append(invalid(path, requirement.get("values"), "at least one value is required"))
    elif len(values) > MAX_EXIT_CODES:
        errors.append(too_many(path, len(values), MAX_EXIT_CODES))
    again = repeated(values)
    for index, value in enumerate(values):
        if requirement.get("operator") == "In" and value == 0:
            errors.append(invalid(f"{path}[{index}]", value, "must not be 0 for the In operator"))
        if index in again:
            errors.append(duplicate(f"{path}[{index}]", value))
    if values != sorted(values):
        errors.append(invalid(path, values, "must be ordered"))
    return errors


def _validate_success_policy(spec: Object, policy: Object, path: str) -> Errors:
    rules = policy.get("rules") or []
    if spec.get("completionMode") != "Indexed":
        listed = [
            {"SucceededIndexes": rule.get("succeededIndexes"), "SucceededCount": rule.get("succeededCount")}
            for rule in rules
        ]
        return [invalid(path, {"Rules": listed}, "requires indexed completion mode")]
    errors: Errors = []
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        errors.append(required(f"{path}.rules", text))
    if len(rules) > MAX_RULES:
        errors.append(too_many(f"{path}.rules", len(rules), MAX_RULES))
    for at, rule in each(f"{path}.rules", rules):
        errors += _validate_success_rule(rule, spec.get("completions") or 0, at)
    return errors


def _validate_success_rule(rule: Object, completions: int, path: str) -> Errors:
    errors: Errors = []
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        errors.append(required(path, "at least one of succeededCount or succeededIndexes must be specified"))
    total = 0
    if indexes is not None:
        at = f"{path}.succeededIndexes"
        if len(indexes) > MAX_INDEXES_TEXT:
            errors.append(too_long(at, MAX_INDEXES_TEXT))
        try:
            total = count_indexes(indexes, completions)
        except ValueError as fault:
            errors.append(invalid(at, indexes, f"error parsing succeededIndexes: {fault}"))
    if count is not None:
        at = f"{path}.succeededCount"
        errors += at_least_zero(count, at)
        if count > completions:
            text = f"must be less than or equal to {completions} (the number of specified completions)"
            errors.append(invalid(at, count, text))
        if indexes is not None and count > total:
            text = (
                f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
            )
            errors.append(invalid(at, count, text))
    return errors


def _validate_selector(spec: Object, path: str, was: Object) -> Errors:
    """The selector is there and selects the pods; values that it had before its rules were strict are let through."""
    selector = spec.get("selector")
    faults = validate_label_selector(selector, f"{path}.selector")
    errors = [required(f"{path}.selector")] if selector is None else faults
    if faults and was and validate_label_selector(was.get("selector"), ""):
        errors = validate_label_selector(selector, f"{path}.selector", check_values=False)
    labels = section(spec, "template", "metadata").get("labels")
    if not faults and not label_selector_matches(selector, labels or {}):
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
    """ValidateJobUpdate."""
    spec, was = section(new, "spec"), section(old, "spec")
    errors = validate_job_spec(spec, "spec", was=was)
    completions = spec.get("completions"), was.get("completions")
    if spec.get("completionMode") != "Indexed":
        errors += unchanged(*completions, "spec.completions")
    elif completions[0] not in (None, completions[1], spec.get("parallelism")):
        text = "can only be modified in tandem with spec.parallelism"
        errors.append(invalid("spec.completions", completions[0], text))
    errors += unchanged(spec.get("selector"), was.get("selector"), "spec.selector")
    errors += validate_template_update(new, old)
    for field in (
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ):
        errors += unchanged(spec.get(field), was.get(field), f"spec.{field}")
    return errors


# CronJob

MAX_CRON_JOB = 52
_zone_part = re.compile(r"[A-Za-z._0-9+-]{1,14}")


def validate_cron_job(obj: Object) -> Errors:
    errors = _validate_cron_job(obj, None)
    name = obj["metadata"].get("name", "")
    if len(name) > MAX_CRON_JOB:
        # The names of its jobs end with the time.
        errors.append(invalid("metadata.name", name, f"must be no more than {MAX_CRON_JOB} characters"))
    return errors


def _validate_cron_job(obj: Object, old: Object | None) -> Errors:
    spec, was = section(obj, "spec"), section(old or {}, "spec")
    errors: Errors = []
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not schedule:
        errors.append(required("spec.schedule"))
    else:
        errors += _validate_schedule(schedule, zone, zone_allowed="TZ" in was.get("schedule", ""))
    errors += at_least_zero(spec.get("startingDeadlineSeconds"), "spec.startingDeadlineSeconds")
    if zone is not None and (old is None or zone != was.get("timeZone")):
        errors += _validate_time_zone(zone)
    errors += one_of(spec.get("concurrencyPolicy"), CONCURRENCY, "spec.concurrencyPolicy", needed=True)
    template = section(spec, "jobTemplate", "spec")
    path = "spec.jobTemplate.spec"
    errors += validate_job_spec(template, path, in_template=True)
    if (selector := template.get("selector")) is not None:
        errors.append(invalid(f"{path}.selector", selector, "`selector` will be auto-generated"))
    if template.get("manualSelector"):
        errors.append(not_supported(f"{path}.manualSelector", True, ("nil", "false")))
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        errors += at_least_zero(spec.get(field), f"spec.{field}")
    return errors


def _validate_schedule(schedule: str, zone: str | None, *, zone_allowed: bool) -> Errors:
    errors: Errors = []
    if fault := schedule_fault(schedule):
        errors.append(invalid("spec.schedule", schedule, fault))
    if "TZ" in schedule and not zone_allowed:
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        errors.append(invalid("spec.schedule", schedule, text))
    elif "TZ" in schedule and zone is not None:
        text = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
        errors.append(invalid("spec.schedule", schedule, text))
    return errors


def _validate_time_zone(zone: str) -> Errors:
    path = "spec.timeZone"
    if not zone:
        return [invalid(path, zone, "timeZone must be nil or non-empty string")]
    unknown = invalid(path, zone, f"unknown time zone {zone}")
    if any(part in (".", "..") or part[:1] == "-" or not _zone_part.fullmatch(part) for part in zone.split("/")):
        return [unknown]
    errors: Errors = []
    if zone.lower() == "local":
        text = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.append(invalid(path, zone, text))
    if zone == "Local":
        return errors
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        errors.append(unknown)
    return errors


KINDS = {
    (GROUP, "Job"): KindValidation(
        metadata="MCU*", create=validate_job, updates={"": _job_update, "status": validate_job_status}
    ),
    (GROUP, "CronJob"): KindValidation(create=validate_cron_job, updates={"": _validate_cron_job}),
}
