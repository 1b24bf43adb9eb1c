"""WithRequestDeadline and WithTimeoutForNonLongRunningRequests: no ordinary request runs for longer than it may."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from apiserver_workers.apimachinery.errors import ApiError, bad_request
from apiserver_workers.apimachinery.times import parse_duration
from apiserver_workers.server.filters.long_running import is_long_running
from apiserver_workers.server.http.messages import Handler, Request, Response


class RequestDeadline:
    """Ends a request after `maximum` seconds, or sooner if its ?timeout= says so: one that is being handled by an answer,
    one whose answer is being sent by the connection's end."""

    def __init__(self, handler: Handler, *, maximum: float) -> None:
        self._handler = handler
        self._maximum = maximum

    def __call__(self, request: Request) -> Awaitable[Response]:
        assert request.info is not None
        return self._handler(request) if is_long_running(request.info) else self._within(request)

    async def _within(self, request: Request) -> Response:
        seconds = self._maximum
        if "timeout" in request.raw_query:
            asked = requested_timeout(request.query.get("timeout", [""])[0])
            seconds = asked if 0 < asked < seconds else seconds
        deadline = asyncio.get_running_loop().time() + seconds
        request.deadline = deadline
        try:
            async with asyncio.timeout_at(deadline):
                return await self._handler(request)
        except TimeoutError:
            message = "Timeout: request did not complete within the allotted timeout"
            raise ApiError(504, "Timeout", message, {}) from None


def requested_timeout(value: str) -> float:
    """The seconds of ?timeout=, 0 if it is not there. Raises ApiError (400) for what is no Go duration."""
    if not value:
        return 0.0
    try:
        return parse_duration(value) / 1e9
    except ValueError as error:
        raise bad_request(f"invalid timeout specified in the request URL - {error}") from None
