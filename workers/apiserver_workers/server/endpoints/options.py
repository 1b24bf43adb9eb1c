"""The options of each verb: from query or body, validated with upstream's messages.

Ports of the option types' conversion and of ValidateListOptions, ValidateCreateOptions, ValidateDeleteOptions, ... in
k8s.io/apimachinery/pkg/apis/meta.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import FieldError, bad_request, invalid
from apiserver_workers.apimachinery.field_labels import Selectable
from apiserver_workers.apimachinery.memo import Memo
from apiserver_workers.apimachinery.selectors import FieldSelector, FieldTerm, parse_fields, parse_labels
from apiserver_workers.apimachinery.validation.field import Errors, forbidden, not_supported, required, too_long
from apiserver_workers.apimachinery.validation.field import invalid as invalid_value
from apiserver_workers.registry.options import DeleteOptions, ListOptions, WriteOptions
from apiserver_workers.server.endpoints.query import flag, integer, text
from apiserver_workers.server.http.query import parse_query

META = "meta.k8s.io"
EXACT, NOT_OLDER = "Exact", "NotOlderThan"
MAX_MANAGER_LENGTH = 128
POLICIES = ("Foreground", "Background", "Orphan")
VALIDATIONS = ("", "Ignore", "Strict", "Warn")
MATCH = "resourceVersionMatch"


def _refuse(kind: str, faults: list[FieldError]) -> None:
    if faults:
        raise invalid(kind, META, "", faults)


# --- list and watch


def list_options(raw_query: str, known: Selectable, name: str = "", *, watch: bool = False) -> ListOptions:
    """ListOptions of a list, watch or deletecollection. `name` is that of a watch of one object, `watch` forces one;
    `known` is what the kind's field selectors may name.

    Requests alike share the answer; never change it. Raises ApiError 400 or 422.
    """
    options = LISTING[raw_query, watch]
    if options.fields is None and not name:
        return options
    fields = None if options.fields is None else known.convert(options.fields)
    return replace(options, fields=_by_name(fields, name) if name else fields)


def _list_options(asked: tuple[str, bool]) -> ListOptions:
    """What the query says, whatever the kind: so nothing of a kind is kept here."""
    raw_query, watch = asked
    query = parse_query(raw_query)
    labels = text(query, "labelSelector")
    fields = text(query, "fieldSelector")
    options = ListOptions(
        labels=parse_labels(labels) if labels else None,
        fields=parse_fields(fields) if fields else None,
        watch=bool(flag(query, "watch")),
        allow_bookmarks=bool(flag(query, "allowWatchBookmarks")),
        resource_version=text(query, "resourceVersion"),
        resource_version_match=text(query, MATCH),
        timeout=integer(query, "timeoutSeconds"),
        limit=integer(query, "limit") or 0,
        continue_token=text(query, "continue"),
        send_initial_events=flag(query, "sendInitialEvents"),
    )
    watch_list = feature_gates.enabled("WatchList")
    if watch_list and options.watch and options.send_initial_events is None and not options.resource_version_match:
        if options.resource_version in ("", "0"):
            # A watch without a revision has always begun with the present state.
            options.send_initial_events = True
            options.resource_version_match = NOT_OLDER
    _refuse("ListOptions", _watch_faults(options) if options.watch else _list_faults(options))
    if watch and not options.watch:
        options.watch = True
        if watch_list and options.send_initial_events is None and options.resource_version in ("", "0"):
            options.send_initial_events = True
    return options


LISTING = Memo(_list_options)


def _by_name(fields: FieldSelector | None, name: str) -> FieldSelector:
    if fields is None or not fields.terms:
        return FieldSelector((FieldTerm("metadata.name", True, name),))
    if fields.exact("metadata.name") != name:
        raise bad_request("fieldSelector metadata.name doesn't match requested name")
    return fields


def _list_faults(options: ListOptions) -> Errors:
    faults: Errors = []
    if match := options.resource_version_match:
        if not options.resource_version:
            faults.append(forbidden(MATCH, f"{MATCH} is forbidden unless resourceVersion is provided"))
        if options.continue_token:
            faults.append(forbidden(MATCH, f"{MATCH} is forbidden when continue is provided"))
        if match not in (EXACT, NOT_OLDER):
            faults.append(not_supported(MATCH, match, (EXACT, NOT_OLDER, "")))
        if match == EXACT and options.resource_version == "0":
            faults.append(forbidden(MATCH, f'{MATCH} "exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        faults.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return faults


def _watch_faults(options: ListOptions) -> Errors:
    faults: Errors = []
    match = options.resource_version_match
    if options.send_initial_events is not None and match != NOT_OLDER:
        faults.append(forbidden(MATCH, f"sendInitialEvents requires setting {MATCH} to {NOT_OLDER}"))
    if options.send_initial_events is not None and not feature_gates.enabled("WatchList"):
        text = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
        faults.append(forbidden("sendInitialEvents", text))
    if match:
        if options.send_initial_events is None:
            faults.append(forbidden(MATCH, f"{MATCH} is forbidden for watch unless sendInitialEvents is provided"))
        if match != NOT_OLDER:
            faults.append(not_supported(MATCH, match, (NOT_OLDER,)))
        if options.continue_token:
            faults.append(forbidden(MATCH, f"{MATCH} is forbidden when continue is provided"))
    return faults


# --- create, update, patch


def write_options(raw_query: str, kind: str, *, apply: bool = False) -> WriteOptions:
    """CreateOptions, UpdateOptions or PatchOptions, as `kind` says. Shared; never change it. Raises ApiError 422."""
    return _writing[raw_query, kind, apply]


def _write_options(asked: tuple[str, str, bool]) -> WriteOptions:
    raw_query, kind, apply = asked
    query = parse_query(raw_query)
    manager, validation = text(query, "fieldManager"), text(query, "fieldValidation")
    dry_run = query.get("dryRun") or []
    force = flag(query, "force") if kind == "PatchOptions" else None
    faults: Errors = []
    if kind == "PatchOptions":
        if not apply and force is not None:
            faults.append(forbidden("force", "may not be specified for non-apply patch"))
        if apply and not manager:
            faults.append(required("fieldManager", "is required for apply patch"))
    faults += _manager_faults(manager) + _dry_run_faults(dry_run)
    if validation not in VALIDATIONS:
        faults.append(not_supported("fieldValidation", validation, VALIDATIONS))
    _refuse(kind, faults)
    return WriteOptions(bool(dry_run), manager, validation or "Warn", force, validation)


_writing = Memo(_write_options)


def _manager_faults(manager: str) -> Errors:
    faults: Errors = []
    if len(manager.encode()) > MAX_MANAGER_LENGTH:
        faults.append(too_long("fieldManager", MAX_MANAGER_LENGTH))
    position = 0
    for char in manager:
        if not char.isprintable():
            shown = FieldError("FieldValueInvalid", "fieldManager", f"Invalid value: {_quoted(manager)}: ")
            shown.body += f"invalid character U+{ord(char):04X} (at position {position})"
            faults.append(shown)
        position += len(char.encode())
    return faults


GO_ESCAPES = {7: "\\a", 8: "\\b", 9: "\\t", 10: "\\n", 11: "\\v", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}


def _quoted(value: str) -> str:
    """A string as Go's %q shows it."""
    shown = (GO_ESCAPES.get(ord(char)) or (char if char.isprintable() else f"\\x{ord(char):02x}") for char in value)
    return '"' + "".join(shown) + '"'


