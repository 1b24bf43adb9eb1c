"""WithMaxInFlightLimit: so many requests at a time, reading and writing ones counted apart.

The server's limit is divided over the workers of the front. Who may do everything is never turned away.
"""

from __future__ import annotations

from apiserver_workers.server.filters.long_running import is_long_running
from apiserver_workers.server.http.messages import Handler, Request, Response, text_response

READING_VERBS = frozenset({"get", "list", "watch"})
MASTERS = "system:masters"


class MaxInFlight:
    """Counts requests and answers 429 beyond the limits; 0 is no limit."""

    def __init__(self, handler: Handler, *, reading: int, mutating: int, workers: int) -> None:
        self._handler = handler
        self._limits = {"readOnly": _share(reading, workers), "mutating": _share(mutating, workers)}
        self.running = {"readOnly": 0, "mutating": 0}

    async def __call__(self, request: Request) -> Response:
        assert request.info is not None
        if is_long_running(request.info):
            return await self._handler(request)
        kind = "readOnly" if request.info.verb in READING_VERBS else "mutating"
        limit = self._limits[kind]
        if limit and self.running[kind] >= limit and not (request.user and MASTERS in request.user.groups):
            return text_response("Too many requests, please try again later.\n", 429, [("Retry-After", "1")])
        self.running[kind] += 1
        try:
            return await self._handler(request)
        finally:
            self.running[kind] -= 1


def _share(limit: int, workers: int) -> int:
    return -(-limit // max(1, workers))
