"""Limited resources: what nobody may use in a namespace unless a quota there covers it (ResourceQuotaConfiguration)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from apiserver_workers.admission.plugin import Object, forbidden
from apiserver_workers.admission.resource_quota.check import matches, scope_selectors
from apiserver_workers.admission.resource_quota.evaluators import Evaluator
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.validation.field import required
from apiserver_workers.registry.attributes import Attributes
from apiserver_workers.server.config_file import aggregated, decode_document

KINDS = {
    "apiserver.config.k8s.io/v1": "ResourceQuotaConfiguration",
    "resourcequota.admission.k8s.io/v1beta1": "Configuration",
    "resourcequota.admission.k8s.io/v1alpha1": "Configuration",
}
SCOPE = {"scopeName": str, "operator": str, "values": [str]}
SHAPE = {"limitedResources": [{"apiGroup": str, "resource": str, "matchContains": [str], "matchScopes": [SCOPE]}]}


class Limited(NamedTuple):
    """One entry: what of a resource is limited, by a part of its name or by the object's scope."""

    group: str
    resource: str
    contains: tuple[str, ...]
    scopes: tuple[Object, ...]


def parse(given: Any) -> tuple[Limited, ...]:
    """The entries of a configuration. Raises ValueError."""
    if given is None:
        return ()
    entries = decode_document(given, KINDS, SHAPE).get("limitedResources") or []
    faults = [
        required(f"limitedResources[{index}].resource")
        for index, entry in enumerate(entries)
        if not entry.get("resource")
    ]
    if faults:
        raise ValueError(aggregated(faults))
    return tuple(
        Limited(
            entry.get("apiGroup", ""),
            entry["resource"],
            tuple(entry.get("matchContains") or ()),
            tuple(entry.get("matchScopes") or ()),
        )
        for entry in entries
    )


def check_covered(
    limited: Iterable[Limited], quotas: Iterable[Object], attributes: Attributes, evaluator: Evaluator
) -> None:
    """Raises ApiError if the object uses something limited that no quota of the namespace covers."""
    obj, info = attributes.obj, attributes.info
    assert obj is not None
    quotas = list(quotas)
    own = [one for one in limited if (one.group, one.resource) == (info.group, info.resource)]
    names = {
        name
        for name, amount in evaluator.usage(obj).items()
        if amount.nano > 0 and any(part in name for one in own for part in one.contains)
    }
    for quota in quotas:
        if names and matches(quota, obj, evaluator):
            names -= set(evaluator.matching((quota.get("status") or {}).get("hard") or ()))
    if names:
        raise forbidden(attributes, f"insufficient quota to consume: {','.join(sorted(names))}")
    scopes = [scope for one in limited for scope in one.scopes if evaluator.in_scope(scope, obj)]
    if not scopes:
        return
    covered = {
        selector["scopeName"]
        for quota in quotas
        for selector in scope_selectors(quota)
        if evaluator.in_scope(selector, obj)
    }
    if uncovered := [scope for scope in scopes if scope.get("scopeName") not in covered]:
        raise ApiError(500, "", f"insufficient quota to match these scopes: [{' '.join(map(_shown, uncovered))}]")


def _shown(scope: Object) -> str:
    """A selector as Go prints it."""
    return f"{{{scope.get('scopeName', '')} {scope.get('operator', '')} [{' '.join(scope.get('values') or ())}]}}"
