"""admissionregistration: admission policies and their bindings (pkg/apis/admissionregistration/validation).

Which expressions count as stored is upstream's choice, oddities included: a variable's if a validation has the same, a
JSON patch's if an apply configuration has. Conditions, patches and annotations compile without the space around them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from apiserver_workers.apimachinery.jsonpaths import jsonpath_fault
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.conditions import validate_conditions
from apiserver_workers.apimachinery.validation.expressions import (
    ANNOTATION,
    APPLY_CONFIGURATION,
    CONDITION,
    JSON_PATCH,
    MESSAGE,
    Expressions,
)
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
    spec, before = section(obj, "spec"), section(old or {}, "spec")
    expressions = Expressions(params=spec.get("paramKind") is not None, composed=bool(spec.get("variables")))
    errors = _validate_matching(spec, old, expressions)
    validations, annotations = spec.get("validations"), spec.get("auditAnnotations") or []
    if not validations and not annotations:
        return [*errors, required("spec.validations", NOTHING_TO_DO), required("spec.auditAnnotations", NOTHING_TO_DO)]
    for path, validation in each("spec.validations", validations):
        errors += _validate_validation(validation, path, expressions, before)
    if len(annotations) > MOST_ANNOTATIONS:
        text = f"must not have more than {MOST_ANNOTATIONS} auditAnnotations"
        errors.append(invalid("spec.auditAnnotations", annotations, text))
    seen: set[str] = set()
    for path, annotation in each("spec.auditAnnotations", annotations):
        name = annotation.get("key", "")
        errors += _validate_annotation_key(annotation, obj["metadata"].get("name", ""), path)
        errors += _validate_annotation(annotation, path, expressions, before)
        if name in seen:
            errors.append(duplicate(f"{path}.key", name))
        seen.add(name)
    return errors


def _written(before: Object, field: str, name: str) -> set[str]:
    """The expressions that a list of the stored spec has."""
    return {item.get(name, "") for item in before.get(field) or ()}


def _validate_matching(spec: Object, old: Object | None, expressions: Expressions, *, mutating: bool = False) -> Errors:
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
    before = section(old or {}, "spec")
    if old is None or not _same_conditions(spec, before):
        stored = _written(before, "matchConditions", "expression")
        conditions = spec.get("matchConditions")
        errors += validate_match_conditions(conditions, "spec.matchConditions", expressions.matching(), stored)
    stored = _written(before, "validations", "expression")
    for path, variable in each("spec.variables", spec.get("variables")):
        errors += _validate_variable(variable, path, expressions, stored)
    return errors


def _same_conditions(spec: Object, before: Object) -> bool:
    conditions = spec.get("matchConditions") or [], before.get("matchConditions") or []
    return spec.get("paramKind") == before.get("paramKind") and conditions[0] == conditions[1]


def _validate_variable(variable: Object, path: str, expressions: Expressions, stored: Collection[str]) -> Errors:
    name, expression = variable.get("name", ""), variable.get("expression", "")
    errors: Errors = []
    if not name.strip():
        errors.append(required(f"{path}.name", "name is not specified"))
    elif name in RESERVED or names.is_c_identifier(name):
        errors.append(invalid(f"{path}.name", name, "must be a valid CEL identifier"))
    if not expression.strip():
        return [*errors, required(f"{path}.expression", "expression is not specified")]
    return errors + expressions.declare(name, expression, f"{path}.expression", expression in stored)


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


def _validate_validation(validation: Object, path: str, expressions: Expressions, before: Object) -> Errors:
    message, expression = validation.get("message", ""), validation.get("expression", "")
    if expression.strip():
        stored = expression in _written(before, "validations", "expression")
        errors = expressions.validate(CONDITION, expression, f"{path}.expression", stored)
    else:
        errors = [required(f"{path}.expression", "expression is not specified")]
    errors += _validate_message_expression(validation, f"{path}.messageExpression", expressions, before)
    if message and not message.strip():
        errors.append(invalid(f"{path}.message", message, "must be non-empty if specified"))
    elif any(end in message.strip() for end in "\r\n"):
        errors.append(invalid(f"{path}.message", message, "must not contain line breaks"))
    reason = validation.get("reason")
    if reason is not None and reason not in REASONS:
        errors.append(not_supported(f"{path}.reason", reason, REASONS))
    return errors


def _validate_message_expression(validation: Object, path: str, expressions: Expressions, before: Object) -> Errors:
    source = validation.get("messageExpression", "")
    if not source:
        return []
    if not source.strip():
        return [invalid(path, source, "must be non-empty if specified")]
    stored = source in _written(before, "validations", "messageExpression")
    return expressions.validate(MESSAGE, source, path, stored)


def _validate_annotation_key(annotation: Object, policy: str, path: str) -> Errors:
    name, at = annotation.get("key", ""), f"{path}.key"
    if not policy:
        return [invalid(at, name, "requires metadata.name be non-empty")]
    full = f"{policy}/{name}"
    return [invalid(at, full, fault) for fault in names.is_qualified_name(full)]


def _validate_annotation(annotation: Object, path: str, expressions: Expressions, before: Object) -> Errors:
    written, at = annotation.get("valueExpression", ""), f"{path}.valueExpression"
    value = written.strip()
    if not value:
        return [required(at, "valueExpression is not specified")]
    if names.byte_length(value) > LONGEST_VALUE:
        return [required(at, f"must not exceed {LONGEST_VALUE} bytes in length")]
    stored = written in _written(before, "auditAnnotations", "valueExpression")
    return expressions.validate(ANNOTATION, value, at, stored, shown=written)


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
    expressions = Expressions(params=spec.get("paramKind") is not None, composed=True)
    errors = _validate_matching(spec, old, expressions, mutating=True)
    mutations = section(old or {}, "spec").get("mutations")
    stored = {section(mutation, "applyConfiguration").get("expression", "") for mutation in mutations or ()}
    if not spec.get("mutations"):
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    for path, mutation in each("spec.mutations", spec.get("mutations")):
        errors += _validate_mutation(mutation, path, expressions, stored)
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


def _validate_mutation(mutation: Object, path: str, expressions: Expressions, stored: Collection[str]) -> Errors:
    kind = mutation.get("patchType", "")
    if kind not in PATCH_TYPES:
        return one_of(kind, PATCH_TYPES, f"{path}.patchType", needed=True)
    field = PATCH_TYPES[kind][0]
    errors = _validate_patch(mutation.get(field), f"{path}.{field}", kind, expressions, stored)
    for unwanted in (name for name, _ in PATCH_TYPES.values() if name != field and mutation.get(name) is not None):
        text = f"must not be specified when patchType is {kind}"
        errors.append(invalid(f"{path}.{unwanted}", f"{{{unwanted}}}", text))
    return errors


def _validate_patch(
    patch: Object | None, path: str, kind: str, expressions: Expressions, stored: Collection[str]
) -> Errors:
    if patch is None:
        return [required(path, f"must be specified when patchType is {kind}")]
    written, at = patch.get("expression", ""), f"{path}.expression"
    if not written.strip():
        return [required(at)]
    return expressions.validate(PATCH_TYPES[kind][1], written.strip(), at, written in stored)


# A mutation's type -> the field that says what it does, and what its expression may be.
PATCH_TYPES = {
    "ApplyConfiguration": ("applyConfiguration", APPLY_CONFIGURATION),
    "JSONPatch": ("jsonPatch", JSON_PATCH),
}


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