def _dry_run_faults(values: list[str]) -> Errors:
    if all(value == "All" for value in values):
        return []
    return [not_supported("dryRun", values, ("All",))]


# --- delete


def delete_options(raw_query: str) -> DeleteOptions:
    """DeleteOptions of a request without a body. Raises ApiError 400 or 422."""
    query = parse_query(raw_query)
    uid = query.get("uid")
    options = DeleteOptions(
        grace_period=integer(query, "gracePeriodSeconds"),
        orphan_dependents=flag(query, "orphanDependents"),
        propagation_policy=text(query, "propagationPolicy") if "propagationPolicy" in query else None,
        uid=uid[0] if uid else None,
        dry_run=query.get("dryRun") or [],
    )
    return _checked(options)


def delete_options_of(obj: dict[str, Any]) -> DeleteOptions:
    """DeleteOptions that a request's body holds, decoded. Raises ApiError 422."""
    preconditions = obj.get("preconditions") or {}
    options = DeleteOptions(
        grace_period=obj.get("gracePeriodSeconds"),
        orphan_dependents=obj.get("orphanDependents"),
        propagation_policy=obj.get("propagationPolicy"),
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
        dry_run=obj.get("dryRun") or [],
    )
    return _checked(options)


def _checked(options: DeleteOptions) -> DeleteOptions:
    faults: Errors = []
    policy = options.propagation_policy
    if options.orphan_dependents is not None and policy is not None:
        why = "orphanDependents and deletionPropagation cannot be both set"
        faults.append(invalid_value("propagationPolicy", policy, why))
    if policy is not None and policy not in POLICIES:
        faults.append(not_supported("propagationPolicy", policy, (*POLICIES, "nil")))
    faults += _dry_run_faults(options.dry_run)
    _refuse("DeleteOptions", faults)
    return options


def as_object(kind: str, options: WriteOptions | DeleteOptions) -> dict[str, Any]:
    """The options as admission sees them."""
    obj: dict[str, Any] = {"kind": kind, "apiVersion": "meta.k8s.io/v1"}
    if isinstance(options, DeleteOptions):
        fields = {
            "gracePeriodSeconds": options.grace_period,
            "orphanDependents": options.orphan_dependents,
            "preconditions": _preconditions(options),
            "propagationPolicy": options.propagation_policy,
            "dryRun": options.dry_run or None,
        }
    else:
        fields = {
            "dryRun": ["All"] if options.dry_run else None,
            "force": options.force,
            "fieldManager": options.field_manager or None,
            "fieldValidation": options.asked_validation or None,
        }
    obj.update((key, value) for key, value in fields.items() if value is not None)
    return obj


def _preconditions(options: DeleteOptions) -> dict[str, Any] | None:
    fields = {"uid": options.uid, "resourceVersion": options.resource_version}
    return {key: value for key, value in fields.items() if value is not None} or None
