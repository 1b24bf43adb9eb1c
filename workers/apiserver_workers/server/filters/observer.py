"""Tells how each request was answered and how long that took, for what counts or logs requests."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.http.messages import Handler, Request, Response

# The request, its status and the seconds until the answer began.
Observe = Callable[[Request, int, float], None]


class Observer:
    """Calls `observe` for every request when its answer begins; of streams that is when they begin."""

    def __init__(self, handler: Handler, observe: Observe) -> None:
        self._handler = handler
        self._observe = observe

    async def __call__(self, request: Request) -> Response:
        started = perf_counter()
        status = 500
        try:
            response = await self._handler(request)
            status = response.status
            return response
        except ApiError as error:
            status = error.code
            raise
        finally:
            self._observe(request, status, perf_counter() - started)
