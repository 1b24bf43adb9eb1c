"""admissionregistration: admission policies and their bindings (pkg/apis/admissionregistration/validation).

CEL expressions are not compiled: what is checked of them is that they are there where they must be.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.jsonpaths import jsonpath_fault
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.conditions import validate_conditions
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    one_of,
    repeated,
    required,
    section,
)
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector
from apiserver_workers.apimachinery.validation.webhooks import (
    FAILURE_POLICIES,
    GROUP,
    MATCH_POLICIES,
    validate_match_conditions,
    validate_rule,
)

Object = dict[str, Any]

REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
ACTIONS = ("Audit", "Deny", "Warn")
MOST_ANNOTATIONS, LONGEST_VALUE = 20, 5 * 1024
MUTATING_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")
# Words of CEL's grammar that name no variable.
RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
NOTHING_TO_DO = "validations or auditAnnotations must contain at least one item"


def validate_validating_policy(obj: Object, old: Object | None = None) -> Errors:
    """A policy, or (with `old`) an update of one, whose conditions are looked at only if they differ."""
    spec = section(obj, "spec")
    errors = _validate_matching(spec, old)
    validations, annotations = spec.get("validations"), spec.get("auditAnnotations") or []
    if not validations and not annotations:
        return [*errors, required("spec.validations", NOTHING_TO_DO), required("spec.auditAnnotations", NOTHING_TO_DO)]
    for path, validation in each("spec.validations", validations):
        errors += _validate_validation(validation, path)
    if len(annotations) > MOST_ANNOTATIONS:
        text = f"must not have more than {MOST_ANNOTATIONS} auditAnnotations"
        errors.append(invalid("spec.auditAnnotations", annotations, text))
    seen: set[str] = set()
    for path, annotation in each("spec.auditAnnotations", annotations):
        name = annotation.get("key", "")
        errors += _validate_annotation(annotation, obj["metadata"].get("name", ""), path)
        if name in seen:
            errors.append(duplicate(f"{path}.key", name))
        seen.add(name)
    return errors


def _validate_matching(spec: Object, old: Object | None, *, mutating: bool = False) -> Errors:
    """What validating and mutating policies have in common: on which requests they act."""
    policy = spec.get("failurePolicy")
    errors: Errors = []
    if policy is None:
        errors.append(required("spec.failurePolicy"))
    elif policy not in FAILURE_POLICIES:
        errors.append(not_supported("spec.failurePolicy", policy, FAILURE_POLICIES))
    if (kind := spec.get("paramKind")) is not None:
        errors += _validate_param_kind(kind, "spec.paramKind")
    constraints = spec.get("matchConstraints")
    if constraints is None:
        errors.append(required("spec.matchConstraints"))
    else:
        errors += _validate_match_resources(constraints, "spec.matchConstraints")
        if not constraints.get("resourceRules"):
            errors.append(required("spec.matchConstraints.resourceRules"))
        if mutating:
            errors += _validate_mutating_operations(constraints, "spec.matchConstraints")
    if old is None or not _same_conditions(spec, section(old, "spec")):
        errors += validate_match_conditions(spec.get("matchConditions"), "spec.matchConditions")
    for path, variable in each("spec.variables", spec.get("variables")):
        errors += _validate_variable(variable, path)
    return errors


def _same_conditions(spec: Object, before: Object) -> bool:
    conditions = spec.get("matchConditions") or [], before.get("matchConditions") or []
    return spec.get("paramKind") == before.get("paramKind") and conditions[0] == conditions[1]


def _validate_variable(variable: Object, path: str) -> Errors:
    name = variable.get("name", "")
    errors: Errors = []
    if not name.strip():
        errors.append(required(f"{path}.name", "name is not specified"))
    elif name in RESERVED or names.is_c_identifier(name):
        errors.append(invalid(f"{path}.name", name, "must be a valid CEL identifier"))
    if not variable.get("expression", "").strip():
        errors.append(required(f"{path}.expression", "expression is not specified"))
    return errors


def _validate_param_kind(kind: Object, path: str) -> Errors:
    errors: Errors = []
    version, at = kind.get("apiVersion", ""), f"{path}.apiVersion"
    group, _, short = version.rpartition("/")
    if not version:
        errors.append(required(at))
    elif "/" in group:
        errors.append(invalid(at, version, f"unexpected GroupVersion string: {version}"))
    else:
        if group and (faults := names.is_dns1123_subdomain(group)):
            errors.append(invalid(at, group, ",".join(faults)))
        if not short:
            errors.append(invalid(at, version, "version must be specified"))
        elif faults := names.is_dns1035_label(short):
            errors.append(invalid(at, short, ",".join(faults)))
    name = kind.get("kind", "")
    if not name:
        errors.append(required(f"{path}.kind"))
    elif faults := names.is_dns1035_label(name.lower()):
        text = "may have mixed case, but should otherwise match: " + ",".join(faults)
        errors.append(invalid(f"{path}.kind", name, text))
    return errors


def _validate_match_resources(match: Object, path: str) -> Errors:
    errors: Errors = []
    policy = match.get("matchPolicy")
    if policy is None:
        errors.append(required(f"{path}.matchPolicy"))
    elif policy not in MATCH_POLICIES:
        errors.append(not_supported(f"{path}.matchPolicy", policy, MATCH_POLICIES))
    for field in ("namespaceSelector", "objectSelector"):
        if match.get(field) is None:
            errors.append(required(f"{path}.{field}"))
        else:
            errors += validate_label_selector(match[field], f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for at, rule in each(f"{path}.{field}", match.get(field)):
            errors += _validate_named_rule(rule, at)
    return errors


def _validate_named_rule(rule: Object, path: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for at, name in each(f"{path}.resourceNames", rule.get("resourceNames")):
        errors += [invalid(at, name, fault) for fault in names.is_path_segment(name)]
        if name in seen:
            errors.append(duplicate(at, name))
        seen.add(name)
    return errors + validate_rule(rule, path)


def _validate_validation(validation: Object, path: str) -> Errors:
    errors: Errors = []
    message, expression = validation.get("message", ""), validation.get("messageExpression", "")
    if not validation.get("expression", "").strip():
        errors.append(required(f"{path}.expression", "expression is not specified"))
    if expression and not expression.strip():
        errors.append(invalid(f"{path}.messageExpression", expression, "must be non-empty if specified"))
    if message and not message.strip():
        errors.append(invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif any(end in message.strip() for end in "\r\n"):
        errors.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    reason = validation.get("reason")
    if reason is not None and reason not in REASONS:
        errors.append(not_supported(f"{path}.reason", reason, REASONS))
    return errors


def _validate_annotation(annotation: Object, policy: str, path: str) -> Errors:
    name, at = annotation.get("key", ""), f"{path}.key"
    if policy:
        full = f"{policy}/{name}"
        errors = [invalid(at, full, fault) for fault in names.is_qualified_name(full)]
    else:
        errors = [invalid(at, name, "requires metadata.name be non-empty")]
    value, at = annotation.get("valueExpression", "").strip(), f"{path}.valueExpression"
    if not value:
        errors.append(required(at, "valueExpression is not specified"))
    elif names.byte_length(value) > LONGEST_VALUE:
        errors.append(required(at, f"must not exceed {LONGEST_VALUE} bytes in length"))
    return errors


def _validating_policy_status(new: Object, old: Object) -> Errors:
    status, path = section(new, "status"), "status.typeChecking.expressionWarnings"
    errors: Errors = []
    for at, warning in each(path, section(status, "typeChecking").get("expressionWarnings")):
        if not warning.get("warning"):
            errors.append(required(f"{at}.warning"))
        errors += _validate_field_reference(warning.get("fieldRef", "").strip(), f"{at}.fieldRef")
    return errors + validate_conditions(status.get("conditions"), "status.conditions")


def _validate_field_reference(reference: str, path: str) -> Errors:
    if not reference:
        return [required(path)]
    fault = jsonpath_fault(f"{{{reference}}}")
    return [invalid(path, reference, f"invalid JSONPath: {fault}")] if fault else []


def validate_binding(obj: Object) -> Errors:
    """What every binding has: a policy, perhaps parameters and resources."""
    spec = section(obj, "spec")
    errors: Errors = []
    if policy := spec.get("policyName"):
        errors += [invalid("spec.policyName", policy, fault) for fault in names.is_dns1123_subdomain(policy)]
    else:
        errors.append(required("spec.policyName"))
    if (reference := spec.get("paramRef")) is not None:
        errors += _validate_param_ref(reference, "spec.paramRef")
    if (match := spec.get("matchResources")) is not None:
        errors += _validate_match_resources(match, "spec.matchResources")
    return errors


def _validate_param_ref(reference: Object, path: str) -> Errors:
    errors: Errors = []
    name, selector, action = (reference.get(f) for f in ("name", "selector", "parameterNotFoundAction"))
    text = "name and selector are mutually exclusive"
    if name:
        errors += [invalid(f"{path}.name", name, fault) for fault in names.is_path_segment(name)]
        if selector is not None:
            errors.append(forbidden(f"{path}.name", text))
    if selector is not None:
        errors += validate_label_selector(selector, f"{path}.selector")
        if name:
            errors.append(forbidden(f"{path}.selector", text))
    if not name and selector is None:
        errors.append(required(path, "one of name or selector must be specified"))
    return errors + one_of(action, ("Deny", "Allow"), f"{path}.parameterNotFoundAction", needed=True)


# Mutating policies


def validate_mutating_policy(obj: Object, old: Object | None = None) -> Errors:
    """A policy, or (with `old`) an update of one, whose conditions are looked at only if they differ."""
    spec = section(obj, "spec")
    errors = _validate_matching(spec, old, mutating=True)
    if not spec.get("mutations"):
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    for path, mutation in each("spec.mutations", spec.get("mutations")):
        errors += _validate_mutation(mutation, path)
    policy = spec.get("reinvocationPolicy")
    return errors + one_of(policy, ("IfNeeded", "Never"), "spec.reinvocationPolicy", needed=True)


def _validate_mutating_operations(match: Object, path: str) -> Errors:
    """Nothing is left of what is deleted that could be changed."""
    operations = [one for rule in match.get("resourceRules") or () for one in rule.get("operations") or ()]
    at = f"{path}.resourceRules.operations"
    return [not_supported(at, one, MUTATING_OPERATIONS) for one in operations if one not in MUTATING_OPERATIONS]


def validate_mutating_binding(obj: Object) -> Errors:
    errors = validate_binding(obj)
    match = section(obj, "spec").get("matchResources")
    return errors if match is None else errors + _validate_mutating_operations(match, "spec.matchResources")


def _validate_mutation(mutation: Object, path: str) -> Errors:
    kind = mutation.get("patchType", "")
    if kind not in PATCH_TYPES:
        return one_of(kind, PATCH_TYPES, f"{path}.patchType", needed=True)
    errors: Errors = []
    for other, field in PATCH_TYPES.items():
        patch, at = mutation.get(field), f"{path}.{field}"
        if other != kind:
            if patch is not None:
                errors.append(invalid(at, f"{{{field}}}", f"must not be specified when patchType is {kind}"))
        elif patch is None:
            errors.insert(0, required(at, f"must be specified when patchType is {kind}"))
        elif not patch.get("expression", "").strip():
            errors.insert(0, required(f"{at}.expression"))
    return errors


# A mutation's type -> the field that says what it does.
PATCH_TYPES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def validate_validating_binding(obj: Object) -> Errors:
    path, actions = "spec.validationActions", section(obj, "spec").get("validationActions") or []
    errors = validate_binding(obj)
    again = repeated(actions)
    for index, (at, action) in enumerate(each(path, actions)):
        if action not in ACTIONS:
            errors.append(not_supported(at, action, ACTIONS))
        if index in again:
            errors.append(duplicate(at, action))
    if "Deny" in actions and "Warn" in actions:
        text = "repeating the same validation failure information in the API response and headers serves no purpose"
        errors.append(invalid(path, actions, f"must not contain both Deny and Warn ({text})"))
    if not actions:
        errors.append(required(path, "at least one validation action is required"))
    return errors


KINDS = {
    (GROUP, "MutatingAdmissionPolicy"): KindValidation(
        metadata="m*", any_finalizer=True, create=validate_mutating_policy, updates={"": validate_mutating_policy}
    ),
    (GROUP, "MutatingAdmissionPolicyBinding"): KindValidation(
        metadata="mC", any_finalizer=True, create=validate_mutating_binding
    ),
    (GROUP, "ValidatingAdmissionPolicy"): KindValidation(
        metadata="m*",
        status="*",
        any_finalizer=True,
        create=validate_validating_policy,
        updates={"": validate_validating_policy, "status": _validating_policy_status},
    ),
    (GROUP, "ValidatingAdmissionPolicyBinding"): KindValidation(
        metadata="mC", any_finalizer=True, create=validate_validating_binding
    ),
}
