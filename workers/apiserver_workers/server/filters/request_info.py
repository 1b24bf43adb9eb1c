"""WithRequestInfo: what the request asks for, for all that comes after."""

from __future__ import annotations

import json
from collections.abc import Awaitable

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.server.http.messages import Handler, Request, Response, text_response
from apiserver_workers.server.http.query import has_too_many_fields
from apiserver_workers.server.http.request_info import info_of


class RequestInfoFilter:
    """Sets request.info."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: Request) -> Awaitable[Response]:
        if has_too_many_fields(request.raw_query):
            raise bad_request("the URL has too many query parameters")
        try:
            request.info = info_of(request)
        except ValueError as error:
            return _failed(request, error)
        return self._handler(request)


async def _failed(request: Request, error: ValueError) -> Response:
    why = f"failed to create RequestInfo: {error}"
    return text_response(f"Internal Server Error: {json.dumps(request.path)}: {why}\n", 500)
