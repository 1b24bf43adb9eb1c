"""WithHSTS: tells browsers to come by HTTPS only. Only in the chain when directives are configured."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from apiserver_workers.server.http.messages import Handler, Request, Response


class HSTS:
    """Adds Strict-Transport-Security to every answer."""

    def __init__(self, handler: Handler, *, directives: Sequence[str]) -> None:
        self._handler = handler
        self._header = ("Strict-Transport-Security", "; ".join(directives))

    def __call__(self, request: Request) -> Awaitable[Response]:
        request.on_answer(self._add)
        return self._handler(request)

    def _add(self, request: Request, response: Response) -> None:
        response.headers = [*response.headers, self._header]
