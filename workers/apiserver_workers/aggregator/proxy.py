"""Requests for a group version that another server answers, passed on to it (kube-aggregator's handler_proxy.go).

The request was authenticated and authorized here; the server is told who asks by headers that only we can send, because
the connection is made with the proxy client certificate. Its answer is streamed back as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import quote, quote_plus, urlsplit

from apiserver_workers.aggregator.connections import Connections, KeptBody, Unreachable
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.tokens import PROTOCOLS
from apiserver_workers.server.aggregation.api_service import APIService
from apiserver_workers.server.aggregation.asking import Backends
from apiserver_workers.server.aggregation.identity import Unsendable, identity_lines
from apiserver_workers.server.aggregation.tls import TransportError
from apiserver_workers.server.client.services import Unresolvable
from apiserver_workers.server.delegation.tunnel import tunnel
from apiserver_workers.server.http.http1 import end_to_end_lines
from apiserver_workers.server.http.messages import TEXT, Request, Response, text_response
from apiserver_workers.server.http.query import parse_query
from apiserver_workers.server.proxy.connection import Answer, BackendError
from apiserver_workers.server.proxy.forward import (
    NOT_SENT,
    NOT_SENT_PREFIXES,
    end_to_end,
    forwarded_for,
    headers_of,
    page,
)
from apiserver_workers.server.proxy.links import Rewrite
from apiserver_workers.server.proxy.location import PATH_SAFE, Location

DISCOVERY_TIMEOUT = 5.0
DISCOVERY_PARTS = 3  # /apis/GROUP/VERSION
WHOLE_BELOW = 1 << 16  # bodies up to this size are answered in one piece, with their length, if they come at once
AT_ONCE = 0.2
REDIRECTED = "the backend attempted to redirect this request, which is not permitted"
FORWARDED = frozenset({"x-forwarded-host", "x-forwarded-proto"})
WITHOUT = NOT_SENT | FORWARDED | {"host", PROTOCOLS}
CORS = frozenset(
    f"access-control-{name}" for name in ("allow-credentials", "allow-headers", "allow-methods", "allow-origin")
)


class Refused(Exception):
    """The request is answered here, in plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.response = text_response(f"{text}\n", status)


class AggregatedServers:
    """Passes requests on to the servers behind APIServices."""

    def __init__(self, backends: Backends, *, reject_redirects: bool) -> None:
        self._backends = backends
        self._reject_redirects = reject_redirects
        self._connections = Connections()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._connections.close()

    async def handle(self, request: Request, service: APIService) -> Response:
        """The server's answer, or why there is none."""
        try:
            return await self._handle(request, service)
        except Refused as refused:
            return refused.response

    async def _handle(self, request: Request, service: APIService) -> Response:
        if not service.available:
            raise Refused(503, "service unavailable")
        if request.user is None:
            raise Refused(500, "missing user")
        location = await self._locate(request, service)
        if request.hijack is not None:
            return await self._upgrade(request, location, request.user)
        seconds = DISCOVERY_TIMEOUT if is_discovery(request) else None
        try:
            async with asyncio.timeout(seconds) as within:
                return await self._proxy(request, location, request.user)
        except TimeoutError:
            if not within.expired():
                raise
            raise unreachable("context deadline exceeded") from None

    async def _locate(self, request: Request, service: APIService) -> Location:
        try:
            location = await self._backends.locate(service)
        except TransportError as error:
            raise Refused(500, str(error)) from None
        except Unresolvable:
            raise Refused(503, "service unavailable") from None
        return Location(
            location.scheme,
            location.host,
            location.port,
            tls=location.tls,
            server_name=location.server_name,
            raw_target=target_of(request),
        )

    async def _proxy(self, request: Request, location: Location, user: UserInfo) -> Response:
        message = proxied_message(request, location, user)
        try:
            answer, connection = await self._connections.ask(
                location, message, method=request.method, upload=request.upload
            )
        except Unreachable as error:
            raise unreachable(str(error)) from None
        headers = [(name, value) for name, value in answer.headers if name.lower() not in CORS]
        redirect = answer.header("location")
        if self._reject_redirects and redirect and 300 <= answer.status < 400:
            connection.close()
            return Response(502, REDIRECTED.encode(), TEXT)
        rewrite = at_backend(location)
        if redirect:
            headers = [(name, rewrite(value) if name.lower() == "location" else value) for name, value in headers]
        if request.method == "HEAD":
            return headers_of(request, answer, headers)
        body: AsyncIterator[bytes] = KeptBody(self._connections, location, connection)
        if not redirect and is_page(answer):
            answer.body = body  # type: ignore[assignment]
            body = page(answer, rewrite)
            answer.length = None
        return await relayed(answer, headers, body)

    async def _upgrade(self, request: Request, location: Location, user: UserInfo) -> Response:
        """Splice the client's connection and one to the server, once it has switched protocols."""
        message = proxied_message(request, location, user)
        try:
            connection = await self._connections.connect(location)
        except Unreachable as error:
            raise Refused(503, f"error dialing backend: {error}") from None
        try:
            answer = await connection.ask(message, method=request.method)
        except BackendError as error:
            raise Refused(503, str(error)) from None
        if answer.status == 101:
            return tunnel(request, Response(101, wire=answer.head), connection)
        if answer.status < 400:
            connection.close()
            raise Refused(503, f"invalid upgrade response: status code {answer.status}")
        return await relayed(answer, answer.headers, KeptBody(self._connections, location, connection))


