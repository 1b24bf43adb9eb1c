"""Groups of the Kubernetes community need an approval (apiextensions-apiserver/pkg/apihelpers/helpers.go)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from apiserver_workers.apimachinery.cel.library import go_url
from apiserver_workers.apimachinery.goformat import quoted
from apiserver_workers.apimachinery.validation.field import Errors, invalid, required

Object = dict[str, Any]

ANNOTATION = "api-approved.kubernetes.io"
SEE = "see https://github.com/kubernetes/enhancements/pull/1111"
INVALID, APPROVED, BYPASSED, MISSING = "Invalid", "Approved", "Bypassed", "Missing"
COMMUNITY = ("k8s.io", "kubernetes.io")


def is_protected(group: str) -> bool:
    """Whether the group is one of the community's."""
    return any(group == owner or group.endswith(f".{owner}") for owner in COMMUNITY)


def approval(definition: Object) -> tuple[str, str]:
    """The state of a definition's approval, and why it is so."""
    text = (definition["metadata"].get("annotations") or {}).get(ANNOTATION, "")
    needed = f'protected groups must have approval annotation "{ANNOTATION}"'
    if not text:
        return MISSING, f"{needed}, {SEE}"
    if text.startswith("unapproved"):
        return BYPASSED, f"not approved: {quoted(text)}"
    if _is_url(text):
        return APPROVED, f"approved in {text}"
    return INVALID, f'{needed} with either a URL or a reason starting with "unapproved", {SEE}'


def _is_url(text: str) -> bool:
    try:
        go_url.parse_request_uri(text)
    except go_url.URLError:
        return False
    parts = urlsplit(text)
    return bool(parts.scheme and parts.netloc)


def approval_faults(new: Object, old: Object | None) -> Errors:
    """validateAPIApproval: a state that did not change may stay."""
    if not is_protected(new["spec"].get("group") or ""):
        return []
    state, reason = approval(new)
    if old is not None and approval(old)[0] == state:
        return []
    path = f"metadata.annotations[{ANNOTATION}]"
    if state == MISSING:
        return [required(path, reason)]
    if state == INVALID:
        return [invalid(path, new["metadata"]["annotations"][ANNOTATION], reason)]
    return []
