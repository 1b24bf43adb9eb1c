"""What the front has found out about a request, on its way to a worker behind it: the user that it authenticated, and the
client's address."""

from __future__ import annotations

from collections.abc import Awaitable

from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.internal_headers import take_identity


class FromFront:
    """Sets request.user and request.client. For inner connections only."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: Request) -> Awaitable[Response]:
        take_identity(request)
        return self._handler(request)
