"""Request and Response: what every handler of the three servers takes and returns.

A handler is `async def handle(request: Request) -> Response`. It raises ApiError for anything that is to be answered
with a Status object. The HTTP/1.1 protocol (protocol.py) makes Requests from bytes and writes Responses as bytes; no
handler knows about sockets, so the same handlers would serve HTTP/2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workers.apimachinery.user import UserInfo

if TYPE_CHECKING:
    from workers.server.request_info import RequestInfo

JSON = "application/json"


@dataclass(slots=True)
class Request:
    """One HTTP request with its whole body.

    `path` is percent-decoded, `raw_query` is not; `headers` has lower-case names, repeated headers joined with ", ".
    `info`, `user` and the rest are set by filters in the order of the chain.
    """

    method: str
    path: str
    raw_query: str
    headers: dict[str, str]
    body: bytes = b""
    client: str = ""
    peer_certificate: bytes | None = None
    info: RequestInfo | None = None
    user: UserInfo | None = None
    warnings: list[str] = field(default_factory=list)
    audit_id: str = ""
    # for Upgrade (exec, attach, portforward, proxy): hijack() hands over the client's raw transport
    hijack: Callable[[], Awaitable[Any]] | None = None
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Response:
    """An answer: `body` is bytes, a list of bytes (written without joining), or an async iterator of chunks.

    A stream's iterator is closed (aclose) when the client goes away. `content_length` is derived unless streaming.
    """

    status: int = 200
    body: bytes | Sequence[bytes] | AsyncIterator[bytes] = b""
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = ()


Handler = Callable[[Request], Awaitable[Response]]
