"""Cells of what is allowed to whom and how much: quotas, budgets, roles, certificates, admission policies."""

from __future__ import annotations

from apiserver_workers.apimachinery.tables.cells import NONE, UNSET, Cell, Object, condition, get, items
from apiserver_workers.apimachinery.tables.durations import human_duration


def quota(limits: bool) -> Cell:
    """Used and hard amounts of a quota: those of limits, or all others."""

    def cell(obj: Object, now: float) -> str:
        hard, used = get(obj, "status.hard") or {}, get(obj, "status.used") or {}
        return ", ".join(
            f"{resource}: {used.get(resource, '0')}/{hard[resource]}"
            for resource in sorted(hard)
            if resource.startswith("limits.") == limits
        )

    return cell


def budget_limit(path: str) -> Cell:
    """A number or percentage of a disruption budget."""

    def cell(budget: Object, now: float) -> str:
        limit = get(budget, path)
        return "N/A" if limit is None else str(limit)

    return cell


def role_reference(binding: Object, now: float) -> str:
    reference = binding.get("roleRef") or {}
    return f"{reference.get('kind', '')}/{reference.get('name', '')}"


def subjects(kind: str) -> Cell:
    """The subjects of that kind in a binding; service accounts with their namespace."""

    def cell(binding: Object, now: float) -> str:
        return ", ".join(
            f"{subject.get('namespace', '')}/{subject.get('name', '')}"
            if kind == "ServiceAccount" and subject.get("namespace")
            else subject.get("name", "")
            for subject in binding.get("subjects") or ()
            if subject.get("kind") == kind
        )

    return cell


def requested_duration(request: Object, now: float) -> str:
    seconds = get(request, "spec.expirationSeconds")
    return NONE if seconds is None else human_duration(seconds)


def request_condition(request: Object, now: float) -> str:
    kinds = {found.get("type") for found in items(request, "status.conditions")}
    text = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    return text + (",Failed" if "Failed" in kinds else "") + (",Issued" if get(request, "status.certificate") else "")


def parameter_kind(policy: Object, now: float) -> str:
    kind = get(policy, "spec.paramKind")
    return UNSET if kind is None else f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}"


def parameter(binding: Object, now: float) -> str:
    """The parameters of a policy binding: by name, or by selector in the form of Go's generated String()."""
    reference = get(binding, "spec.paramRef") or {}
    if reference.get("name"):
        return f"{reference.get('namespace') or '*'}/{reference['name']}"
    return _selector_as_go(reference["selector"]) if "selector" in reference else UNSET


def _selector_as_go(selector: Object) -> str:
    wanted = selector.get("matchLabels") or {}
    pairs = "".join(f"{key}: {wanted[key]}," for key in sorted(wanted))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.get('key', '')},Operator:{e.get('operator', '')},"
        f"Values:[{' '.join(e.get('values') or ())}],}},"
        for e in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{pairs}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


def missing_level(schema: Object, now: float) -> str:
    """Whether a flow schema refers to a priority level that does not exist."""
    return (condition(schema, "Dangling") or {"status": "?"}).get("status", "")
