"""One write as policies see it: its namespace, its objects in each version that is asked for, and CEL's variables.

What is asked for by several policies is found once. The objects are never changed.

Upstream: apiserver/pkg/admission/plugin/cel/condition.go (CreateAdmissionRequest, CreateNamespaceObject),
plugin/webhook/predicates/namespace, plugin/authorizer/caching_authorizer.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.namespaces import find_namespace
from apiserver_workers.admission.policies.evaluation import Checks, Pace
from apiserver_workers.admission.policies.matching import NO_LABELS, Labels, Match, Narrowed
from apiserver_workers.admission.versions import Gvk, Versioned, body_gvk, versioned
from apiserver_workers.apimachinery.cel.library.authz import Answer, Authorizer, Question, ResourceCheck
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import Attributes as AccessAttributes
from apiserver_workers.authorization.attributes import Decision, EvaluationError, parse_field_selector
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes

Object = dict[str, Any]

NAMESPACE_FIELDS = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "finalizers",
)
SERVICE_ACCOUNTS = "system:serviceaccounts"


class Write:
    """A write that at least one policy may be about."""

    def __init__(self, attributes: Attributes, initializer: Initializer) -> None:
        self.attributes = attributes
        self.pace = Pace()
        self._initializer = initializer
        self._namespace: Object | None = None
        self._versions: dict[ServedKind, Versioned] = {}
        self._requests: dict[Match, Object] = {}
        self._memo: dict[Question, Answer] = {}
        self.checks = Checks(self._memo, self._decide)
        self._authorizer: dict[str, Any] = {}

    # where it is

    async def namespace(self) -> Object:
        """The namespace that the write is in. Raises ApiError 404, 500."""
        if self._namespace is None:
            self._namespace = await find_namespace(self._initializer.lister("namespaces"), self.attributes.namespace)
        return self._namespace

    async def selected(self, narrowed: Narrowed) -> bool:
        """Whether the namespace selector selects the write. Raises ApiError where the namespace is not there."""
        if not narrowed.needs_labels:
            return True
        attributes = self.attributes
        is_namespace = attributes.requested.info.resource == "namespaces"
        if not attributes.namespace and not is_namespace:
            return True  # what is in no namespace is always selected
        return narrowed.selects(await self._labels(is_namespace))

    async def _labels(self, is_namespace: bool) -> Labels:
        attributes = self.attributes
        if is_namespace and not attributes.subresource and attributes.operation in (CREATE, UPDATE):
            metadata = (attributes.obj or {}).get("metadata") or {}
        else:
            metadata = (await self.namespace())["metadata"]
        labels: Labels = metadata.get("labels") or NO_LABELS
        return labels

    async def matches(self, narrowed: Narrowed) -> Match | None:
        """What policy or binding match of the write. Raises ApiError."""
        match = narrowed.match(self.attributes)
        if match is None or not await self.selected(narrowed):
            return None
        return match

    async def namespace_object(self) -> Object | None:
        """What expressions see of the namespace; None for what is in none, and for a namespace. Raises ApiError."""
        attributes = self.attributes
        if not attributes.namespace or gvk_of(attributes) == ("", "v1", "Namespace"):
            return None
        return await self.namespace()

    # what it brings

    async def versioned(self, served: ServedKind) -> Versioned:
        """The objects in a version of the resource. Raises ApiError."""
        found = self._versions.get(served)
        if found is None:
            found = self._versions[served] = await versioned(self.attributes, served)
        return found

    def forget_objects(self) -> None:
        """The object has changed: what is asked for next is made of the new one."""
        self._versions.clear()

    def request(self, match: Match) -> Object:
        """The variable `request`."""
        found = self._requests.get(match)
        if found is None:
            found = self._requests[match] = admission_request(self.attributes, match)
        return found

    def values(self, match: Match, seen: Versioned, params: Object | None, namespace: Object | None) -> Object:
        """The variables of an expression that has no authorizer."""
        return {
            "object": seen.obj,
            "oldObject": seen.old_obj,
            "params": params,
            "request": self.request(match),
            "namespaceObject": namespace,
        }

    @property
    def authorizer(self) -> Mapping[str, Any]:
        """The variables `authorizer` and `authorizer.requestResource`."""
        if not self._authorizer:
            authorizer = Authorizer(self._memo)
            attributes, info = self.attributes, self.attributes.requested.info
            resource = ResourceCheck(
                authorizer,
                group=info.group,
                resource=info.resource,
                subresource=attributes.subresource,
                namespace=attributes.namespace,
                name=attributes.name,
            )
            self._authorizer = {"authorizer": authorizer, "authorizer.requestResource": resource}
        return self._authorizer

    async def _decide(self, question: Question) -> Answer:
        attributes = access_attributes(question, self.attributes.user)
        try:
            decision, reason = await self._initializer.authorizer.authorize(attributes)
        except EvaluationError as error:
            return Answer(error.decision is Decision.ALLOW, error.reason_given, error.fault)
        return Answer(decision is Decision.ALLOW, reason)


def access_attributes(question: Question, user: UserInfo) -> AccessAttributes:
    """What the authorizer is asked for a check of an expression, by the request's user or a service account."""
    if question.service_account is not None:
        user = _service_account(*question.service_account)
    if question.path:
        return AccessAttributes(user, question.verb, resource_request=False, path=question.path)
    return AccessAttributes(
        user,
        question.verb,
        namespace=question.namespace,
        api_group=question.group,
        api_version="*",
        resource=question.resource,
        subresource=question.subresource,
        name=question.name,
        fields=parse_field_selector(question.field_selector) if question.field_selector else (),
        label_selector=question.label_selector,
    )


def _service_account(namespace: str, name: str) -> UserInfo:
    groups = (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}")
    return UserInfo(f"system:serviceaccount:{namespace}:{name}", groups=groups)


def shown_namespace(namespace: Object | None) -> Object | None:
    """The variable `namespaceObject`: without what expressions are not to see."""
    if namespace is None:
        return None
    metadata = namespace["metadata"]
    shown = {"metadata": {name: metadata[name] for name in NAMESPACE_FIELDS if name in metadata}}
    return {**shown, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}


def gvk_of(attributes: Attributes) -> Gvk:
    """The kind of what the request brought."""
    return body_gvk(attributes.requested.info, attributes.subresource)


def admission_request(attributes: Attributes, match: Match) -> Object:
    """The AdmissionRequest that expressions see, without the objects."""
    info, subresource = attributes.requested.info, attributes.subresource
    request: Object = {
        "uid": "",
        "kind": _gvk(match.gvk),
        "resource": _gvr(match.served.info),
        "requestKind": _gvk(gvk_of(attributes)),
        "requestResource": _gvr(info),
        "operation": attributes.operation,
        "userInfo": user_info(attributes.user),
        "object": None,
        "oldObject": None,
        "dryRun": attributes.dry_run,
        "options": attributes.options or None,
    }
    if subresource:
        request["subResource"] = request["requestSubResource"] = subresource
    if attributes.name:
        request["name"] = attributes.name
    if attributes.namespace:
        request["namespace"] = attributes.namespace
    return request


def _gvk(gvk: Gvk) -> Object:
    group, version, name = gvk
    return {"group": group, "version": version, "kind": name}


def _gvr(info: ResourceInfo) -> Object:
    return {"group": info.group, "version": info.version, "resource": info.resource}


def user_info(user: UserInfo) -> Object:
    """authentication.k8s.io/v1 UserInfo, as JSON has it."""
    found: Object = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": user.extra}
    return {name: value for name, value in found.items() if value}
