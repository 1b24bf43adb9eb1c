"""resource.k8s.io: what claims, classes and slices have in common (pkg/apis/resource/validation)."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import orjson

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.collections import itself, one_name, validate_set, validate_slice
from apiserver_workers.apimachinery.validation.device_expressions import validate_device_expression
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    invalid,
    not_supported,
    repeated,
    required,
    shown,
    too_long,
)
from apiserver_workers.apimachinery.validation.meta import validate_label_name
from apiserver_workers.apimachinery.validation.volume_sources import validate_driver_name

Object = dict[str, Any]

MOST_REQUESTS = MOST_CONSTRAINTS = MOST_CONFIGS = MOST_SELECTORS = 32
MOST_ALTERNATIVES, MOST_CONDITIONS = 8, 4
LONGEST_POOL_NAME, LONGEST_ID = 253, 32
LONGEST_PARAMETERS = LONGEST_EXPRESSION = 10 * 1024
TAINT_EFFECTS = ("NoExecute", "NoSchedule", "None")
UNKNOWN_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)
NOT_NORMAL = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"
_uid = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def label(value: str, path: str) -> Errors:
    return [invalid(path, value, fault) for fault in names.is_dns1123_label(value)]


def validate_pool_name(name: str, path: str) -> Errors:
    """One or more subdomains separated by slashes."""
    if not name:
        return [required(path)]
    errors: Errors = [too_long(path, LONGEST_POOL_NAME)] if names.byte_length(name) > LONGEST_POOL_NAME else []
    return errors + [
        invalid(path, part, fault) for part in name.split("/") for fault in names.is_dns1123_subdomain(part)
    ]


def validate_uid(uid: str, path: str) -> Errors:
    """A UUID in its normal form; other forms of UUIDs are known, and refused."""
    if _uid.fullmatch(uid):
        return []
    if problem := _uuid_problem(uid):
        return [invalid(path, uid, f"error validating uid: {problem}")]
    return [invalid(path, uid, NOT_NORMAL)]


def _uuid_problem(uid: str) -> str:
    """What github.com/google/uuid says of a string that is no UUID in any form."""
    length = names.byte_length(uid)
    if length == 32:
        return "" if _hexadecimal(uid) else "invalid UUID format"
    if length == 45:
        prefix, uid = uid[:9], uid[9:]
        if prefix.lower() != "urn:uuid:":
            return f"invalid urn prefix: {shown(prefix)}"
    elif length == 38:
        if uid[0] != "{" or uid[-1] != "}":
            return "invalid bracketed UUID format"
        uid = uid[1:-1]
    elif length != 36:
        return f"invalid UUID length: {length}"
    return "" if _uid.fullmatch(uid.lower()) else "invalid UUID format"


def _hexadecimal(text: str) -> bool:
    return not set(text.lower()) - set("0123456789abcdef")


def validate_c_identifier(name: str, path: str) -> Errors:
    errors: Errors = [too_long(path, LONGEST_ID)] if names.byte_length(name) > LONGEST_ID else []
    return errors + [invalid(path, name, fault) for fault in names.is_c_identifier(name)]


def validate_qualified_name(name: str, path: str) -> Errors:
    """A C identifier, perhaps with a driver's domain before it: `name` or `domain/name`; more slashes escape the check."""
    domain, slash, rest = name.partition("/")
    if not slash:
        return validate_c_identifier(name, path)
    if "/" in rest:
        return []
    errors = validate_driver_name(domain, path) if domain else [invalid(path, "", "the domain must not be empty")]
    if not rest:
        return [*errors, invalid(path, "", "the name must not be empty")]
    return errors + validate_c_identifier(rest, path)


def validate_fully_qualified_name(name: str, path: str) -> Errors:
    errors = validate_qualified_name(name, path)
    if "/" not in name:
        text = "a fully qualified name must be a domain and a name separated by a slash"
        errors.append(invalid(path, name, text))
    return errors


def validate_selectors(selectors: list[Object] | None, path: str, *, stored: bool = False) -> Errors:
    """Device selectors; `stored` says that they are those that the object has already."""
    return validate_slice(selectors, MOST_SELECTORS, partial(_validate_selector, stored=stored), path)


def _validate_selector(selector: Object, path: str, *, stored: bool) -> Errors:
    cel = selector.get("cel")
    if cel is None:
        return [required(f"{path}.cel")]
    expression, at = cel.get("expression", ""), f"{path}.cel.expression"
    if names.byte_length(expression) > LONGEST_EXPRESSION:
        return [too_long(at, LONGEST_EXPRESSION)]
    return validate_device_expression(expression, at, stored=stored)


