"""WithCORS: browsers on the allowed origins may use the API. Only in the chain when origins are configured."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence

from apiserver_workers.server.http.messages import Handler, Request, Response, text_response

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

    def __call__(self, request: Request) -> Awaitable[Response]:
        origin = request.headers.get("origin", "")
        if not origin or not any(pattern.search(origin) for pattern in self._patterns):
            return self._handler(request)
        request.on_answer(_add)
        return _preflight() if request.method == "OPTIONS" else self._handler(request)


def _add(request: Request, response: Response) -> None:
    response.headers = [*response.headers, ("Access-Control-Allow-Origin", request.headers["origin"]), *ALLOWED]


async def _preflight() -> Response:
    return text_response("", 204)
