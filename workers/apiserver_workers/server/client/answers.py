"""What an HTTP status that is no success means to a client (errors.NewGenericServerResponse and rest.Request's use of it)."""

from __future__ import annotations

import orjson

from apiserver_workers.server.client.http import Reply

MAX_TEXT = 2048
# code -> (reason, message; "" for what the server said itself)
GENERIC = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
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
NOT_ACCEPTABLE = "the server was unable to respond with a content type that the client supports"


def reason_and_message(code: int, text: str) -> tuple[str, str]:
    """The reason and the message of a Status for a code; `text` is what the server said, "" if nothing readable."""
    if code in GENERIC:
        reason, message = GENERIC[code]
        return reason, message or text or (NOT_ACCEPTABLE if code == 406 else "unknown")
    if code >= 500:
        return (
            "InternalError",
            f'an error on the server ("{text or "unknown"}") has prevented the request from succeeding',
        )
    return "Unknown", f"the server responded with the status code {code} but did not return more information"


def failure(reply: Reply) -> str:
    """The message for an answer that is no success: that of the Status in its body, else what its code means."""
    status = _status(reply.body)
    if status is not None:
        return str(status.get("message") or "")
    kind = reply.headers.get("content-type", "")
    text = reply.body[:MAX_TEXT].decode("utf-8", "replace").strip() if not kind or kind.startswith("text/") else ""
    return reason_and_message(reply.status, text)[1]


def _status(body: bytes) -> dict[str, object] | None:
    """The Status that a body holds and that is no success."""
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(status, dict) or (status.get("kind"), status.get("apiVersion")) != ("Status", "v1"):
        return None
    return status if status.get("status") != "Success" else None