def validate_configuration(config: Object, path: str, *, stored: bool = False) -> Errors:
    """The configuration that a driver gets: opaque to everybody else. What is `stored` may be longer."""
    opaque, at = config.get("opaque"), f"{path}.opaque"
    if opaque is None:
        return [required(at)]
    errors = validate_driver_name(opaque.get("driver", ""), f"{at}.driver")
    return errors + validate_raw(opaque.get("parameters"), f"{at}.parameters", stored=stored)


def validate_raw(value: Any, path: str, *, stored: bool = False) -> Errors:
    """A raw extension that must be a JSON object."""
    if value is None:
        return [required(path)]
    if not stored and len(orjson.dumps(value)) > LONGEST_PARAMETERS:
        return [too_long(path, LONGEST_PARAMETERS)]
    return [] if isinstance(value, dict) else [invalid(path, "<value omitted>", "must be a valid JSON object")]


RequestNames = dict[str, set[str]]


def request_names(devices: Object) -> RequestNames:
    """The names of a claim's requests, each with those of its alternatives."""
    return {
        request.get("name", ""): {one_name(alternative) for alternative in request.get("firstAvailable") or ()}
        for request in devices.get("requests") or ()
    }


def validate_request_refs(refs: list[str] | None, path: str, known: RequestNames) -> Errors:
    return validate_set(refs, MOST_REQUESTS, lambda name, at: validate_request_ref(name, at, known), path, by=itself)


def validate_request_ref(name: str, path: str, known: RequestNames) -> Errors:
    segments = name.split("/")
    if len(segments) > 2:
        return [invalid(path, name, UNKNOWN_REQUEST)]
    errors = [error for segment in segments for error in label(segment, path)]
    alternatives = known.get(segments[0])
    if alternatives is None or (len(segments) == 2 and segments[1] not in alternatives):
        errors.append(invalid(path, name, UNKNOWN_REQUEST))
    return errors


def validate_toleration(toleration: Object, path: str) -> Errors:
    errors: Errors = []
    operator, value, effect = (toleration.get(field, "") for field in ("operator", "value", "effect"))
    if name := toleration.get("key"):
        errors += validate_label_name(name, f"{path}.key")
    if operator == "Exists":
        if value:
            errors.append(invalid(f"{path}.value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        errors += [invalid(f"{path}.value", value, fault) for fault in names.is_label_value(value)]
    elif operator:
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    else:
        errors.append(required(f"{path}.operator"))
    if effect and effect not in TAINT_EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, TAINT_EFFECTS))
    return errors


def validate_taint(taint: Object, path: str, old: Object | None = None) -> Errors:
    """A taint; an effect that `old` has already is not looked at."""
    errors = validate_label_name(taint.get("key", ""), f"{path}.key")
    if value := taint.get("value"):
        errors += [invalid(f"{path}.value", value, fault) for fault in names.is_label_value(value)]
    effect = taint.get("effect", "")
    if old is not None and effect == old.get("effect", ""):
        return errors
    if not effect:
        errors.append(required(f"{path}.effect"))
    elif effect not in TAINT_EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, TAINT_EFFECTS))
    return errors


def validate_binding(holder: Object, path: str) -> Errors:
    """Conditions that a device's binding waits for, and those on which it fails: both or none, and no condition twice."""
    fields = ("bindingConditions", "bindingFailureConditions")
    wanted, failing = (holder.get(field) or [] for field in fields)
    errors: Errors = []
    for field, conditions in zip(fields, (wanted, failing), strict=True):
        errors += validate_slice(conditions, MOST_CONDITIONS, validate_label_name, f"{path}.{field}")
    for field, conditions in zip(fields, (wanted, failing), strict=True):
        again = repeated(conditions)
        for index, (at, condition) in enumerate(each(f"{path}.{field}", conditions)):
            if index in again:
                errors.append(duplicate(at, condition))
            if conditions is failing and condition in wanted:
                text = "bindingFailureConditions must not overlap with bindingConditions"
                errors.append(invalid(at, condition, text))
    if failing and not wanted:
        text = "bindingConditions are required to use bindingFailureConditions"
        errors.append(invalid(f"{path}.bindingConditions", holder.get(fields[0]), text))
    if wanted and not failing:
        text = "bindingFailureConditions are required to use bindingConditions"
        errors.append(invalid(f"{path}.bindingFailureConditions", holder.get(fields[1]), text))
    return errors
