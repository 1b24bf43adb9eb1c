"""Status errors: every failure a client can see, with the HTTP status to answer with.

Raise an `ApiError` anywhere; the server writes its `status` object as the body. The constructors below mirror
k8s.io/apimachinery/pkg/api/errors, message for message.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class FieldError:
    """One cause of an Invalid error: what is wrong with one field (k8s.io/apimachinery/pkg/util/validation/field).

    `reason` is the cause's reason (FieldValueInvalid, FieldValueRequired, ...), `body` the message without the path.
    """

    reason: str
    field: str
    body: str

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


class ApiError(Exception):
    """An error with the metav1.Status that describes it.

    `code` is the HTTP status, `headers` are extra response headers (such as Retry-After).
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: dict[str, Any] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers

    @property
    def status(self) -> dict[str, Any]:
        """The metav1.Status object."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


def qualified(resource: str, group: str) -> str:
    """`deployments.apps`, or `pods` for the core group: how messages name a resource or kind."""
    return f"{resource}.{group}" if group else resource


def _details(name: str, group: str, kind: str, **more: Any) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in {**details, **more}.items() if value}


def not_found(resource: str, group: str, name: str) -> ApiError:
    message = f'{qualified(resource, group)} "{name}" not found'
    return ApiError(404, "NotFound", message, _details(name, group, resource))


def already_exists(resource: str, group: str, name: str) -> ApiError:
    message = f'{qualified(resource, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, _details(name, group, resource))


def conflict(resource: str, group: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, _details(name, group, resource))


def forbidden(resource: str, group: str, name: str, why: str) -> ApiError:
    if not resource:
        message = f"forbidden: {why}"
    elif not name:
        message = f"{qualified(resource, group)} is forbidden: {why}"
    else:
        message = f'{qualified(resource, group)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, _details(name, group, resource))


def invalid(kind: str, group: str, name: str, causes: Iterable[FieldError]) -> ApiError:
    """422 with one cause per field error, in the order given; repeated messages are shown once, as upstream does."""
    errors = list(causes)
    texts = list(dict.fromkeys(str(error) for error in errors))
    joined = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    message = f'{qualified(kind, group)} "{name}" is invalid: {joined}'
    listed = [{"reason": e.reason, "message": e.body, "field": e.field} for e in errors]
    return ApiError(422, "Invalid", message, _details(name, group, kind, causes=listed))


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized(message: str = "Unauthorized") -> ApiError:
    return ApiError(401, "Unauthorized", message)


def not_acceptable(accepted: Iterable[str]) -> ApiError:
    message = "only the following media types are accepted: " + ", ".join(accepted)
    return ApiError(406, "NotAcceptable", message)


def unsupported_media_type(accepted: Iterable[str]) -> ApiError:
    message = "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    return ApiError(415, "UnsupportedMediaType", message)


def method_not_supported(resource: str, group: str, verb: str) -> ApiError:
    message = f'{verb} is not supported on resources of kind "{qualified(resource, group)}"'
    return ApiError(405, "MethodNotAllowed", message, _details("", group, resource))


def request_entity_too_large(message: str) -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", message)


def resource_expired(message: str) -> ApiError:
    """410: the requested resourceVersion or continue token is no longer served."""
    return ApiError(410, "Expired", message)


def internal_error(why: str) -> ApiError:
    message = f"Internal error occurred: {why}"
    return ApiError(500, "InternalError", message, {"causes": [{"message": why}]})


def too_many_requests(message: str, retry_after: int) -> ApiError:
    details = {"retryAfterSeconds": retry_after}
    return ApiError(429, "TooManyRequests", message, details, [("Retry-After", str(retry_after))])


def service_unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def server_timeout(resource: str, group: str, verb: str, retry_after: int) -> ApiError:
    message = f"The {verb} operation against {qualified(resource, group)} could not be completed at this time, please try again."
    details = _details("", group, resource, retryAfterSeconds=retry_after)
    return ApiError(500, "ServerTimeout", message, details, [("Retry-After", str(retry_after))])


def timeout(message: str, retry_after: int) -> ApiError:
    details = {"retryAfterSeconds": retry_after} if retry_after else None
    headers = [("Retry-After", str(retry_after))] if retry_after else []
    return ApiError(504, "Timeout", f"Timeout: {message}", details, headers)
