"""A JSON document of a server behind this one, read again only when its tag (ETag) is another."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import service_unavailable
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.delegation.upstream import Relay
from apiserver_workers.server.http.messages import Response

TIMEOUT = 5.0  # seconds, as upstream's aggregation of discovery waits


class TaggedDocument:
    """The document at `path`; `accept` is the media type that is asked for."""

    def __init__(self, target: DelegationTarget, path: str, accept: str = "application/json") -> None:
        self._target = target
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n"
        self._tag = ""
        self._document: Any = None

    async def read(self) -> tuple[str, Any]:
        """The tag and the document as they are now; never change it. Raises ApiError 503."""
        known = f"If-None-Match: {self._tag}\r\n" if self._tag else ""
        message = f"{self._request}{known}\r\n".encode()
        try:
            async with asyncio.timeout(TIMEOUT):
                response = await self._target.ask(message, method="GET")
                headers, body = await whole_answer(response)
        except TimeoutError:
            raise service_unavailable("a server behind this one does not answer") from None
        if response.status == 304:
            return self._tag, self._document
        if response.status != 200:
            raise service_unavailable("the document of a server behind this one cannot be read")
        self._tag = headers.get("etag") or f'"{hashlib.sha256(body).hexdigest()}"'
        self._document = orjson.loads(body)
        return self._tag, self._document


class _Collector:
    """The Sink of an answer that is read here."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> None:
        self.parts.append(data)

    def finish(self, *, complete: bool) -> None:
        if not self.done.done():
            self.done.set_result(complete)


async def whole_answer(response: Response) -> tuple[dict[str, str], bytes]:
    """The headers, in lower case, and the body of an answer whose length was told. Raises ApiError 503."""
    head, _, body = response.wire.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")[1:]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if isinstance(response.body, Relay):
        collector = _Collector()
        response.body.start(collector)
        if not await collector.done:
            raise service_unavailable("the document of a server behind this one broke off")
        body = b"".join(collector.parts)
    return headers, body