def unreachable(why: str) -> Refused:
    """What a request is answered whose server cannot be reached."""
    return Refused(503, f"error trying to reach service: {why}")


def is_discovery(request: Request) -> bool:
    """Whether the request asks what a group version has, which must be answered soon."""
    info = request.info
    return (
        info is not None and not info.is_resource_request and len(request.path.strip("/").split("/")) == DISCOVERY_PARTS
    )


def target_of(request: Request) -> str:
    """Path and query as the server gets them: escaped anew, the query's fields sorted, as Go's url.URL writes them."""
    path = quote(request.path, safe=PATH_SAFE)
    if not request.raw_query:
        return path
    fields = sorted(parse_query(request.raw_query).items())
    query = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, values in fields for value in values)
    return f"{path}?{query}" if query else path


def proxied_message(request: Request, location: Location, user: UserInfo) -> bytes:
    """The client's request as the server gets it: who asks, whom it came through, none of the client's credentials.

    A body that comes later, as an upload, has its framing in it. Raises Refused.
    """
    assert request.head is not None
    try:
        identity = identity_lines(user)
    except Unsendable as error:
        raise unreachable(str(error)) from None
    body = request.body
    sent = end_to_end_lines(request.head.block, without=WITHOUT, prefixes=NOT_SENT_PREFIXES)
    framing = request.upload.framing if request.upload is not None else b""
    if not framing and (body or request.method in ("POST", "PUT", "PATCH")):
        framing = b"\r\nContent-Length: %d" % len(body)
    own = "".join(f"\r\n{line}" for line in _own_lines(request, location)).encode("latin-1", "replace")
    first = f"{request.method} {location.target} HTTP/1.1\r\nHost: {location.authority}".encode("latin-1", "replace")
    return b"%b%b%b%b%b\r\n\r\n%b" % (first, sent, own, identity, framing, body)


def _own_lines(request: Request, location: Location) -> list[str]:
    lines = [f"Audit-Id: {request.audit_id}", *forwarded_for(request)]
    if request.hijack is not None:
        assert request.head is not None
        lines += ["Connection: Upgrade", f"Upgrade: {request.head.block.upgrade}"]
        lines += [f"Sec-WebSocket-Protocol: {protocols}" for protocols in request.values(PROTOCOLS)]
        return lines
    uri = location.target.partition("?")[0]
    return [
        *lines,
        f"X-Forwarded-Uri: {uri}",
        f"X-Forwarded-Host: {location.authority}",
        f"X-Forwarded-Proto: {location.scheme}",
    ]


def at_backend(location: Location) -> Rewrite:
    """Rewrites URLs of the server's own to whole ones: it has no path here below which they could lie."""
    own = location.authority

    def rewrite(url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if (parts.netloc and parts.netloc != own) or not parts.path.startswith("/"):
            return url
        return parts._replace(scheme=location.scheme, netloc=own).geturl()

    return rewrite


def is_page(answer: Answer) -> bool:
    """Whether the body has links."""
    return answer.header("content-type").partition(";")[0].strip() == "text/html"


async def relayed(answer: Answer, headers: list[tuple[str, str]], body: AsyncIterator[bytes]) -> Response:
    """The server's answer as ours: in one piece if it is short and all there, else while it comes."""
    kept = end_to_end(answer, headers)
    kind = answer.header("content-type")
    if answer.length is None or answer.length > WHOLE_BELOW:
        return Response(answer.status, body, kind, kept)
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(AT_ONCE):
            while (piece := await anext(body, None)) is not None:
                pieces.append(piece)
        return Response(answer.status, b"".join(pieces), kind, kept)
    except TimeoutError:
        return Response(answer.status, _rest(pieces, body, None), kind, kept)
    except BackendError as error:
        return Response(answer.status, _rest(pieces, body, error), kind, kept)


async def _rest(pieces: list[bytes], body: AsyncIterator[bytes], fault: BackendError | None) -> AsyncIterator[bytes]:
    """What has come of a body, and what is still to come; an end before its time ends the client's answer so too."""
    try:
        for piece in pieces:
            yield piece
        if fault is not None:
            raise fault
        async for piece in body:
            yield piece
    finally:
        close = getattr(body, "aclose", None)
        if close is not None:
            await close()
