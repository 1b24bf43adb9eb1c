"""Events (pkg/apis/core/validation/events.go): lenient through the core group, strict through events.k8s.io.

An event is stored as the core group's, whose field names differ from those of events.k8s.io.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import Errors, invalid, required, section, unchanged
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

LONGEST, LONGEST_MESSAGE = 128, 1024
ELSEWHERE = "does not match event.namespace"
UNSET = "needs to be unset"
# What a strict update may not change, in upstream's order; reasons are looked at twice.
FIXED = [
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "reason",
    "type",
    "eventTime",
    "action",
    "related",
    "reportingComponent",
    "reportingInstance",
]
STRUCTS = frozenset(("involvedObject", "source", "related", "firstTimestamp", "lastTimestamp", "eventTime"))
BLAMED = {"reportingComponent": "reportingController"}


def validate_event(event: Object, *, controller: str = "reportingComponent") -> Errors:
    """legacyValidateEvent: what holds however an event comes in; `controller` is how the request's version calls it."""
    namespace, about = event["metadata"].get("namespace", ""), section(event, "involvedObject").get("namespace", "")
    errors: Errors = []
    if event.get("eventTime") is None:
        fits = namespace in ("", "default") if not about else namespace == about
    else:
        fits = bool(about) or namespace in ("default", "kube-system")
    if not fits:
        errors.append(invalid("involvedObject.namespace", about, ELSEWHERE))
    if event.get("eventTime") is not None:
        errors += _validate_new(event, controller)
    return errors + [invalid("namespace", namespace, fault) for fault in names.is_dns1123_subdomain(namespace)]


def _validate_new(event: Object, controller: str) -> Errors:
    """Events with a time say who reports what."""
    reporter = event.get("reportingComponent", "")
    errors: Errors = [] if reporter else [required(controller)]
    errors += [invalid(controller, reporter, fault) for fault in names.is_qualified_name(reporter)]
    for field in ("reportingInstance", "action", "reason"):
        value = event.get(field) or ""
        if not value:
            errors.append(required(field))
        if len(value.encode()) > LONGEST:
            errors.append(invalid(field, "", f"can have at most {LONGEST} characters"))
    if len((event.get("message") or "").encode()) > LONGEST_MESSAGE:
        errors.append(invalid("message", "", f"can have at most {LONGEST_MESSAGE} characters"))
    return errors


def validate_new_event(event: Object) -> Errors:
    """ValidateEventCreate of events.k8s.io/v1, beyond the metadata."""
    errors = validate_event(event, controller="reportingController") + _validate_series(event.get("series"))
    if event.get("eventTime") is None:
        errors.append(required("eventTime"))
    if (kind := event.get("type", "")) not in ("Normal", "Warning"):
        errors.append(invalid("type", "", f"has invalid value: {kind}"))
    for field in ("firstTimestamp", "lastTimestamp", "count"):
        if event.get(field):
            errors.append(invalid(field, "", UNSET))
    if any(section(event, "source").values()):
        errors.append(invalid("source", "", UNSET))
    return errors


def validate_new_event_update(new: Object, old: Object) -> Errors:
    """ValidateEventUpdate of events.k8s.io/v1: only the series goes on."""
    errors = validate_event(new, controller="reportingController")
    if new.get("series") != old.get("series"):
        errors += _validate_series(new.get("series"))
    for field in FIXED:
        unset = None if field in STRUCTS else 0 if field == "count" else ""
        now, before = (unset if event.get(field) is None else event[field] for event in (new, old))
        errors += unchanged(now, before, BLAMED.get(field, field))
    return errors


def _validate_series(series: Object | None) -> Errors:
    if series is None:
        return []
    errors: Errors = []
    if (series.get("count") or 0) < 2:
        errors.append(invalid("series.count", "", "should be at least 2"))
    if not series.get("lastObservedTime"):
        errors.append(required("series.lastObservedTime"))
    return errors


KINDS = {
    ("", "Event"): KindValidation(
        name=None, metadata="*", create=validate_event, updates={"": lambda new, old: validate_event(new)}
    ),
    ("events.k8s.io", "Event"): KindValidation(create=validate_new_event, updates={"": validate_new_event_update}),
}
