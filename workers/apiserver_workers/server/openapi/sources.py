"""Where OpenAPI documents come from besides this server's own kinds: other servers, which describe themselves.

The front asks them for each request, with the tag of what it has, so that what it answers is never older than the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.tagged_document import TaggedDocument


class OpenAPISource(Protocol):
    """Another server's documents. Raises ApiError when it does not answer."""

    async def handle(self, request: Request) -> Response:
        """The answer to a request for one of its documents of v3."""
        ...

    async def v3(self) -> Mapping[str, str]:
        """The URL of each of its documents, by name."""
        ...

    async def v2(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Its documents of v2, each with a tag that is another whenever the document is."""
        ...


class DelegateOpenAPI:
    """A server behind this one, on its Unix socket."""

    def __init__(self, target: DelegationTarget) -> None:
        self._target = target
        self._index = TaggedDocument(target, "/openapi/v3")
        self._v2 = TaggedDocument(target, "/openapi/v2")

    async def handle(self, request: Request) -> Response:
        return await self._target.handle(request)

    async def v3(self) -> Mapping[str, str]:
        _, index = await self._index.read()
        return {name: entry["serverRelativeURL"] for name, entry in index["paths"].items()}

    async def v2(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return [await self._v2.read()]
