"""What --enable-swagger-ui adds: Swagger 1.2 at /swaggerapi and a page for reading the API at /swagger-ui/."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from apiserver_workers.server.http.messages import Handler, Request, Response, page_not_found
from apiserver_workers.server.openapi.endpoints import OpenAPIEndpoints
from apiserver_workers.server.openapi.page import PAGE
from apiserver_workers.server.openapi.swagger12 import declaration, listing

SWAGGER, UI = "/swaggerapi", "/swagger-ui"
HTML = "text/html; charset=utf-8"
# the page brings all it needs and asks nobody but this server
ONLY_ITSELF = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


class SwaggerEndpoints:
    """Both, made of the document of OpenAPI v2. `prefixes` are to be mounted."""

    def __init__(self, openapi: OpenAPIEndpoints) -> None:
        self._openapi = openapi
        self._made: dict[str, bytes | None] = {}
        self._made_of = b""
        self.prefixes: dict[str, Handler] = {SWAGGER: self.swagger, UI: self.page}

    async def swagger(self, request: Request) -> Response:
        """The list of APIs, or the declaration of one."""
        root = request.path.removeprefix(SWAGGER).rstrip("/")
        if not root:
            body = await self._body("", listing)
        else:
            base = f"https://{request.headers.get('host', '')}"
            body = await self._body(f"{base} {root}", lambda document: declaration(document, root, base))
        return page_not_found() if body is None else Response(body=body)

    async def page(self, request: Request) -> Response:
        """The page."""
        if request.path == UI:
            return Response(301, content_type="", headers=[("Location", f"{UI}/")])
        if request.path != f"{UI}/":
            return page_not_found()
        return Response(body=PAGE, content_type=HTML, headers=[("Content-Security-Policy", ONLY_ITSELF)])

    async def _body(self, name: str, make: Callable[[Any], Any]) -> bytes | None:
        """What `make` makes of the document; kept as long as that stays, for some roots and hosts."""
        source = await self._openapi.v2()
        if source is not self._made_of or len(self._made) > 100:
            self._made, self._made_of = {}, source
        if name not in self._made:
            self._made[name] = await asyncio.to_thread(_make, source, make)
        return self._made[name]


def _make(source: bytes, make: Callable[[Any], Any]) -> bytes | None:
    made = make(orjson.loads(source))
    return None if made is None else orjson.dumps(made)
