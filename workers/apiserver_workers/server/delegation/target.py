"""Delegation: passing a request on to the next server of the chain, over a pooled Unix socket, at the protocol level.

The request's bytes are the client's own with the connection's headers and credentials taken out and the identity put in;
the answer's bytes go back as they are. What may be repeated is repeated when a worker dies; a write is repeated only if
the worker surely had not read it.
"""

from __future__ import annotations

import asyncio
import weakref

from apiserver_workers.apimachinery.errors import ApiError, service_unavailable
from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.tokens import PROTOCOLS
from apiserver_workers.server.delegation.resuming import resumable
from apiserver_workers.server.delegation.tunnel import tunnel
from apiserver_workers.server.delegation.upstream import Relay, Upstream, UpstreamLost
from apiserver_workers.server.delegation.watch_stream import Key, WatchStream, open_watch
from apiserver_workers.server.http.http1 import MEMO_BLOCK, HeaderBlock, end_to_end_lines
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.internal_headers import PREFIX, client_line, identity_lines

IDEMPOTENT = frozenset({"GET", "HEAD"})
ATTEMPTS = 4
CONNECT_ATTEMPTS = 20
CONNECT_PAUSE = 0.05

# What goes on to nodes and pods, which are told who the client is.
CONNECTING = frozenset({"proxy", "exec", "attach", "portforward"})
_NOT_PASSED_ON = frozenset({"authorization", "audit-id", PROTOCOLS})
_NOT_PASSED_ON_PREFIXES = (PREFIX, "x-remote-", "impersonate-")


class DelegationTarget:
    """The next server, by its socket. `handle` is a Handler."""

    def __init__(self, socket_path: str, *, inner: bool = False) -> None:
        """`inner`: this process is itself behind another; what workers say to the front is passed on."""
        self._path = socket_path
        self.inner = inner
        self.streams: dict[Key | None, WatchStream] = {}  # watches that others may join
        self._idle: list[Upstream] = []
        self._lines: Kept[HeaderBlock, tuple[UserInfo | None, UserInfo | None, bytes]] = Kept(
            size=lambda block, _: block.size, longest=MEMO_BLOCK, expansion=8
        )

    async def handle(self, request: Request) -> Response:
        """The next server's answer. Raises ApiError (503) when no worker takes the request or one died over a write."""
        info = request.info
        if info is not None and info.verb == "watch" and request.hijack is None:
            return await open_watch(self, request)
        if request.upload is not None:
            return await self._pass_on(request)
        response = await self.ask(self.message(request), method=request.method)
        if response.status == 101 and request.hijack is not None:
            assert isinstance(response.body, Relay)
            return tunnel(request, response, response.body.upstream)
        return resumable(self, request, response)

    async def ask(self, message: bytes, *, method: str) -> Response:
        """Send a message made by `message`, again where that is safe. Raises ApiError (503)."""
        again = method in IDEMPOTENT
        for attempt in range(ATTEMPTS):
            pooled = self._idle and attempt < ATTEMPTS // 2
            upstream = self._idle.pop() if pooled else await self._connect()
            try:
                return await upstream.ask(message, method=method)
            except UpstreamLost as lost:
                if not (again or lost.unread):
                    break
        raise _lost(again=again)

    async def _pass_on(self, request: Request) -> Response:
        """The answer to a request whose body goes through while it comes, and so can be sent only once."""
        upstream = await self._connect()
        try:
            return await upstream.ask(self.message(request), method=request.method, upload=request.upload)
        except UpstreamLost:
            raise _lost(again=False) from None

    async def _connect(self) -> Upstream:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECT_ATTEMPTS):
            try:
                _, upstream = await loop.create_unix_connection(self._upstream, self._path)
                return upstream
            except (ConnectionError, FileNotFoundError, BlockingIOError):
                await asyncio.sleep(CONNECT_PAUSE)
        raise _lost(again=True)

    def _upstream(self) -> Upstream:
        return Upstream(self._idle)

    def message(self, request: Request, target: bytes = b"") -> bytes:
        """The request as bytes for the next hop; `target` replaces its path and query."""
        head = request.head
        assert head is not None
        body = request.body
        if request.upload is not None:
            length = request.upload.framing
        else:
            length = (
                b"\r\nContent-Length: %d" % len(body) if body or request.method in ("POST", "PUT", "PATCH") else b""
            )
        if request.info is not None and request.info.subresource in CONNECTING:
            length += client_line(request.client)
        return b"%b %b HTTP/1.%d\r\nAudit-Id: %b%b%b\r\n\r\n%b" % (
            head.method.encode("ascii"),
            target or head.target,
            not head.http10,
            request.audit_id.encode(),
            length,
            self._header_lines(request, head.block),
            body,
        )

    def _header_lines(self, request: Request, block: HeaderBlock) -> bytes:
        """The header lines for the next hop, kept for the next request with the same block and user."""
        user, impersonator = request.user, request.context.get("impersonator")
        kept = self._lines.get(block)
        if kept is not None and (kept[0] is user or kept[0] == user) and kept[1] == impersonator:
            return kept[2]
        lines = end_to_end_lines(block, without=_NOT_PASSED_ON, prefixes=_NOT_PASSED_ON_PREFIXES)
        if request.hijack is not None:
            lines += b"\r\nConnection: Upgrade\r\nUpgrade: " + block.upgrade.encode()
            for protocols in request.values(PROTOCOLS):  # a token that was among them is no longer there
                lines += b"\r\nSec-WebSocket-Protocol: " + protocols.encode()
        lines += identity_lines(user, impersonator)
        self._lines.keep(block, (user, impersonator, lines))
        return lines


def _lost(*, again: bool) -> ApiError:
    if again:
        error = service_unavailable("no worker of the server answers, please try again")
    else:
        error = service_unavailable("the worker ended while it handled the request, which may have taken effect")
    error.details = {"retryAfterSeconds": 1}
    error.headers = [("Retry-After", "1")]
    return error


_targets: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, DelegationTarget]] = (
    weakref.WeakKeyDictionary()
)


async def delegate(request: Request, socket_path: str) -> Response:
    """Pass the request on to the server that listens on `socket_path`; its answer. Raises ApiError (503)."""
    targets = _targets.setdefault(asyncio.get_running_loop(), {})
    target = targets.get(socket_path)
    if target is None:
        target = targets[socket_path] = DelegationTarget(socket_path)
    return await target.handle(request)
