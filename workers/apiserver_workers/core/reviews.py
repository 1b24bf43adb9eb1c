"""Access and token reviews: objects that are questions; creating one answers it (pkg/registry/{authentication,authorization}).

Each review is a function from the object that was sent to the object that is answered. `Reviews.create` finds it by
resource. Nothing is stored.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from apiserver_workers.apimachinery.errors import FieldError, bad_request, invalid
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.apimachinery.validation import field
from apiserver_workers.apimachinery.validation.meta import validate_label_name
from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.authentication.union import ServerAuthenticator
from apiserver_workers.authorization.attributes import (
    Attributes,
    Decision,
    EvaluationError,
    FieldRequirement,
    parse_field_selector,
)
from apiserver_workers.authorization.rules import Rule
from apiserver_workers.authorization.union import ServerAuthorizer

Object = dict[str, Any]

AUTHORIZATION, AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
LABEL_FORMS = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}
RESOURCE, NON_RESOURCE = "resourceAttributes", "nonResourceAttributes"


class Reviews:
    """Answers the reviews of one server."""

    def __init__(self, authenticator: ServerAuthenticator, authorizer: ServerAuthorizer) -> None:
        self._authenticator = authenticator
        self._authorizer = authorizer

    async def create(self, group: str, resource: str, obj: Object, user: UserInfo, namespace: str = "") -> Object:
        """The answered review; `obj` is decoded and belongs to the callee. Raises ApiError (400, 422)."""
        return await REVIEWS[(group, resource)](self, obj, user, namespace)

    async def subject_access(self, obj: Object, user: UserInfo, namespace: str) -> Object:
        spec = obj.get("spec") or {}
        refuse(must_be_empty(obj["metadata"], "must be empty") + check_spec(spec) + check_subject(spec))
        return await self._decide(obj, spec, subject_of(spec))

    async def self_subject_access(self, obj: Object, user: UserInfo, namespace: str) -> Object:
        spec = obj.get("spec") or {}
        refuse(must_be_empty(obj["metadata"], "must be empty") + check_spec(spec))
        return await self._decide(obj, spec, user)

    async def local_subject_access(self, obj: Object, user: UserInfo, namespace: str) -> Object:
        spec, metadata = obj.get("spec") or {}, obj["metadata"]
        own_namespace = metadata.get("namespace", "")
        faults = check_spec(spec) + check_subject(spec)
        faults += must_be_empty(
            {key: value for key, value in metadata.items() if key != "namespace"}, "must be empty except for namespace"
        )
        asked = spec.get(RESOURCE)
        if asked and asked.get("namespace", "") != own_namespace:
            path = f"spec.{RESOURCE}.namespace"
            faults.append(field.invalid(path, asked.get("namespace", ""), "must match metadata.namespace"))
        if spec.get(NON_RESOURCE):
            shown = internal(spec[NON_RESOURCE])
            faults.append(field.invalid(f"spec.{NON_RESOURCE}", shown, "disallowed on this kind of request"))
        refuse(faults)
        if namespace != own_namespace:
            raise bad_request(f"spec.resourceAttributes.namespace must match namespace: {namespace}")
        return await self._decide(obj, spec, subject_of(spec))

    async def _decide(self, obj: Object, spec: Object, subject: UserInfo) -> Object:
        fault = ""
        try:
            decision, reason = await self._authorizer.authorize(attributes_of(spec, subject))
        except EvaluationError as error:
            decision, reason, fault = error.decision, error.reason_given, error.fault
        status: Object = {"allowed": decision is Decision.ALLOW}
        if decision is Decision.DENY:
            status["denied"] = True
        if reason:
            status["reason"] = reason
        if fault:
            status["evaluationError"] = fault
        return {**obj, "status": status}

    async def self_subject_rules(self, obj: Object, user: UserInfo, namespace: str) -> Object:
        asked = (obj.get("spec") or {}).get("namespace", "")
        if not asked:
            raise bad_request("no namespace on request")
        held = self._authorizer.rules_for(user, asked)
        status: Object = {
            "resourceRules": [_resource_rule(rule) for rule in held.rules if rule.get("resources")],
            "nonResourceRules": [_non_resource_rule(rule) for rule in held.rules if rule.get("nonResourceURLs")],
            "incomplete": held.incomplete,
        }
        if held.error:
            status["evaluationError"] = held.error
        return {**_head(obj), "metadata": {}, "spec": {}, "status": status}

    async def self_subject(self, obj: Object, user: UserInfo, namespace: str) -> Object:
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return {**_head(obj), "metadata": {"creationTimestamp": created}, "status": {"userInfo": user_info(user)}}

    async def token(self, obj: Object, user: UserInfo, namespace: str) -> Object:
        spec = obj.get("spec") or {}
        if not spec.get("token"):
            raise bad_request("token is required for TokenReview in authentication")
        audiences = tuple(spec.get("audiences") or ()) or None
        status: Object
        try:
            response = await self._authenticator.review_token(spec["token"], audiences)
        except AuthenticationError as error:
            status = {"user": {}, "error": str(error)}
        else:
            status = {"authenticated": True, "user": user_info(response.user)}
            if response.audiences:
                status["audiences"] = list(response.audiences)
        return {**obj, "status": status}


REVIEWS: dict[tuple[str, str], Callable[[Reviews, Object, UserInfo, str], Awaitable[Object]]] = {
    (AUTHORIZATION, "subjectaccessreviews"): Reviews.subject_access,
    (AUTHORIZATION, "selfsubjectaccessreviews"): Reviews.self_subject_access,
    (AUTHORIZATION, "localsubjectaccessreviews"): Reviews.local_subject_access,
    (AUTHORIZATION, "selfsubjectrulesreviews"): Reviews.self_subject_rules,
    (AUTHENTICATION, "selfsubjectreviews"): Reviews.self_subject,
    (AUTHENTICATION, "tokenreviews"): Reviews.token,
}


def refuse(faults: list[FieldError]) -> None:
    """Raises ApiError (422) if there are any. Upstream names neither kind nor object in it."""
    if faults:
        raise invalid("", AUTHORIZATION, "", faults)


def must_be_empty(metadata: Object, why: str) -> list[FieldError]:
    if metadata.keys() <= {"managedFields"}:
        return []
    return [field.invalid("metadata", metadata, why)]


def internal(attributes: Object) -> Object:
    """Non-resource attributes as messages show them: by their Go names."""
    return {"Path": attributes.get("path", ""), "Verb": attributes.get("verb", "")}


def check_spec(spec: Object) -> list[FieldError]:
    resource, non_resource = spec.get(RESOURCE), spec.get(NON_RESOURCE)
    faults = []
    if resource is not None and non_resource is not None:
        path, why = f"spec.{NON_RESOURCE}", "cannot be specified in combination with resourceAttributes"
        faults.append(field.invalid(path, internal(non_resource), why))
    if resource is None and non_resource is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        faults.append(field.invalid(f"spec.{RESOURCE}", None, why))
    if resource is not None:
        for name in ("fieldSelector", "labelSelector"):
            if name in resource:
                faults += check_selector(resource[name], f"spec.{RESOURCE}.{name}", labels=name == "labelSelector")
    return faults


def check_subject(spec: Object) -> list[FieldError]:
    if spec.get("user") or spec.get("groups"):
        return []
    return [field.invalid("spec.user", "", "at least one of user or group must be specified")]


def check_selector(selector: Object, path: str, *, labels: bool) -> list[FieldError]:
    raw, requirements = selector.get("rawSelector", ""), selector.get("requirements") or []
    faults = []
    if raw and requirements:
        faults.append(field.invalid(f"{path}.rawSelector", raw, "may not specified at the same time as requirements"))
    if not raw and not requirements:
        why = f"when {path} is specified, requirements or rawSelector is required"
        faults.append(field.required(f"{path}.requirements", why))
    for where, requirement in field.each(f"{path}.requirements", requirements):
        faults += check_requirement(requirement, where, labels=labels)
    return faults


def check_requirement(requirement: Object, path: str, *, labels: bool) -> list[FieldError]:
    """Operators that this server does not know are accepted: newer clients may ask with them."""
    key, operator, values = requirement.get("key", ""), requirement.get("operator", ""), requirement.get("values")
    faults = []
    if not key and not labels:
        faults.append(field.required(f"{path}.key", "must be specified"))
    if operator in ("In", "NotIn") and not values:
        faults.append(field.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    if operator in ("Exists", "DoesNotExist") and values:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        faults.append(field.forbidden(f"{path}.values", why))
    return faults + (validate_label_name(key, f"{path}.key") if labels else [])


def subject_of(spec: Object) -> UserInfo:
    """The user that a review asks about."""
    return UserInfo(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()), spec.get("extra") or {})


def attributes_of(spec: Object, subject: UserInfo) -> Attributes:
    """What a review asks whether the subject may do it."""
    asked = spec.get(RESOURCE)
    if asked is None:
        asked = spec[NON_RESOURCE]
        return Attributes(subject, asked.get("verb", ""), resource_request=False, path=asked.get("path", ""))
    return Attributes(
        subject,
        asked.get("verb", ""),
        namespace=asked.get("namespace", ""),
        api_group=asked.get("group", ""),
        api_version=asked.get("version", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        name=asked.get("name", ""),
        fields=_fields_of(asked.get("fieldSelector") or {}),
        label_selector=_labels_of(asked.get("labelSelector") or {}),
    )


def _fields_of(selector: Object) -> tuple[FieldRequirement, ...]:
    if selector.get("rawSelector"):
        return parse_field_selector(selector["rawSelector"])
    operators = {"In": "=", "NotIn": "!="}
    return tuple(
        FieldRequirement(requirement["key"], operators[requirement["operator"]], requirement["values"][0])
        for requirement in selector.get("requirements") or ()
        if requirement["operator"] in operators and len(requirement["values"]) == 1
    )


def _labels_of(selector: Object) -> str:
    """A review's label selector as a request would have it; operators that this server does not know narrow nothing."""
    if selector.get("rawSelector"):
        return selector["rawSelector"]
    return ",".join(
        LABEL_FORMS[requirement["operator"]].format(requirement["key"], ",".join(requirement.get("values") or ()))
        for requirement in selector.get("requirements") or ()
        if requirement.get("operator") in LABEL_FORMS
    )


def user_info(user: UserInfo) -> Object:
    """authentication.k8s.io/v1 UserInfo."""
    info = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": user.extra}
    return {key: value for key, value in info.items() if value}


def _head(obj: Object) -> Object:
    return {"kind": obj["kind"], "apiVersion": obj["apiVersion"]}


def _resource_rule(rule: Rule) -> Rule:
    return {key: rule[key] for key in ("verbs", "apiGroups", "resources", "resourceNames") if rule.get(key)}


def _non_resource_rule(rule: Rule) -> Rule:
    return {"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}
