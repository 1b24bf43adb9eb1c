"""Where a pod may run: affinity, tolerations, topology spread (pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
)
from apiserver_workers.apimachinery.validation.meta import validate_label_name
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
NODE_POLICIES = ("Honor", "Ignore")
WEIGHT = "must be in the range 1-100"


def validate_affinity(affinity: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    if node := affinity.get("nodeAffinity"):
        errors += _validate_node_affinity(node, f"{path}.nodeAffinity")
    for field in ("podAffinity", "podAntiAffinity"):
        if pods := affinity.get(field):
            errors += _validate_pod_affinity(pods, f"{path}.{field}")
    return errors


def _validate_node_affinity(affinity: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    if (selector := affinity.get(REQUIRED)) is not None:
        errors += validate_node_selector(selector, f"{path}.{REQUIRED}")
    for at, term in each(f"{path}.{PREFERRED}", affinity.get(PREFERRED)):
        weight = term.get("weight") or 0
        if not 1 <= weight <= 100:
            errors.append(invalid(f"{at}.weight", weight, WEIGHT))
        # Upstream lets any value pass where it is only preferred.
        errors += validate_node_selector_term(term.get("preference") or {}, f"{at}.preference", check_values=False)
    return errors


def validate_node_selector(selector: dict[str, Any], path: str) -> Errors:
    terms = selector.get("nodeSelectorTerms")
    if not terms:
        return [required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")]
    errors: Errors = []
    for at, term in each(f"{path}.nodeSelectorTerms", terms):
        errors += validate_node_selector_term(term, at)
    return errors


def validate_node_selector_term(term: dict[str, Any], path: str, *, check_values: bool = True) -> Errors:
    errors: Errors = []
    for at, requirement in each(f"{path}.matchExpressions", term.get("matchExpressions")):
        errors += _validate_node_requirement(requirement, at, check_values)
    for at, requirement in each(f"{path}.matchFields", term.get("matchFields")):
        errors += _validate_field_requirement(requirement, at)
    return errors


def _validate_node_requirement(requirement: dict[str, Any], path: str, check_values: bool) -> Errors:
    errors: Errors = []
    operator, values = requirement.get("operator", ""), requirement.get("values") or []
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{path}.values", text))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    errors += validate_label_name(requirement.get("key", ""), f"{path}.key")
    for at, value in each(f"{path}.values", values if check_values else ()):
        errors += [invalid(at, value, fault) for fault in names.is_label_value(value)]
    return errors


def _validate_field_requirement(requirement: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    operator, values, field = requirement.get("operator", ""), requirement.get("values") or [], requirement.get("key")
    if operator in ("In", "NotIn"):
        if len(values) != 1:
            text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            errors.append(required(f"{path}.values", text))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    if field != "metadata.name":
        errors.append(invalid(f"{path}.key", field or "", "not a valid field selector key"))
    else:
        for at, value in each(f"{path}.values", values):
            errors += [invalid(at, value, fault) for fault in names.is_dns1123_subdomain(value)]
    return errors


def _validate_pod_affinity(affinity: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    for at, term in each(f"{path}.{REQUIRED}", affinity.get(REQUIRED)):
        errors += _validate_pod_term(term, at)
    for at, weighted in each(f"{path}.{PREFERRED}", affinity.get(PREFERRED)):
        weight = weighted.get("weight") or 0
        if not 1 <= weight <= 100:
            errors.append(invalid(f"{at}.weight", weight, WEIGHT))
        errors += _validate_pod_term(weighted.get("podAffinityTerm") or {}, f"{at}.podAffinityTerm")
    return errors


def _validate_pod_term(term: dict[str, Any], path: str) -> Errors:
    errors = validate_label_selector(term.get("labelSelector"), f"{path}.labelSelector")
    errors += validate_label_selector(term.get("namespaceSelector"), f"{path}.namespaceSelector")
    for namespace in term.get("namespaces") or ():
        errors += [invalid(f"{path}.namespace", namespace, fault) for fault in names.is_dns1123_label(namespace)]
    errors += _validate_match_label_keys(term, path)
    topology_key = term.get("topologyKey", "")
    if not topology_key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    return errors + validate_label_name(topology_key, f"{path}.topologyKey")


def _validate_match_label_keys(term: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    selector = term.get("labelSelector")
    for field in ("matchLabelKeys", "mismatchLabelKeys"):
        found = term.get(field)
        if found and selector is None:
            errors.append(forbidden(f"{path}.{field}", "must not be specified when labelSelector is not set"))
            continue
        for at, name in each(f"{path}.{field}", found):
            errors += validate_label_name(name, at)
    matched, mismatched = term.get("matchLabelKeys") or [], term.get("mismatchLabelKeys") or []
    errors += _validate_selected_twice(selector, matched, path)
    for at, name in each(f"{path}.matchLabelKeys", matched):
        if name in mismatched:
            errors.append(invalid(at, name, "exists in both matchLabelKeys and mismatchLabelKeys"))
    return errors


def _validate_selected_twice(selector: dict[str, Any] | None, matched: list[str], path: str) -> Errors:
    """A key became an expression of the selector before this; one more selection by it is one too many."""
    if selector is None or not matched:
        return []
    errors: Errors = []
    seen = set(selector.get("matchLabels") or ())
    for expression in selector.get("matchExpressions") or ():
        name = expression.get("key", "")
        if name in matched and name in seen:
            text = "exists in both matchLabelKeys and labelSelector"
            errors.append(invalid(f"{path}[{matched.index(name)}]", name, text))
        seen.add(name)
    return errors


def validate_tolerations(tolerations: list[dict[str, Any]] | None, path: str) -> Errors:
    errors: Errors = []
    for at, toleration in each(path, tolerations):
        errors += _validate_toleration(toleration, at)
    return errors


def _validate_toleration(toleration: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    name, operator, value = toleration.get("key", ""), toleration.get("operator", ""), toleration.get("value", "")
    effect = toleration.get("effect", "")
    if name:
        errors += validate_label_name(name, f"{path}.key")
    elif operator != "Exists":
        text = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(invalid(f"{path}.operator", operator, text))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(invalid(f"{path}.effect", effect, text))
    if operator in ("Equal", ""):
        if faults := names.is_label_value(value):
            errors.append(invalid(f"{path}.operator", value, ";".join(faults)))
    elif operator == "Exists":
        if value:
            errors.append(invalid(f"{path}.operator", value, "value must be empty when `operator` is 'Exists'"))
    else:
        errors.append(not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    if effect and effect not in EFFECTS:
        errors.append(not_supported(f"{path}.effect", effect, EFFECTS))
    return errors


def validate_topology_spread(constraints: list[dict[str, Any]] | None, path: str) -> Errors:
    errors: Errors = []
    seen: set[tuple[str, str]] = set()
    for at, constraint in each(path, constraints):
        errors += _validate_constraint(constraint, at)
        pair = constraint.get("topologyKey", ""), constraint.get("whenUnsatisfiable", "")
        if pair in seen:
            errors.append(duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}"))
        seen.add(pair)
    return errors


def _validate_constraint(constraint: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    skew, action = constraint.get("maxSkew") or 0, constraint.get("whenUnsatisfiable", "")
    if skew <= 0:
        errors.append(invalid(f"{path}.maxSkew", skew, "must be greater than zero"))
    topology_key = constraint.get("topologyKey", "")
    if not topology_key:
        errors.append(required(f"{path}.topologyKey", "can not be empty"))
    if action not in UNSATISFIABLE:
        errors.append(not_supported(f"{path}.whenUnsatisfiable", action, UNSATISFIABLE))
    domains = constraint.get("minDomains")
    if domains is not None and domains <= 0:
        errors.append(invalid(f"{path}.minDomains", domains, "must be greater than zero"))
    elif domains is not None and action != "DoNotSchedule":
        text = f"can only use minDomains if whenUnsatisfiable={UNSATISFIABLE[0]}, not {action}"
        errors.append(invalid(f"{path}.minDomains", domains, text))
    for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        policy = constraint.get(field)
        if policy is not None and policy not in NODE_POLICIES:
            errors.append(not_supported(f"{path}.{field}", policy, NODE_POLICIES))
    errors += _validate_spread_keys(constraint, f"{path}.matchLabelKeys")
    return errors + validate_label_selector(constraint.get("labelSelector"), f"{path}.labelSelector")


def _validate_spread_keys(constraint: dict[str, Any], path: str) -> Errors:
    found, selector = constraint.get("matchLabelKeys"), constraint.get("labelSelector")
    if not found:
        return []
    errors: Errors = []
    if selector is None:
        errors.append(forbidden(path, "must not be specified when labelSelector is not set"))
    selected = set((selector or {}).get("matchLabels") or ())
    selected |= {entry.get("key") for entry in (selector or {}).get("matchExpressions") or ()}
    for at, name in each(path, found):
        errors += validate_label_name(name, at)
        if name in selected:
            errors.append(invalid(at, name, "exists in both matchLabelKeys and labelSelector"))
    return errors
