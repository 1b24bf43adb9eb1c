"""What is answered to bytes that are no request: a status and a line of text, after which the connection closes."""

from __future__ import annotations

from apiserver_workers.server.http.audit_id import new_audit_id
from apiserver_workers.server.http.messages import Request, text_response
from apiserver_workers.server.http.wire import response_head

TIMEOUT = (408, "408 Request Timeout")
HEAD_TOO_LARGE = (431, "431 Request Header Fields Too Large")
BARE_LINE_FEED = (400, "400 Bad Request: bare line feed")


def refusal(status: int, text: str) -> bytes:
    """The answer's bytes."""
    request = Request("", "", "", {}, audit_id=new_audit_id())
    response = text_response(text, status)
    assert isinstance(response.body, bytes)
    return response_head(request, response, length=len(response.body), chunked=False, close=True) + response.body
