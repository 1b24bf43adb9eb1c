"""flowcontrol: FlowSchema and PriorityLevelConfiguration (pkg/apis/flowcontrol/validation)."""

from __future__ import annotations

import math
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
    section,
)
from apiserver_workers.apimachinery.validation.internal import invalid_internal
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]
GROUP = "flowcontrol.apiserver.k8s.io"

# The annotation of v1beta3 that conversion takes away.
ZERO_SHARES = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"
MOST_QUEUES, MOST_PRECEDENCE, HASH_BITS = 10_000_000, 10_000, 60
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
# A subject's kind -> the field that says more about it; sorted as upstream shows them.
SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
# The order in which each kind's foreign fields are reported.
FOREIGN = {
    "ServiceAccount": ("User", "Group"),
    "User": ("ServiceAccount", "Group"),
    "Group": ("ServiceAccount", "User"),
}


# The objects that every server has, by resource and name; but for the exempt level's shares nobody changes them.
ALL_RESOURCES = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}]
ALL_URLS = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
EVERYBODY = [{"kind": "Group", "group": {"name": f"system:{name}"}} for name in ("unauthenticated", "authenticated")]
MASTERS = [{"kind": "Group", "group": {"name": "system:masters"}}]
MANDATORY_SPECS: dict[str, dict[str, Object]] = {
    "prioritylevelconfigurations": {
        "catch-all": {
            "type": "Limited",
            "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}, "lendablePercent": 0},
        },
        "exempt": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    },
    "flowschemas": {
        "catch-all": {
            "priorityLevelConfiguration": {"name": "catch-all"},
            "matchingPrecedence": 10000,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{"subjects": EVERYBODY, "resourceRules": ALL_RESOURCES, "nonResourceRules": ALL_URLS}],
        },
        "exempt": {
            "priorityLevelConfiguration": {"name": "exempt"},
            "matchingPrecedence": 1,
            "rules": [{"subjects": MASTERS, "resourceRules": ALL_RESOURCES, "nonResourceRules": ALL_URLS}],
        },
    },
}
_V1 = "io.k8s.api.flowcontrol.v1."


def _validate_mandatory(name: str, spec: Object, resource: str, definition: str) -> Errors:
    """The fixed objects of the server are as they are."""
    fixed = MANDATORY_SPECS[resource].get(name)
    if fixed is None:
        return []
    text = "must equal the fixed value"
    if "exempt" in fixed:
        text = f"except the 'spec.exempt' field {text}"
        spec_of, fixed = ({k: v for k, v in one.items() if k != "exempt"} for one in (spec, fixed))
        return [] if spec_of == fixed else [invalid_internal("spec", definition, spec, f"spec of '{name}' {text}")]
    return [] if spec == fixed else [invalid_internal("spec", definition, spec, f"spec of '{name}' {text}")]


