"""Tells how each request ended and how long that took, for what counts requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

from apiserver_workers.server.http.messages import Handler, Request, Response

# The request, the status that its client was told, and the seconds until it was over.
Observe = Callable[[Request, int, float], None]

CUT_SHORT = 500  # what a request counts as whose client has gone before there was an answer


class Observer:
    """Calls `observe` for every request when it is over; of streams that is when they end."""

    def __init__(self, handler: Handler, observe: Observe) -> None:
        self._handler = handler
        self._observe = observe

    def __call__(self, request: Request) -> Awaitable[Response]:
        request.on_complete(self._over)
        return self._handler(request)

    def _over(self, request: Request, whole: bool) -> None:
        self._observe(request, request.status or CUT_SHORT, perf_counter() - request.received)
