"""Calls to an etcd cluster over one connection at a time, failing over between its endpoints.

A call waits for a connection until its deadline. What happens when it fails on the way depends on what is known: a call
that certainly did not reach etcd, or that only reads, is repeated (on the next endpoint); any other error is the
caller's to judge, because the write may have happened.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from apiserver_workers.apimachinery.metrics import REGISTRY
from apiserver_workers.storage.transport.connection import Connection
from apiserver_workers.storage.transport.streams import DEADLINE_EXCEEDED, UNAVAILABLE, MessageStream, RpcError

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 3.0
BACKOFF = (0.0, 0.05, 0.1, 0.2, 0.4)

REQUEST_SECONDS = REGISTRY.histogram(
    "etcd_request_duration_seconds",
    "Etcd request latency in seconds for each operation and object type.",
    ("operation", "type"),
    buckets=(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60),
)

Answer = TypeVar("Answer")


class Message(Protocol):
    """A protobuf message."""

    def SerializeToString(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Method(Generic[Answer]):
    """A gRPC method: its path and the class of its answers."""

    path: str
    answer: Any
    reads: bool = False  # may be repeated without harm
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One member's client URL."""

    host: str
    port: int
    secure: bool
    path: str = ""  # of a Unix socket

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Takes http://, https://, unix:// and unixs:// URLs, and host:port alone."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        secure = parts.scheme in ("https", "unixs")
        if parts.scheme.startswith("unix"):
            return cls("localhost", 0, secure, parts.netloc + parts.path)
        return cls(parts.hostname or "127.0.0.1", parts.port or 2379, secure)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


def client_tls(*, cafile: str = "", certfile: str = "", keyfile: str = "") -> ssl.SSLContext:
    """TLS to etcd: the system's CAs unless `cafile` is given, and a client certificate if there is one."""
    context = ssl.create_default_context(cafile=cafile or None)
    if certfile:
        context.load_cert_chain(certfile, keyfile or None)
    return context


class Channel:
    """Calls to one cluster. Connects at the first call, so it may be made before a fork and used after it."""

    def __init__(self, endpoints: Sequence[str], *, tls: ssl.SSLContext | None = None) -> None:
        if not endpoints:
            raise ValueError("no etcd endpoint")
        self._endpoints = [Endpoint.parse(url) for url in endpoints]
        if tls is None and any(endpoint.secure for endpoint in self._endpoints):
            tls = client_tls()
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        self._tls = tls
        self._turn = 0
        self._connections: list[Connection] = []
        self._connecting: asyncio.Task[Connection] | None = None
        self._closed = False

    async def call(self, method: Method[Answer], request: Message, timeout: float) -> Answer:
        """The method's answer. Raises RpcError, at the latest after about `timeout` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        message = request.SerializeToString()
        attempt = 0
        while True:
            connection = self._usable() or await self._connect(deadline)
            started = loop.time()
            try:
                answer = await self._unary(connection, method, message, deadline)
                REQUEST_SECONDS.observe(loop.time() - started, (method.path.rpartition("/")[2].lower(), ""))
                return method.answer.FromString(answer)
            except RpcError as error:
                self._judge(connection, error, started)
                attempt += 1
                pause = BACKOFF[min(attempt, len(BACKOFF)) - 1]
                if not _repeatable(method, error) or loop.time() + pause >= deadline:
                    raise
                await asyncio.sleep(pause)

    async def open(self, method: Method[Any], request: Message, timeout: float) -> MessageStream:
        """A stream of raw answers to `request`; close it when done. Raises RpcError when there is no connection."""
        connection = self._usable() or await self._connect(asyncio.get_running_loop().time() + timeout)
        return connection.stream(method.path, request.SerializeToString(), method.metadata)

    async def close(self) -> None:
        """Fail what is under way and close all connections."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    async def _unary(self, connection: Connection, method: Method[Any], message: bytes, deadline: float) -> bytes:
        """One attempt. A read gives a silent endpoint half of the time that is left, so another one gets a chance."""
        if method.reads and len(self._endpoints) > 1:
            deadline -= (deadline - connection.loop.time()) / 2
        call = connection.unary(method.path, message, deadline)
        try:
            return await call.future
        except asyncio.CancelledError:
            connection.cancel(call)
            raise

    def _judge(self, connection: Connection, error: RpcError, started: float) -> None:
        """Leave an endpoint that is lost or silent, or that says it cannot serve while others may."""
        if not connection.open and connection in self._connections:
            self._turn += 1
        elif connection.open and error.code == DEADLINE_EXCEEDED and connection.last_received < started:
            self._turn += 1
            connection.close("the server has stopped answering")  # watches on it must move as well
        elif connection.open and error.code == UNAVAILABLE and len(self._endpoints) > 1:
            self._turn += 1
            connection.retire()
        self._connections = [other for other in self._connections if other.open]

    def _usable(self) -> Connection | None:
        for connection in self._connections:
            if connection.open and not connection.full:
                return connection
        return None

    async def _connect(self, deadline: float) -> Connection:
        """A new connection, shared by all callers that wait for one. Raises RpcError past the deadline."""
        if self._closed:
            raise RpcError(UNAVAILABLE, "closed", unsent=True)
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._try_endpoints())
            self._connecting.add_done_callback(self._connected)
        remaining = deadline - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait({self._connecting}, timeout=max(remaining, 0))
        if not done:
            raise RpcError(UNAVAILABLE, "no etcd endpoint can be reached", unsent=True)
        return done.pop().result()

    def _connected(self, task: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not task.cancelled() and task.exception() is None:
            self._connections = [*(other for other in self._connections if other.open), task.result()]

    async def _try_endpoints(self) -> Connection:
        """Try the endpoints in turn, forever, with pauses that grow."""
        attempt = 0
        while True:
            endpoint = self._endpoints[self._turn % len(self._endpoints)]
            try:
                return await self._try(endpoint)
            except (OSError, RpcError, TimeoutError) as error:
                if attempt in (0, 8) or attempt % 64 == 0:
                    log.warning("etcd at %s cannot be reached: %s", endpoint.path or endpoint.authority, error)
            self._turn += 1
            attempt += 1
            await asyncio.sleep(BACKOFF[min(attempt // len(self._endpoints), len(BACKOFF) - 1)])

    async def _try(self, endpoint: Endpoint) -> Connection:
        loop = asyncio.get_running_loop()
        tls = self._tls if endpoint.secure else None
        name = endpoint.host if tls else None
        connection = Connection(endpoint.authority, secure=endpoint.secure, replaceable=len(self._endpoints) > 1)
        async with asyncio.timeout(CONNECT_TIMEOUT):
            try:
                if endpoint.path:
                    await loop.create_unix_connection(lambda: connection, endpoint.path, ssl=tls, server_hostname=name)
                else:
                    await loop.create_connection(
                        lambda: connection, endpoint.host, endpoint.port, ssl=tls, server_hostname=name
                    )
                await connection.ready
            except BaseException:
                connection.close()
                raise
        return connection


def _repeatable(method: Method[Any], error: RpcError) -> bool:
    return error.unsent or (method.reads and error.code in (UNAVAILABLE, DEADLINE_EXCEEDED))
