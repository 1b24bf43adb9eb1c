"""admissionregistration: the webhook configurations, and rules about requests that policies share with them.

pkg/apis/admissionregistration/validation, k8s.io/apiserver/pkg/util/webhook.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from apiserver_workers.apimachinery import go_urls
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.expressions import CONDITION, Expressions
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    invalid,
    not_supported,
    repeated,
    required,
    section,
    too_many,
)
from apiserver_workers.apimachinery.validation.rules import KindValidation
from apiserver_workers.apimachinery.validation.selectors import validate_label_selector

Object = dict[str, Any]
GROUP = "admissionregistration.k8s.io"

FAILURE_POLICIES, MATCH_POLICIES = ("Fail", "Ignore"), ("Equivalent", "Exact")
REINVOCATION_POLICIES = ("IfNeeded", "Never")
SIDE_EFFECTS, NO_SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown"), ("None", "NoneOnDryRun")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
REVIEW_VERSIONS = ("v1", "v1beta1")
MOST_CONDITIONS = 64
URL_FORM = "; desired format: https://host[/path]"


def validate_webhooks(obj: Object) -> Errors:
    """A new configuration."""
    return _validate_webhooks(obj, Ratchet())


@dataclass(frozen=True, slots=True)
class Ratchet:
    """What a configuration may keep because it has it already: rules it broke, and its conditions' expressions."""

    lenient: frozenset[str] = frozenset()
    expressions: frozenset[str] = frozenset()


def _webhooks_update(new: Object, old: Object) -> Errors:
    """What the old configuration got away with (`lenient`), the new one may keep."""
    hooks = old.get("webhooks") or []
    lenient = set()
    if any(hook.get("sideEffects") not in NO_SIDE_EFFECTS for hook in hooks):
        lenient.add("sideEffects")
    if any(not set(hook.get("admissionReviewVersions") or REVIEW_VERSIONS) & set(REVIEW_VERSIONS) for hook in hooks):
        lenient.add("versions")
    if len({hook.get("name") for hook in hooks}) < len(hooks):
        lenient.add("names")
    if any(_validate_selectors(hook, "") for hook in hooks):
        lenient.add("labels")
    conditions = [[hook.get("matchConditions") or [] for hook in obj.get("webhooks") or ()] for obj in (new, old)]
    if conditions[0] == conditions[1]:
        lenient.add("conditions")
    expressions = {condition.get("expression", "") for hook in conditions[1] for condition in hook}
    return _validate_webhooks(new, Ratchet(frozenset(lenient), frozenset(expressions)))


def _validate_webhooks(obj: Object, kept: Ratchet) -> Errors:
    errors: Errors = []
    lenient = kept.lenient
    seen: set[str] = set()
    for path, hook in each("webhooks", obj.get("webhooks")):
        errors += _validate_webhook(hook, path, kept)
        errors += _validate_versions(hook.get("admissionReviewVersions"), f"{path}.admissionReviewVersions", lenient)
        name = hook.get("name", "")
        if name and name in seen and "names" not in lenient:
            errors.append(duplicate(f"{path}.name", name))
        seen.add(name)
    return errors


def _validate_webhook(hook: Object, path: str, kept: Ratchet) -> Errors:
    lenient = kept.lenient
    errors = validate_fully_qualified_name(hook.get("name", ""), f"{path}.name")
    for at, rule in each(f"{path}.rules", hook.get("rules")):
        errors += validate_rule(rule, at)
    errors += _choice(hook, "failurePolicy", FAILURE_POLICIES, path)
    errors += _choice(hook, "matchPolicy", MATCH_POLICIES, path)
    allowed = SIDE_EFFECTS if "sideEffects" in lenient else NO_SIDE_EFFECTS
    if hook.get("sideEffects") is None:
        errors.append(required(f"{path}.sideEffects", f"must specify one of {', '.join(allowed)}"))
    errors += _choice(hook, "sideEffects", allowed, path)
    seconds = hook.get("timeoutSeconds")
    if seconds is not None and not 1 <= seconds <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid(f"{path}.timeoutSeconds", seconds, text))
    errors += _validate_selectors(hook, path, check_values="labels" not in lenient)
    errors += _choice(hook, "reinvocationPolicy", REINVOCATION_POLICIES, path)
    errors += _validate_client(section(hook, "clientConfig"), f"{path}.clientConfig")
    if "conditions" in lenient:
        return errors
    matching = Expressions(params=False, composed=False)
    conditions = hook.get("matchConditions")
    return errors + validate_match_conditions(conditions, f"{path}.matchConditions", matching, kept.expressions)


def _choice(obj: Object, field: str, allowed: tuple[str, ...], path: str) -> Errors:
    value = obj.get(field)
    return [] if value is None or value in allowed else [not_supported(f"{path}.{field}", value, allowed)]


def _validate_selectors(hook: Object, path: str, *, check_values: bool = True) -> Errors:
    errors: Errors = []
    for field in ("namespaceSelector", "objectSelector"):
        errors += validate_label_selector(hook.get(field), f"{path}.{field}", check_values=check_values)
    return errors


def validate_fully_qualified_name(name: str, path: str) -> Errors:
    """IsFullyQualifiedName: a domain of three labels at least."""
    if not name:
        return [required(path)]
    if faults := names.is_dns1123_subdomain(name):
        return [invalid(path, name, ",".join(faults))]
    if name.count(".") < 2:
        return [invalid(path, name, "should be a domain with at least three segments separated by dots")]
    return []


