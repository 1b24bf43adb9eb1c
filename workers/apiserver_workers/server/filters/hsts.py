"""WithHSTS: tells browsers to come by HTTPS only. Only in the chain when directives are configured."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.http.messages import Handler, Request, Response, status_response


class HSTS:
    """Adds Strict-Transport-Security to every answer."""

    def __init__(self, handler: Handler, *, directives: Sequence[str]) -> None:
        self._handler = handler
        self._header = ("Strict-Transport-Security", "; ".join(directives))

    async def __call__(self, request: Request) -> Response:
        try:
            response = await self._handler(request)
        except ApiError as error:
            response = status_response(error)
        response.headers = [*response.headers, self._header]
        return response
