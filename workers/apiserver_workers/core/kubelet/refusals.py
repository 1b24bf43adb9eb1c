"""A kubelet's refusal to show a log, as a Status (GenericHttpResponseChecker and NewGenericServerResponse)."""

from __future__ import annotations

from apiserver_workers.apimachinery.errors import ApiError, bad_request, internal_error
from apiserver_workers.server.client.answers import reason_and_message

RESOURCE = "pods/log"


def refusal(code: int, text: str, pod: str) -> ApiError:
    """The error for what a kubelet answered instead of the log of a container of `pod`."""
    if code == 500:
        return internal_error(text)
    if code == 400:
        return bad_request(text)
    reason, message = reason_and_message(code, text)
    message = f"{message} ( {RESOURCE} {pod})"
    return ApiError(code, reason, message, {"name": pod, "kind": RESOURCE})
