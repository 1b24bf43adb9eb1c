"""Request and Response: what every handler of the three servers takes and returns.

A handler is `async def handle(request: Request) -> Response`. It raises ApiError for anything that is to be answered
with a Status object. The HTTP/1.1 protocol (protocol.py) makes Requests from bytes and writes Responses as bytes; no
handler knows about sockets, so the same handlers would serve HTTP/2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from apiserver_workers.apimachinery.user import UserInfo

if TYPE_CHECKING:
    from apiserver_workers.apimachinery.errors import ApiError
    from apiserver_workers.server.http.http1 import RequestHead
    from apiserver_workers.server.http.request_info import RequestInfo
    from apiserver_workers.server.http.upload import Upload

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(slots=True)
class Request:
    """One HTTP request with its whole body, or with an `upload` for a body that is passed on while it comes.

    `path` is percent-decoded, `raw_query` is not; `headers` has lower-case names and of a header
    that came several times the first value; `values` has all of them. `info`, `user` and the rest are set by filters in the order of the chain.
    """

    method: str
    path: str
    raw_query: str
    headers: dict[str, str]
    body: bytes = b""
    repeated: dict[str, list[str]] = field(default_factory=dict)  # shared by requests alike
    client: str = ""
    peer_certificates: tuple[bytes, ...] = ()  # the client's own, then what it sent to lead to an authority
    info: RequestInfo | None = None
    user: UserInfo | None = None
    warnings: list[str] = field(default_factory=list)
    audit_annotations: dict[str, Any] = field(default_factory=dict)  # registry.attributes.Annotation by key
    audit_id: str = ""
    # for Upgrade (exec, attach, portforward, proxy): hands over the client's transport and the bytes read too far
    hijack: Callable[[], tuple[Any, bytes]] | None = None
    context: dict[str, Any] = field(default_factory=dict)
    head: RequestHead | None = None  # the bytes it was made from, for delegation
    upload: Upload | None = None

    def values(self, name: str) -> list[str]:
        """The values of all lines of that lower-case name; none if the header was taken off."""
        if name not in self.headers:
            return []
        return self.repeated.get(name) or [self.headers[name]]

    def replace_header(self, name: str, value: str) -> None:
        """Let the header have come once, with this value."""
        self.headers[name] = value
        self.repeated = {other: values for other, values in self.repeated.items() if other != name}


class Sink(Protocol):
    """Where a Pipe's bytes go: one client's connection."""

    def write(self, data: bytes) -> None: ...

    def finish(self, *, complete: bool) -> None:
        """The pipe is at its end. An incomplete answer closes the connection without ending the message."""


class Pipe(Protocol):
    """A body of bytes on their way from another process: they carry their own framing and are not touched."""

    def start(self, sink: Sink) -> None: ...

    def pause(self) -> None:
        """The client reads slowly: deliver nothing until `resume`."""

    def resume(self) -> None: ...

    def end(self) -> None:
        """End the message early but cleanly, where that is possible: this server stops."""

    def close(self) -> None:
        """The client has gone."""


@dataclass(slots=True)
class Response:
    """An answer: `body` is bytes, a list of bytes (written without joining), or an async iterator of chunks.

    A stream's iterator is closed (aclose) when the client goes away. `content_length` is derived unless streaming.
    An answer relayed from another process has its head in `wire` (written instead of a head made from the other fields)
    and may have a Pipe as its body; `headers` are then added to those it has.
    """

    status: int = 200
    body: bytes | Sequence[bytes] | AsyncIterator[bytes] | Pipe = b""
    content_type: str = JSON
    headers: Sequence[tuple[str, str]] = ()
    wire: bytes = b""


Handler = Callable[[Request], Awaitable[Response]]


def text_response(text: str, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """A plain-text answer. Errors carry nosniff, as Go's http.Error writes it."""
    if status >= 400:
        headers = [*headers, ("X-Content-Type-Options", "nosniff")]
    return Response(status, text.encode(), TEXT, headers)


def status_response(error: ApiError) -> Response:
    """The metav1.Status of `error` as an answer."""
    return Response(error.code, orjson.dumps(error.status) + b"\n", JSON, error.headers)


def page_not_found() -> Response:
    """What the end of the delegation chain answers."""
    return text_response("404 page not found\n", 404)