def _validate_versions(versions: list[str] | None, path: str, lenient: frozenset[str]) -> Errors:
    if not versions:
        return [required(path, f"must specify one of {', '.join(REVIEW_VERSIONS)}")]
    errors: Errors = []
    again = repeated(versions)
    for index, (at, version) in enumerate(each(path, versions)):
        if index in again:
            errors.append(invalid(at, version, "duplicate version"))
        else:
            errors += [invalid(at, version, fault) for fault in names.is_dns1035_label(version)]
    if "versions" not in lenient and not set(versions) & set(REVIEW_VERSIONS):
        errors.append(invalid(path, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}"))
    return errors


def _validate_client(client: Object, path: str) -> Errors:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if url is not None:
        return validate_webhook_url(url, f"{path}.url")
    return validate_webhook_service(service or {}, f"{path}.service")


def validate_webhook_url(text: str, path: str) -> Errors:
    """ValidateWebhookURL, for https alone."""
    try:
        url = go_urls.parse(text)
    except ValueError as error:
        return [required(path, f"url must be a valid URL: {error}{URL_FORM}")]
    errors: Errors = []
    if url.scheme != "https":
        errors.append(invalid(path, url.scheme, f"'https' is the only allowed URL scheme{URL_FORM}"))
    if not url.host:
        errors.append(invalid(path, url.host, f"host must be specified{URL_FORM}"))
    if url.user is not None:
        errors.append(invalid(path, url.user, "user information is not permitted in the URL"))
    if url.fragment:
        errors.append(invalid(path, url.fragment, "fragments are not permitted in the URL"))
    if url.query:
        errors.append(invalid(path, url.query, "query parameters are not permitted in the URL"))
    return errors


def validate_webhook_service(service: Object, path: str) -> Errors:
    """ValidateWebhookService, whose callers give it the name for the namespace and the namespace for the name."""
    errors: Errors = []
    for missing, blamed in (("namespace", "name"), ("name", "namespace")):
        if not service.get(missing):
            errors.append(required(f"{path}.{blamed}"))
    port = service.get("port", 443)
    if faults := names.is_port_number(port):
        errors.append(invalid(f"{path}.port", port, "port is not valid: " + ", ".join(faults)))
    url, at = service.get("path"), f"{path}.path"
    if not url or url == "/":
        return errors
    if url == "//":
        return [*errors, invalid(at, url, "segment[0] may not be empty")]
    if not url.startswith("/"):
        errors.append(invalid(at, url, "must start with a '/'"))
    for index, step in enumerate(url[1:].removesuffix("/").split("/")):
        if not step:
            errors.append(invalid(at, url, f"segment[{index}] may not be empty"))
        else:
            errors += [invalid(at, url, f"segment[{index}]: {fault}") for fault in names.is_dns1123_subdomain(step)]
    return errors


def validate_match_conditions(
    conditions: list[Object] | None, path: str, expressions: Expressions, stored: Collection[str]
) -> Errors:
    """Names and expressions; `stored` are the expressions that the object has already."""
    errors: Errors = []
    if conditions and len(conditions) > MOST_CONDITIONS:
        errors.append(too_many(path, len(conditions), MOST_CONDITIONS))
    seen: set[str] = set()
    for at, condition in each(path, conditions):
        name = condition.get("name", "")
        expression = condition.get("expression", "").strip()
        if expression:
            errors += expressions.validate(CONDITION, expression, f"{at}.expression", expression in stored)
        else:
            errors.append(required(f"{at}.expression"))
        if not name:
            errors.append(required(f"{at}.name"))
            continue
        errors += [invalid(f"{at}.name", name, fault) for fault in names.is_qualified_name(name)]
        if name in seen:
            errors.append(duplicate(f"{at}.name", name))
        seen.add(name)
    return errors


# rules: which operations on which resources


def validate_rule(rule: Object, path: str) -> Errors:
    """validateRuleWithOperations."""
    operations = rule.get("operations") or []
    errors = _wildcard_alone(operations, f"{path}.operations", "operations")
    for at, operation in each(f"{path}.operations", operations):
        if operation not in OPERATIONS:
            errors.append(not_supported(at, operation, OPERATIONS))
    errors += _wildcard_alone(rule.get("apiGroups"), f"{path}.apiGroups", "API groups")
    errors += _wildcard_alone(rule.get("apiVersions"), f"{path}.apiVersions", "API versions")
    errors += [required(at) for at, version in each(f"{path}.apiVersions", rule.get("apiVersions")) if not version]
    errors += _validate_resources(rule.get("resources") or [], f"{path}.resources")
    return errors + _choice(rule, "scope", SCOPES, path)


def _wildcard_alone(values: list[str] | None, path: str, what: str) -> Errors:
    if not values:
        return [required(path)]
    if "*" in values and len(values) > 1:
        return [invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _validate_resources(resources: list[str], path: str) -> Errors:
    errors: Errors = [] if resources else [required(path)]
    whole: set[str] = set()  # x of x/*
    anywhere: set[str] = set()  # y of */y
    plain = False
    for at, resource in each(path, resources):
        if not resource:
            errors.append(required(at))
            continue
        name, slash, sub = resource.partition("/")
        if not slash:
            plain = resource != "*"
            continue
        if name in whole:
            errors.append(invalid(at, resource, f"if '{name}/*' is present, must not specify {resource}"))
        if sub in anywhere:
            errors.append(invalid(at, resource, f"if '*/{sub}' is present, must not specify {resource}"))
        if sub == "*":
            whole.add(name)
        if name == "*":
            anywhere.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        errors.append(invalid(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and plain:
        text = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid(path, resources, text))
    return errors


_CONFIGURATION = KindValidation(
    metadata="m*", any_finalizer=True, create=validate_webhooks, updates={"": _webhooks_update}
)
KINDS = {
    (GROUP, "ValidatingWebhookConfiguration"): _CONFIGURATION,
    (GROUP, "MutatingWebhookConfiguration"): _CONFIGURATION,
}
