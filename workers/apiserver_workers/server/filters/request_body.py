"""A request's body, read once it is known that the request may be made: the last filter.

Upstream's handlers read bodies themselves, behind the same filters. What goes to a pod, a service or a node is passed on
while it comes, without a limit, and so is what goes to an aggregated server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from apiserver_workers.apimachinery.errors import bad_request, request_entity_too_large, timeout
from apiserver_workers.server.http.http1 import MAX_BODY
from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.http.upload import UploadLost, UploadTooLarge

WITHIN = 60.0


def nobody(request: Request) -> bool:
    """All bodies are read here."""
    return False


class RequestBody:
    """Sets request.body, but where `passes_on` says that another server reads it."""

    def __init__(self, handler: Handler, passes_on: Callable[[Request], bool] = nobody) -> None:
        self._handler = handler
        self._passes_on = passes_on

    def __call__(self, request: Request) -> Awaitable[Response]:
        if request.upload is None or self._passes_on(request):
            return self._handler(request)
        return self._read(request)

    async def _read(self, request: Request) -> Response:
        await read_body(request)
        return await self._handler(request)


async def read_body(request: Request) -> None:
    """Read what is still to come, unless it is to be passed on. Raises ApiError: 400, 413 and 504."""
    if request.upload is None or _is_passed_on(request):
        return
    try:
        async with asyncio.timeout(WITHIN):
            request.body = await request.upload.whole(MAX_BODY)
    except UploadLost as lost:
        raise bad_request(str(lost)) from None
    except UploadTooLarge:
        raise request_entity_too_large(f"Request entity too large: limit is {MAX_BODY}") from None
    except TimeoutError:
        raise timeout("request did not complete within the allotted timeout", 0) from None
    request.upload = None


def _is_passed_on(request: Request) -> bool:
    return request.info is not None and request.info.subresource == "proxy" and request.hijack is None
