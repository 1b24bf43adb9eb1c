"""A kubelet's refusal to show a log, as a Status (GenericHttpResponseChecker and NewGenericServerResponse)."""

from __future__ import annotations

from apiserver_workers.apimachinery.errors import ApiError, bad_request, internal_error

RESOURCE = "pods/log"
# code -> (reason, message; "" for what the kubelet said itself)
GENERIC = {
    401: ("Unauthorized", "the server has asked for the client to provide credentials"),
    403: ("Forbidden", ""),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    406: ("NotAcceptable", ""),
    409: ("Conflict", "the server reported a conflict"),
    415: ("UnsupportedMediaType", ""),
    422: ("Invalid", "the server rejected our request due to an error in our request"),
    429: ("TooManyRequests", "the server has received too many requests and has asked us to try again later"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "the server was unable to return a response in the time allotted, but may still be processing the request"),
}  # fmt: skip


def refusal(code: int, text: str, pod: str) -> ApiError:
    """The error for what a kubelet answered instead of the log of a container of `pod`."""
    if code == 500:
        return internal_error(text)
    if code == 400:
        return bad_request(text)
    reason, message = GENERIC.get(code, ("InternalError" if code > 500 else "Unknown", _other(code, text)))
    message = f"{message or text or 'unknown'} ( {RESOURCE} {pod})"
    return ApiError(code, reason, message, {"name": pod, "kind": RESOURCE})


def _other(code: int, text: str) -> str:
    if code > 500:
        return f'an error on the server ("{text or "unknown"}") has prevented the request from succeeding'
    return f"the server responded with the status code {code} but did not return more information"
