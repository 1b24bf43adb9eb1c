"""What an authorizer decides about, and how a refusal reads (k8s.io/apiserver/pkg/authorization/authorizer)."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from apiserver_workers.apimachinery.errors import ApiError, forbidden
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.registry.attributes import Question

if TYPE_CHECKING:
    from apiserver_workers.server.http.messages import Request

MASTERS = "system:masters"


class Decision(enum.Enum):
    """An authorizer's answer. NO_OPINION lets the next authorizer decide; at the end of the union it refuses."""

    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"


@dataclass(slots=True, frozen=True)
class FieldRequirement:
    """One `field=value` (or `!=`) of a request's field selector."""

    field: str
    operator: str
    value: str


@dataclass(slots=True)
class Attributes:
    """One question: may this user do this? Resource requests leave `path` empty, the others everything but it."""

    user: UserInfo
    verb: str
    resource_request: bool = True
    namespace: str = ""
    api_group: str = ""
    api_version: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    path: str = ""
    fields: tuple[FieldRequirement, ...] = ()
    label_selector: str = ""

    @property
    def combined_resource(self) -> str:
        """`deployments/scale`, or the resource alone."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class EvaluationError(ApiError):
    """An authorizer could not find out what it should. `decision` and `reason` are what it decides nevertheless."""

    def __init__(self, decision: Decision, reason: str, message: str) -> None:
        super().__init__(
            500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]}
        )
        self.decision = decision
        self.reason_given = reason
        self.fault = message


class Authorizer(Protocol):
    """Decides, with a reason that a refused user may read."""

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        """Raises EvaluationError where something kept it from deciding properly."""
        ...


async def allowed(authorizer: Authorizer, attributes: Attributes) -> tuple[bool, str]:
    """Whether the authorizer allows it, and why (not). One that cannot find out does not."""
    try:
        decision, reason = await authorizer.authorize(attributes)
    except EvaluationError as error:
        return False, error.reason_given
    return decision is Decision.ALLOW, reason


def of_request(request: Request) -> Attributes:
    """The attributes of a request that has its RequestInfo and its user."""
    info, user = request.info, request.user
    if info is None or user is None:
        raise ApiError(500, "InternalError", "Internal error occurred: no user or request info on the request")
    if not info.is_resource_request:
        return Attributes(user, info.verb, resource_request=False, path=info.path)
    return Attributes(
        user,
        info.verb,
        namespace=info.namespace,
        api_group=info.api_group,
        api_version=info.api_version,
        resource=info.resource,
        subresource=info.subresource,
        name=info.name,
        path=info.path,
        fields=parse_field_selector(info.field_selector) if info.field_selector else (),
        label_selector=info.label_selector,
    )


def parse_field_selector(selector: str) -> tuple[FieldRequirement, ...]:
    """The requirements of a field selector, none if it does not parse: authorizing without them is only stricter."""
    found = []
    for term in selector.split(","):
        for separator, operator in (("!=", "!="), ("==", "="), ("=", "=")):
            field, matched, value = term.partition(separator)
            if matched:
                found.append(FieldRequirement(field, operator, value))
                break
        else:
            return ()
    return tuple(found)


def quote(text: str) -> str:
    """Go's %q for the texts that occur in messages."""
    return json.dumps(text, ensure_ascii=False)


def quote_list(texts: tuple[str, ...] | list[str]) -> str:
    """Go's %q of a []string: `["a" "b"]`."""
    return "[" + " ".join(quote(text) for text in texts) + "]"


def forbidden_message(attributes: Attributes) -> str:
    """`User "x" cannot list resource "pods" in API group "" in the namespace "y"`."""
    who = f"User {quote(attributes.user.name)} cannot {attributes.verb}"
    if not attributes.resource_request:
        return f"{who} path {quote(attributes.path)}"
    what = f"{who} resource {quote(attributes.combined_resource)} in API group {quote(attributes.api_group)}"
    if attributes.namespace:
        return f"{what} in the namespace {quote(attributes.namespace)}"
    return f"{what} at the cluster scope"


def forbidden_error(attributes: Attributes, reason: str) -> ApiError:
    """The 403 that answers a refused request."""
    message = forbidden_message(attributes)
    if reason:
        message = f"{message}: {reason}"
    resource = attributes.resource if attributes.resource_request else ""
    error = forbidden(resource, attributes.api_group, attributes.name, message)
    if not resource:
        error.details = {}
    return error


class Rights:
    """Answers what strategies ask about rights (registry.attributes.Permits)."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def __call__(self, question: Question) -> str:
        attributes = Attributes(
            question.user,
            question.verb,
            namespace=question.namespace,
            api_group=question.group,
            api_version=question.version,
            resource=question.resource,
            subresource=question.subresource,
            name=question.name,
        )
        permitted, reason = await allowed(self._authorizer, attributes)
        return "" if permitted else forbidden_error(attributes, reason).message
