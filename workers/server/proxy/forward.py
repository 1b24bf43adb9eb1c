"""A client's request passed on to a location, as upstream's UpgradeAwareHandler does, and the answer on its way back."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from urllib.parse import quote, urlsplit, urlunsplit

from workers.apimachinery.errors import ApiError, bad_request, service_unavailable
from workers.server.http import Request, Response
from workers.server.http1 import end_to_end_lines
from workers.server.identity import PREFIX
from workers.server.proxy.connection import Answer, BackendConnection, BackendError, connect
from workers.server.proxy.location import PATH_SAFE, Location, dial_error
from workers.server.tunnel import tunnel

# Bodies up to this size are answered in one piece, with their length.
WHOLE_BELOW = 1 << 16
FORWARDED_URI = "X-Forwarded-Uri"

_NOT_SENT = frozenset({"authorization", "audit-id", FORWARDED_URI.lower()})
_NOT_SENT_PREFIXES = (PREFIX, "x-remote-", "impersonate-")
_HOP_BY_HOP = frozenset(
    [
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade", "content-length", "content-type", "date", "audit-id"),
    ]
)
# A backend does not decide who may read this server's answers from another origin.
_CORS = frozenset(
    f"access-control-{name}"
    for name in ("allow-origin", "allow-credentials", "allow-methods", "allow-headers", "expose-headers", "max-age")
)

# Makes the error to answer with from what went wrong.
Failure = Callable[[str], ApiError]


def unreachable(why: str) -> ApiError:
    """What a proxied request answers whose backend cannot be reached."""
    return service_unavailable(f"error trying to reach service: {why}")


def dialing_failed(why: str) -> ApiError:
    """What an upgrade answers whose backend cannot be reached."""
    return ApiError(500, "", f"error dialing backend: {why}")


async def fetch(
    location: Location, message: bytes, *, method: str, failure: Failure
) -> tuple[Answer, BackendConnection]:
    """The location's answer to a request, and the connection it comes over. Raises what `failure` makes."""
    try:
        connection = await connect(location)
    except (OSError, UnicodeError) as error:
        raise failure(dial_error(location, error)) from error
    try:
        return await connection.ask(message, method=method), connection
    except BackendError as error:
        raise failure(str(error)) from error


async def upgrade(request: Request, location: Location) -> Response:
    """Splice the client's connection and one to the location, once the backend switches protocols.

    Raises ApiError: 400 if the request asks for no upgrade, 500 if the backend cannot be reached or does not upgrade.
    """
    if request.hijack is None:
        raise bad_request("Upgrade request required")
    answer, connection = await fetch(
        location, request_message(request, location), method=request.method, failure=dialing_failed
    )
    if answer.status == 101:
        return tunnel(request, Response(101, wire=answer.head), connection)
    if answer.status < 400:
        connection.close()
        raise ApiError(500, "", f"invalid upgrade response: status code {answer.status}")
    return await relayed(answer, answer.headers)


async def proxy(request: Request, location: Location, *, prefix: str) -> Response:
    """The location's answer. `prefix` is the path that the location's root has on this server. Raises ApiError."""
    if request.hijack is not None:
        return await upgrade(request, location)
    if not location.path and request.method in ("GET", "HEAD"):
        query = f"?{request.raw_query}" if request.raw_query else ""
        return Response(301, content_type="", headers=[("Location", f"{quote(prefix, safe=PATH_SAFE)}/{query}")])
    forwarded = (FORWARDED_URI, joined(prefix, location.path))
    message = request_message(request, location, forwarded)
    answer, _ = await fetch(location, message, method=request.method, failure=unreachable)
    host = request.headers.get("host", "")
    headers = [
        (name, rewritten(value, prefix, (location.authority, host)) if name.lower() == "location" else value)
        for name, value in answer.headers
        if name.lower() not in _CORS
    ]
    return await relayed(answer, headers)


async def relayed(answer: Answer, headers: list[tuple[str, str]]) -> Response:
    """The backend's answer as ours, with these headers as far as they are for the client."""
    kept = [(name, value) for name, value in headers if name.lower() not in _HOP_BY_HOP]
    kind = answer.header("content-type")
    if answer.length is not None and answer.length <= WHOLE_BELOW:
        try:
            body = await answer.body.read()
        except BackendError as error:
            raise unreachable(str(error)) from error
        return Response(answer.status, body, kind, kept)
    return Response(answer.status, answer.body, kind, kept)


def request_message(request: Request, location: Location, *headers: tuple[str, str]) -> bytes:
    """The client's request as the backend gets it: no credentials, nothing that belongs to the client's connection."""
    assert request.head is not None
    block, body = request.head.block, request.body
    lines = [f"{name}: {value}" for name, value in headers]
    if request.hijack is not None:
        lines += ["Connection: Upgrade", f"Upgrade: {block.upgrade}"]
    if body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    own = "".join(f"\r\n{line}" for line in lines).encode("latin-1", "replace")
    sent = end_to_end_lines(block, without=_NOT_SENT, prefixes=_NOT_SENT_PREFIXES)
    first = f"{request.method} {location.target} HTTP/1.1".encode("latin-1")
    return b"%b%b%b\r\n\r\n%b" % (first, sent, own, body)


def joined(prefix: str, path: str) -> str:
    """`path` below `prefix`, as the client sees it; a last slash stays."""
    tail = "/" if path.endswith("/") else ""
    return quote(posixpath.normpath(f"{prefix}/{path}"), safe=PATH_SAFE) + tail


def rewritten(url: str, prefix: str, hosts: tuple[str, ...]) -> str:
    """A redirect's URL as the client reaches it: what is on the backend itself lies below the prefix."""
    parts = urlsplit(url)
    if (parts.netloc and parts.netloc not in hosts) or not parts.path.startswith("/"):
        return url
    path = parts.path if parts.path.startswith(prefix) else joined(prefix, parts.path)
    return urlunsplit(("", "", path, parts.query, parts.fragment))