def validate_flow_schema(obj: Object) -> Errors:
    name, spec = obj["metadata"].get("name", ""), section(obj, "spec")
    errors: Errors = []
    precedence, at = spec.get("matchingPrecedence") or 0, "spec.matchingPrecedence"
    if precedence <= 0:
        errors.append(invalid(at, precedence, "must be a positive value"))
    if precedence > MOST_PRECEDENCE:
        errors.append(invalid(at, precedence, f"must not be greater than {MOST_PRECEDENCE}"))
    if precedence == 1 and name != "exempt":
        errors.append(invalid(at, precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
    method = spec.get("distinguisherMethod")
    if method is not None and method.get("type") not in ("ByNamespace", "ByUser"):
        shown = {"Type": method.get("type", "")}
        errors.append(not_supported("spec.distinguisherMethod.type", shown, ("ByNamespace", "ByUser")))
    level, at = section(spec, "priorityLevelConfiguration").get("name"), "spec.priorityLevelConfiguration.name"
    if level:
        errors += [invalid(at, level, fault) for fault in names.is_dns1123_subdomain(level)]
    else:
        errors.append(required(at, "must reference a priority level"))
    for path, rule in each("spec.rules", spec.get("rules")):
        errors += _validate_rule(rule, path)
    errors += _validate_mandatory(name, spec, "flowschemas", f"{_V1}FlowSchemaSpec")
    return errors + _validate_conditions(obj)


def _validate_rule(rule: Object, path: str) -> Errors:
    errors: Errors = []
    if not rule.get("subjects"):
        errors.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for at, subject in each(f"{path}.subjects", rule.get("subjects")):
        errors += _validate_subject(subject, at)
    if not rule.get("resourceRules") and not rule.get("nonResourceRules"):
        errors.append(required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
    for at, inner in each(f"{path}.resourceRules", rule.get("resourceRules")):
        errors += _validate_resource_rule(inner, at)
    for at, inner in each(f"{path}.nonResourceRules", rule.get("nonResourceRules")):
        errors += _validate_non_resource_rule(inner, at)
    return errors


def _validate_subject(subject: Object, path: str) -> Errors:
    kind = subject.get("kind", "")
    if kind not in SUBJECTS:
        return [not_supported(f"{path}.kind", kind, SUBJECTS)]
    field = SUBJECTS[kind]
    details, at = subject.get(field), f"{path}.{field}"
    if details is None:
        errors = [required(at, f"{field} is required when subject kind is '{kind}'")]
    else:
        errors = [] if details.get("name") else [required(f"{at}.name")]
        if kind == "ServiceAccount":
            errors += _validate_service_account(details, at)
    for other in FOREIGN[kind]:
        if subject.get(SUBJECTS[other]) is not None:
            text = f"{SUBJECTS[other]} is forbidden when subject kind is not '{other}'"
            errors.append(forbidden(f"{path}.{SUBJECTS[other]}", text))
    return errors


def _validate_service_account(account: Object, path: str) -> Errors:
    errors: Errors = []
    name, namespace = account.get("name"), account.get("namespace")
    if name and name != "*":
        errors += [invalid(f"{path}.name", name, fault) for fault in names.is_dns1123_subdomain(name)]
    if namespace:
        errors += [invalid(f"{path}.namespace", namespace, fault) for fault in names.is_dns1123_label(namespace)]
    else:
        errors.append(required(f"{path}.namespace", "must specify namespace for service account"))
    return errors


def _validate_verbs(verbs: list[str] | None, path: str) -> Errors:
    if not verbs:
        return [required(path, "verbs must contain at least one value")]
    if "*" in verbs:
        return _alone(verbs, path, "verbs")
    return [] if set(verbs) <= set(VERBS) else [not_supported(path, verbs, VERBS)]


def _alone(values: list[str], path: str, what: str) -> Errors:
    """`*` stands for everything, so nothing may be next to it."""
    if "*" in values and len(values) > 1:
        return [invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _validate_resource_rule(rule: Object, path: str) -> Errors:
    errors = _validate_verbs(rule.get("verbs"), f"{path}.verbs")
    for field, one, many in (("apiGroups", "api group", "api groups"), ("resources", "resource", "resources")):
        if values := rule.get(field):
            errors += _alone(values, f"{path}.{field}", many)
        else:
            errors.append(required(f"{path}.{field}", f"resource rules must supply at least one {one}"))
    at, namespaces = f"{path}.namespaces", rule.get("namespaces") or []
    if not namespaces and not rule.get("clusterScope"):
        text = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(required(at, text))
    elif "*" in namespaces:
        errors += _alone(namespaces, at, "namespaces")
    else:
        text = "each member of this list must be '*' or a DNS-1123 label; "
        errors += [
            invalid(place, namespace, text + fault)
            for place, namespace in each(at, namespaces)
            for fault in names.is_dns1123_label(namespace)
        ]
    return errors


def _validate_non_resource_rule(rule: Object, path: str) -> Errors:
    errors = _validate_verbs(rule.get("verbs"), f"{path}.verbs")
    at, urls = f"{path}.nonResourceURLs", rule.get("nonResourceURLs")
    if not urls:
        errors.append(required(at, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        errors += _alone(urls, at, "non-resource URLs")
    else:
        for place, url in each(at, urls):
            if fault := _url_fault(url):
                errors.append(invalid(place, url, fault))
    return errors


def _url_fault(url: str) -> str:
    if not url:
        return "must not be empty"
    if url == "/":
        return ""
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    stars = url.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars == 1 and not url.endswith("/*")) else ""


# PriorityLevelConfiguration


def validate_priority_level(obj: Object) -> Errors:
    name, spec = obj["metadata"].get("name", ""), section(obj, "spec")
    kind, limited, exempt = spec.get("type", ""), spec.get("limited"), spec.get("exempt")
    errors: Errors = []
    if ZERO_SHARES in (obj["metadata"].get("annotations") or {}):
        errors.append(forbidden("metadata.annotations", f"annotation '{ZERO_SHARES}' is forbidden"))
    if (name == "exempt") != (kind == "Exempt"):
        errors.append(invalid("spec.type", kind, "must be 'Exempt' if and only if `name` is 'exempt'"))
    if kind == "Exempt":
        if limited is not None:
            errors.append(forbidden("spec.limited", "must be nil if the type is not Limited"))
        if exempt is not None:
            errors += _validate_shares(exempt, "spec.exempt")
    elif kind == "Limited":
        if exempt is not None:
            errors.append(forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            errors.append(required("spec.limited", "must not be empty when type is Limited"))
        else:
            errors += _validate_limited(limited, "spec.limited")
    else:
        errors.append(not_supported("spec.type", kind, ("Exempt", "Limited")))
    definition = f"{_V1}PriorityLevelConfigurationSpec"
    errors += _validate_mandatory(name, spec, "prioritylevelconfigurations", definition)
    return errors + _validate_conditions(obj)


def _validate_shares(settings: Object, path: str) -> Errors:
    errors: Errors = []
    shares, lendable = settings.get("nominalConcurrencyShares") or 0, settings.get("lendablePercent")
    if shares < 0:
        errors.append(invalid(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer"))
    if lendable is not None and not 0 <= lendable <= 100:
        errors.append(invalid(f"{path}.lendablePercent", lendable, "must be between 0 and 100, inclusive"))
    return errors


def _validate_limited(limited: Object, path: str) -> Errors:
    errors = _validate_shares({**limited, "lendablePercent": None}, path)
    errors += _validate_response(section(limited, "limitResponse"), f"{path}.limitResponse")
    errors += _validate_shares({"lendablePercent": limited.get("lendablePercent")}, path)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        text = "if specified, must be a non-negative integer"
        errors.append(invalid(f"{path}.borrowingLimitPercent", borrowing, text))
    return errors


def _validate_response(response: Object, path: str) -> Errors:
    kind, queuing, at = response.get("type", ""), response.get("queuing"), f"{path}.queuing"
    if kind == "Reject":
        text = "must be nil if limited.limitResponse.type is not Limited"
        return [] if queuing is None else [forbidden(at, text)]
    if kind != "Queue":
        return [not_supported(f"{path}.type", kind, ("Queue", "Reject"))]
    if queuing is None:
        return [required(at, "must not be empty if limited.limitResponse.type is Limited")]
    return _validate_queuing(queuing, at)


def _validate_queuing(queuing: Object, path: str) -> Errors:
    length, queues, hand = (queuing.get(field) or 0 for field in ("queueLengthLimit", "queues", "handSize"))
    errors: Errors = []
    if length <= 0:
        errors.append(invalid(f"{path}.queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        errors.append(invalid(f"{path}.queues", queues, "must be positive"))
    elif queues > MOST_QUEUES:
        errors.append(invalid(f"{path}.queues", queues, f"must not be greater than {MOST_QUEUES}"))
    at = f"{path}.handSize"
    if hand <= 0:
        errors.append(invalid(at, hand, "must be positive"))
    elif hand > queues:
        errors.append(invalid(at, hand, f"should not be greater than queues ({queues})"))
    elif _entropy_bits(queues, hand) > HASH_BITS:
        text = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}"
        errors.append(invalid(at, hand, text))
    return errors


def _entropy_bits(deck: int, hand: int) -> int:
    """RequiredEntropyBits: how many bits it takes to deal a hand."""
    return math.ceil(math.log2(deck) * hand)


def _validate_conditions(obj: Object) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for path, condition in each("status.conditions", section(obj, "status").get("conditions")):
        kind = condition.get("type", "")
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
        if not kind:
            errors.append(required(f"{path}.type"))
    return errors


def _status_update(new: Object, old: Object) -> Errors:
    return _validate_conditions(new)


KINDS = {
    (GROUP, "FlowSchema"): KindValidation(
        metadata="MC", status="*", create=validate_flow_schema, updates={"status": _status_update}
    ),
    (GROUP, "PriorityLevelConfiguration"): KindValidation(
        metadata="MC", status="*", create=validate_priority_level, updates={"status": _status_update}
    ),
}
