"""WithCORS: browsers on the allowed origins may use the API. Only in the chain when origins are configured."""

from __future__ import annotations

import re
from collections.abc import Sequence

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.http.messages import Handler, Request, Response, status_response, text_response

ALLOWED = [
    ("Access-Control-Allow-Methods", "POST, GET, OPTIONS, PUT, DELETE, PATCH"),
    (
        "Access-Control-Allow-Headers",
        "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, "
        "If-Modified-Since",
    ),
    ("Access-Control-Expose-Headers", "Date"),
    ("Access-Control-Allow-Credentials", "true"),
]


class CORS:
    """Adds the headers to answers to allowed origins, and answers preflight requests itself."""

    def __init__(self, handler: Handler, *, allowed_origins: Sequence[str]) -> None:
        self._handler = handler
        self._patterns = [re.compile(pattern) for pattern in allowed_origins]

    async def __call__(self, request: Request) -> Response:
        origin = request.headers.get("origin", "")
        if not origin or not any(pattern.search(origin) for pattern in self._patterns):
            return await self._handler(request)
        headers = [("Access-Control-Allow-Origin", origin), *ALLOWED]
        if request.method == "OPTIONS":
            return text_response("", 204, headers)
        try:
            response = await self._handler(request)
        except ApiError as error:
            response = status_response(error)
        response.headers = [*response.headers, *headers]
        return response
