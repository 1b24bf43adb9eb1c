"""WithRequestDeadline and WithTimeoutForNonLongRunningRequests: no ordinary request runs for longer than it may."""

from __future__ import annotations

import asyncio

from apiserver_workers.apimachinery.errors import ApiError, bad_request
from apiserver_workers.apimachinery.memo import memoized
from apiserver_workers.apimachinery.times import parse_duration
from apiserver_workers.server.filters.long_running import is_long_running
from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.http.query import first


class RequestDeadline:
    """Ends a request after `maximum` seconds, or sooner if its ?timeout= says so."""

    def __init__(self, handler: Handler, *, maximum: float) -> None:
        self._handler = handler
        self._maximum = maximum

    async def __call__(self, request: Request) -> Response:
        assert request.info is not None
        if is_long_running(request.info):
            return await self._handler(request)
        seconds = self._maximum
        if "timeout=" in request.raw_query:
            asked = requested_timeout(request.raw_query)
            seconds = asked if 0 < asked < seconds else seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._handler(request)
        except TimeoutError:
            message = "Timeout: request did not complete within the allotted timeout"
            raise ApiError(504, "Timeout", message, {}) from None


@memoized
def requested_timeout(raw_query: str) -> float:
    """The seconds of ?timeout=, 0 if it is not there. Raises ApiError (400) for what is no Go duration."""
    value = first(raw_query, "timeout")
    if not value:
        return 0.0
    try:
        return parse_duration(value) / 1e9
    except ValueError as error:
        raise bad_request(f"invalid timeout specified in the request URL - {error}") from None
