"""A client's request passed on to a location, as upstream's UpgradeAwareHandler does, and the answer on its way back."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Callable

from apiserver_workers.apimachinery.errors import ApiError, bad_request, service_unavailable
from apiserver_workers.server.delegation.tunnel import tunnel
from apiserver_workers.server.filters.cache_control import set_cache_control
from apiserver_workers.server.http.http1 import end_to_end_lines
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.http.upload import Upload
from apiserver_workers.server.http.wire import response_head
from apiserver_workers.server.internal_headers import PREFIX
from apiserver_workers.server.proxy.connection import Answer, BackendConnection, BackendError, connect
from apiserver_workers.server.proxy.links import WINDOWS, Rewrite, below, escaped, joined, rewritten
from apiserver_workers.server.proxy.location import Location, dial_error
from apiserver_workers.server.proxy.pace import paced

# Bodies up to this size are answered in one piece, with their length.
WHOLE_BELOW = 1 << 16
FORWARDED_URI = "X-Forwarded-Uri"
FORWARDED_FOR = "X-Forwarded-For"
HTML = "text/html"

NOT_SENT = frozenset({"authorization", "audit-id", FORWARDED_URI.lower(), FORWARDED_FOR.lower()})
NOT_SENT_PREFIXES = (PREFIX, "x-remote-", "impersonate-")
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
    location: Location, message: bytes, *, method: str, failure: Failure, upload: Upload | None = None
) -> tuple[Answer, BackendConnection]:
    """The location's answer to a request, and the connection it comes over. Raises what `failure` makes."""
    try:
        connection = await connect(location)
    except (OSError, UnicodeError) as error:
        raise failure(dial_error(location, error)) from error
    try:
        return await connection.ask(message, method=method, upload=upload), connection
    except BackendError as error:
        raise failure(str(error)) from error


async def upgrade(request: Request, location: Location, *, rate: int = 0) -> Response:
    """Splice the client's connection and one to the location, once the backend switches protocols.

    `rate` is the most bytes a second, each way; 0 is no limit. Raises ApiError: 400 if the request asks for no upgrade, 500
    if the backend cannot be reached or does not upgrade.
    """
    if request.hijack is None:
        raise bad_request("Upgrade request required")
    answer, connection = await fetch(
        location, request_message(request, location), method=request.method, failure=dialing_failed
    )
    if answer.status == 101:
        return tunnel(request, Response(101, wire=answer.head), connection, rate)
    if answer.status < 400:
        connection.close()
        raise ApiError(500, "", f"invalid upgrade response: status code {answer.status}")
    return await relayed(answer, answer.headers, answer.body)


async def proxy(request: Request, location: Location, *, prefix: str, rate: int = 0) -> Response:
    """The location's answer. `prefix` is the path that the location's root has on this server. Raises ApiError."""
    if request.hijack is not None:
        return await upgrade(request, location, rate=rate)
    prefix = escaped(prefix)
    if not location.path and request.method in ("GET", "HEAD"):
        query = f"?{request.raw_query}" if request.raw_query else ""
        return Response(301, content_type="", headers=[("Location", f"{prefix}/{query}")])
    message = request_message(request, location, (FORWARDED_URI, joined(prefix, escaped(location.path))))
    if request.upload is not None:
        request.upload.rate = rate
    answer, _ = await fetch(location, message, method=request.method, failure=unreachable, upload=request.upload)
    rewrite = below(prefix, (location.authority, request.headers.get("host", "")))
    headers = [(name, value) for name, value in answer.headers if name.lower() not in _CORS]
    if answer.header("location"):
        headers = [(name, rewrite(value) if name.lower() == "location" else value) for name, value in headers]
        return await relayed(answer, headers, through(answer.body, rate))
    if request.method == "HEAD":
        return headers_of(request, answer, headers)
    return await relayed(answer, headers, through(page(answer, rewrite), rate))


def end_to_end(answer: Answer, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the headers that are for the client."""
    dropped = _HOP_BY_HOP | answer.named_by_connection()
    return [(name, value) for name, value in headers if name.lower() not in dropped]


def headers_of(request: Request, answer: Answer, headers: list[tuple[str, str]]) -> Response:
    """The answer to HEAD: it tells the length of a body that does not come."""
    answer.body.close()
    kept = end_to_end(answer, headers)
    told = answer.header("content-length")
    response = Response(answer.status, b"", answer.header("content-type"), kept)
    set_cache_control(request, response)
    length = int(told) if told else None
    return Response(answer.status, wire=response_head(request, response, length=length, chunked=False, close=False))


def page(answer: Answer, rewrite: Rewrite) -> AsyncIterator[bytes]:
    """The answer's body, with its links rewritten if it is HTML in an encoding that is understood."""
    kind = answer.header("content-type").partition(";")[0].strip()
    encoding = answer.header("content-encoding")
    if kind != HTML or (encoding and encoding not in WINDOWS):
        return answer.body
    return rewritten(answer.body, encoding, rewrite)


def through(body: AsyncIterator[bytes], rate: int) -> AsyncIterator[bytes]:
    """The body, no faster than the rate allows."""
    return paced(body, rate) if rate else body


async def relayed(answer: Answer, headers: list[tuple[str, str]], body: AsyncIterator[bytes]) -> Response:
    """The backend's answer as ours, with this body and these headers as far as they are for the client."""
    kept = end_to_end(answer, headers)
    kind = answer.header("content-type")
    if answer.length is not None and answer.length <= WHOLE_BELOW:
        try:
            return Response(answer.status, b"".join([piece async for piece in body]), kind, kept)
        except (BackendError, zlib.error) as error:
            raise unreachable(str(error)) from error
    return Response(answer.status, body, kind, kept)


def request_message(request: Request, location: Location, *headers: tuple[str, str]) -> bytes:
    """The client's request as the backend gets it: no credentials, nothing that belongs to the client's connection.

    A body that comes later, as an upload, has its framing in it."""
    assert request.head is not None
    block, body = request.head.block, request.body
    lines = [f"{name}: {value}" for name, value in headers]
    lines += forwarded_for(request)
    if request.hijack is not None:
        lines += ["Connection: Upgrade", f"Upgrade: {block.upgrade}"]
    framing = request.upload.framing if request.upload is not None else b""
    if not framing and (body or request.method in ("POST", "PUT", "PATCH")):
        framing = b"\r\nContent-Length: %d" % len(body)
    own = "".join(f"\r\n{line}" for line in lines).encode("latin-1", "replace")
    sent = end_to_end_lines(block, without=NOT_SENT, prefixes=NOT_SENT_PREFIXES)
    first = f"{request.method} {location.target} HTTP/1.1".encode("latin-1")
    return b"%b%b%b%b\r\n\r\n%b" % (first, sent, own, framing, body)


def forwarded_for(request: Request) -> list[str]:
    """The header line that tells whom the request came from, and through whom."""
    addresses = filter(None, (*request.values(FORWARDED_FOR.lower()), request.client))
    return [f"{FORWARDED_FOR}: {text}"] if (text := ", ".join(addresses)) else []
