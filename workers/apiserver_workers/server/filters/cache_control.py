"""WithCacheControl: answers are for one client and not to be kept, unless a handler says otherwise."""

from __future__ import annotations

from collections.abc import Awaitable

from apiserver_workers.server.http.messages import Handler, Request, Response

PRIVATE = "no-cache, private"
NAME = "cache-control"


class CacheControl:
    """Sets Cache-Control where the answer has none. Answers of other processes of this server have it already."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: Request) -> Awaitable[Response]:
        request.on_answer(set_cache_control)
        return self._handler(request)


def set_cache_control(request: Request, response: Response) -> None:
    """Let the answer have the header unless it has one."""
    for name, _ in response.headers:
        if name.lower() == NAME:
            return
    response.cache_control = PRIVATE
