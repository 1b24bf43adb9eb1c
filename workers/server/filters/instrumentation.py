"""Counts what is asked, how it was answered and how long that took."""

from __future__ import annotations

from time import perf_counter

from workers.apimachinery.errors import ApiError
from workers.server.http import Handler, Request, Response
from workers.server.metrics import RequestMetrics


class Instrumentation:
    """Records every request that has a RequestInfo; of streams, the time until they begin."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._metrics = RequestMetrics()

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
            self._metrics.record(request, status, perf_counter() - started)
