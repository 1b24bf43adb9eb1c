"""rbac.authorization.k8s.io (pkg/apis/rbac/validation)."""

from __future__ import annotations

from functools import partial
from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    each,
    invalid,
    not_supported,
    required,
    section,
    unchanged,
)
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector

GROUP = "rbac.authorization.k8s.io"
SUBJECT_GROUPS = {"ServiceAccount": "", "User": GROUP, "Group": GROUP}


def _validate_role(obj: dict[str, Any], *, namespaced: bool, check_values: bool = True) -> Errors:
    errors: Errors = []
    for path, rule in each("rules", obj.get("rules")):
        errors += _validate_rule(rule, path, namespaced=namespaced)
    aggregation = obj.get("aggregationRule")
    if aggregation is None or namespaced:
        return errors
    path = "aggregationRule.clusterRoleSelectors"
    selectors = aggregation.get("clusterRoleSelectors")
    if not selectors:
        errors.append(required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil"))
    for at, selector in each(path, selectors):
        errors += validate_label_selector(selector, at, check_values=check_values)
        if validate_label_selector(selector, at):
            errors.append(invalid(at, None, "invalid label selector."))
    return errors


def _validate_rule(rule: dict[str, Any], path: str, *, namespaced: bool) -> Errors:
    errors: Errors = []
    if not rule.get("verbs"):
        errors.append(required(f"{path}.verbs", "verbs must contain at least one value"))
    urls = rule.get("nonResourceURLs")
    if urls:
        at = f"{path}.nonResourceURLs"
        if namespaced:
            errors.append(invalid(at, urls, "namespaced rules cannot apply to non-resource URLs"))
        if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
            errors.append(invalid(at, urls, "rules cannot apply to both regular resources and non-resource URLs"))
        return errors
    if not rule.get("apiGroups"):
        errors.append(required(f"{path}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        errors.append(required(f"{path}.resources", "resource rules must supply at least one resource"))
    return errors


def _validate_binding(obj: dict[str, Any], *, role_kinds: tuple[str, ...], namespaced: bool) -> Errors:
    errors: Errors = []
    ref = obj.get("roleRef") or {}
    if ref.get("apiGroup", GROUP) != GROUP:
        errors.append(not_supported("roleRef.apiGroup", ref["apiGroup"], [GROUP]))
    if ref.get("kind", "") not in role_kinds:
        errors.append(not_supported("roleRef.kind", ref.get("kind", ""), role_kinds))
    if name := ref.get("name"):
        errors += [invalid("roleRef.name", name, fault) for fault in names.is_path_segment(name)]
    else:
        errors.append(required("roleRef.name"))
    for path, subject in each("subjects", obj.get("subjects")):
        errors += _validate_subject(subject, path, namespaced=namespaced)
    return errors


def _validate_subject(subject: dict[str, Any], path: str, *, namespaced: bool) -> Errors:
    errors: Errors = []
    name, kind = subject.get("name"), subject.get("kind", "")
    if not name:
        errors.append(required(f"{path}.name"))
    if kind not in SUBJECT_GROUPS:
        return [*errors, not_supported(f"{path}.kind", kind, SUBJECT_GROUPS)]
    if kind == "ServiceAccount" and name:
        errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_subdomain(name)]
    group = subject.get("apiGroup", "")
    if group != SUBJECT_GROUPS[kind]:
        errors.append(not_supported(f"{path}.apiGroup", group, [SUBJECT_GROUPS[kind]]))
    if kind == "ServiceAccount" and not namespaced and not subject.get("namespace"):
        errors.append(required(f"{path}.namespace"))
    return errors


def _role(*, namespaced: bool) -> KindValidation:
    check = partial(_validate_role, namespaced=namespaced)

    def update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
        """Values of selectors are not looked at where some selector was stored with faults."""
        selectors = section(old, "aggregationRule").get("clusterRoleSelectors") or ()
        return check(new, check_values=not any(validate_label_selector(selector, "") for selector in selectors))

    return KindValidation(name=names.is_path_segment, metadata="M*U", create=check, updates={"": update})


def _binding(*, role_kinds: tuple[str, ...], namespaced: bool) -> KindValidation:
    check = partial(_validate_binding, role_kinds=role_kinds, namespaced=namespaced)

    def update(new: dict[str, Any], old: dict[str, Any]) -> Errors:
        changed = unchanged(new.get("roleRef"), old.get("roleRef"), "roleRef")
        return [invalid("roleRef", error_value(new), "cannot change roleRef") for _ in changed]

    return KindValidation(name=names.is_path_segment, metadata="MCU*", create=check, updates={"": update})


def error_value(binding: dict[str, Any]) -> dict[str, str]:
    """A roleRef as messages show it: the internal type's field names."""
    ref = binding.get("roleRef") or {}
    return {"APIGroup": ref.get("apiGroup", ""), "Kind": ref.get("kind", ""), "Name": ref.get("name", "")}


KINDS = {
    (GROUP, "Role"): _role(namespaced=True),
    (GROUP, "ClusterRole"): _role(namespaced=False),
    (GROUP, "RoleBinding"): _binding(role_kinds=("Role", "ClusterRole"), namespaced=True),
    (GROUP, "ClusterRoleBinding"): _binding(role_kinds=("ClusterRole",), namespaced=False),
}
