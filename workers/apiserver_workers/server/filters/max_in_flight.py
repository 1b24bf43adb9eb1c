"""WithMaxInFlightLimit: so many requests at a time, reading and writing ones counted apart.

A request is in flight until the client has its answer. The server's limit is divided over the workers of the front.
Whoever may do everything is never turned away, and not counted beyond the limit.
"""

from __future__ import annotations

from collections.abc import Awaitable

from apiserver_workers.server.filters.long_running import is_long_running
from apiserver_workers.server.http.messages import Handler, Request, Response, text_response

READING_VERBS = frozenset({"get", "list", "watch"})
MASTERS = "system:masters"
READING, MUTATING = "readOnly", "mutating"


class MaxInFlight:
    """Counts requests and answers 429 beyond the limits; 0 is no limit."""

    def __init__(self, handler: Handler, *, reading: int, mutating: int, workers: int) -> None:
        self._handler = handler
        self._limits = {READING: _share(reading, workers), MUTATING: _share(mutating, workers)}
        self.running = {READING: 0, MUTATING: 0}

    def __call__(self, request: Request) -> Awaitable[Response]:
        assert request.info is not None
        if is_long_running(request.info):
            return self._handler(request)
        request_kind = READING if request.info.verb in READING_VERBS else MUTATING
        limit = self._limits[request_kind]
        if limit and self.running[request_kind] >= limit:
            everything = request.user is not None and MASTERS in request.user.groups
            return self._handler(request) if everything else _refuse()
        self.running[request_kind] += 1
        request.on_complete(self._read if request_kind is READING else self._changed)
        return self._handler(request)

    def _read(self, request: Request, whole: bool) -> None:
        self.running[READING] -= 1

    def _changed(self, request: Request, whole: bool) -> None:
        self.running[MUTATING] -= 1


async def _refuse() -> Response:
    return text_response("Too many requests, please try again later.\n", 429, [("Retry-After", "1")])


def _share(limit: int, workers: int) -> int:
    return -(-limit // max(1, workers))
